"""The windows: they translate and decide nothing."""
