"""Bytes: one port, a folder or a bucket below it."""
