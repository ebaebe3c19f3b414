"""Programs as processes: manifest, protocol, launcher, pool. Knows no job."""
