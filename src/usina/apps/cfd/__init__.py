"""Packed beds, made and measured, and what flows through them."""
