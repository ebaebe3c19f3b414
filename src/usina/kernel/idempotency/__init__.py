"""The same request answered once."""
