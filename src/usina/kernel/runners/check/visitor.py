"""A visitor: a few lines that run under a program's own manifest, to see what would be let through.

What the sandbox keeps off is not asked but tried, so that no layer is believed in.
"""

import sys

from usina.kernel.runners.bench import Request
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.manifest import Resources

_ANSWER = '\nimport os\nos.write(3, b\'{"type":"result"}\\n\')\n'


async def visit(subject: Subject, code: str, *words: str) -> bool:
    """Whether the lines of Python came to their end; ``words`` are their arguments."""
    manifest = subject.changed(
        command=(sys.executable, "-I", "-S", "-c", code + _ANSWER, *words),
        mode="cold",
        outputs={},
        resources=Resources(),
    )
    async with subject.fresh() as ground:
        act = await subject.play(Request({}), ground=ground, manifest=manifest)
    return act.played.failure is None
