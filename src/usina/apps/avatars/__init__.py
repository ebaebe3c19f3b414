"""The avatar room: from a photo of a person to a profile picture."""
