"""The peer's task: huey on SQLite with ``fsync=True``, results kept, as its guide has it."""

import os

from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["PEER_DATABASE"], fsync=True, results=True)


@huey.task()
def echo(value: int) -> int:
    return value
