"""The looks an avatar can have: each a function of who sits for it."""
