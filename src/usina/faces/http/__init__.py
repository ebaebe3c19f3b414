"""HTTP: the platform's own routes."""
