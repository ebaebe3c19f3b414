"""Jobs by the clock: the rule, the rows, the service."""
