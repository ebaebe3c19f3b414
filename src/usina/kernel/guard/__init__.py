"""Addresses that callers name: what may be reached of the world outside, and how."""
