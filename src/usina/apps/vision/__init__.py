"""Things seen in pictures and films: found, followed, counted."""
