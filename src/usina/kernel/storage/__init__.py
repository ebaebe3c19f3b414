"""Bytes: one port, a folder below it."""
