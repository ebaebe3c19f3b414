"""The same thing from frame to frame."""
