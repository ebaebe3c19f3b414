"""Packed beds: what one is, its generation, its files. The server's side, without any science."""
