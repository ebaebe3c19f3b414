"""The `.bed` format of the origin: six sections, a value and its unit on every line."""
