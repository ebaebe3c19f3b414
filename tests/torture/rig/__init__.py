"""The distributed platform under kills, with a witness outside of it; see architecture 11."""
