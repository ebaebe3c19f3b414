"""Flow through beds: simulations and sweeps of them. The server's side, without any science."""
