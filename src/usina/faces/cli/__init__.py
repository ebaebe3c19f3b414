"""The command line.

Modules of commands import only typer and the standard library at their top, so that `usina --help`
is quick and a command of the client never loads the server.
"""
