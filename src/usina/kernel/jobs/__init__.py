"""Jobs: states, store, service."""
