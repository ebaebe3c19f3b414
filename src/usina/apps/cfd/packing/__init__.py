"""Making beds: what is asked, how it is packed, what is told of it."""
