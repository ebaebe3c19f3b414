"""Models of other people, each in an environment of its own: found, run, understood, judged."""
