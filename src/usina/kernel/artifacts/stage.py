"""From a program's output file to an object: read once, hashed and sniffed on the way.

A program may have left anything under the name: only a regular file is taken, links are not
followed, and nothing blocks on a pipe.
"""

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.failpoints import reach
from usina.kernel.files.name import display_name
from usina.kernel.files.sniff import sniff
from usina.kernel.ids import new_id
from usina.kernel.storage import plain_file
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.store import Store

INLINE_BYTES: Final = 4096
"""What is not larger lies in its row: no file to make, to sync, to sweep."""


class OutputRefused(Exception):
    """A declared output that is no plain file; the message is for the job's error."""

    reason: Final = "bad_artifact"


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file that shall become an artifact. ``path`` lies below a folder of the platform's own,
    where a program may have written; ``id`` is the later the later it was named."""

    organization_id: str
    job_id: str
    attempt: int
    kind: str
    name: str
    path: Path
    below: Path
    id: str = field(default_factory=new_id)


def stage(store: Store, new: NewArtifact, now: datetime) -> Artifact:
    """Puts the file into the store; blocks."""
    key = Artifact.key_of(new.organization_id, new.job_id, new.id)
    with _opened(new) as descriptor:
        digest = plain_file.put(store, key, descriptor)
    reach("collect.after_put")
    return _artifact(new, digest, now, None)


def stage_inline(new: NewArtifact, now: datetime) -> Artifact | None:
    """The file with its content, if it is small enough to lie in a row; else null. Cheap."""
    with _opened(new) as descriptor:
        content = os.read(descriptor, INLINE_BYTES + 1)
    if len(content) > INLINE_BYTES:
        return None
    digest = Digest()
    digest.update(content)
    return _artifact(new, digest, now, content)


def _artifact(new: NewArtifact, digest: Digest, now: datetime, content: bytes | None) -> Artifact:
    return Artifact(
        id=new.id,
        organization_id=new.organization_id,
        job_id=new.job_id,
        attempt=new.attempt,
        kind=new.kind,
        name=display_name(new.name),
        media_type=sniff(digest.head, digest.size_bytes, name=new.name),
        size_bytes=digest.size_bytes,
        sha256=digest.sha256,
        created_at=now,
        inline=content is not None,
        content=content,
    )


@contextmanager
def _opened(new: NewArtifact) -> Generator[int]:
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(plain_file.opened(new.path, new.below))
        except OSError as error:
            message = f"The output {new.name!r} can not be read: {error.strerror}."
            raise OutputRefused(message) from error
        yield descriptor
