"""What rooms that begin with a picture share: hostile bytes to pixels, OpenCV with types."""
