"""Frames out of hostile files, and films that browsers play."""
