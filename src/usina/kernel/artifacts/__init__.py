"""Outputs of jobs, with their hashes."""
