"""The keeper of one program, a process of its own; `main` begins it.

Only the light parts of the standard library (no typing, no pathlib): it starts in some fifteen
milliseconds, half of them Python's own, and loads nothing that could break.
"""
