"""Organizations, their keys, and the one filter that keeps them apart."""
