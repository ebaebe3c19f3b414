"""What the room does by the clock: uploads go when they were used, old photos, begun erasures."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from usina.apps.avatars.customer import store
from usina.apps.avatars.customer.erasure import finish_erasing
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound, Unavailable
from usina.kernel.files.file import File
from usina.kernel.platform import Platform

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LIMIT: Final = 200
_NEVER_A_JOB: Final = timedelta(minutes=10)


def turns(platform: Platform) -> Mapping[str, tuple[Callable[[], Awaitable[None]], float]]:
    """The room's part of the beat: what is done, and how many seconds lie between."""
    return {
        "release_uploads": (partial(release_uploads, platform), 2.0),
        "finish_erasures": (partial(finish_erasures, platform), 10.0),
        "forget_old_photos": (partial(forget_old_photos, platform), 600.0),
    }


async def release_uploads(platform: Platform) -> None:
    """Deletes uploads whose job has ended, whatever its end: the object first, then the row."""
    database, objects = platform.database, platform.store
    while spent := await database.read(
        lambda tx: store.spent_uploads(tx, tx.now - _NEVER_A_JOB, _LIMIT)
    ):
        keys = [File.key_of(photo.organization_id, photo.file_id or "") for photo in spent]
        await objects.run(partial(objects.delete, keys))

        def release(tx: Transaction, photos: list[store.Photo] = spent) -> None:
            for photo in photos:
                store.release_upload(tx, photo)

        await database.write(release)


async def finish_erasures(platform: Platform) -> None:
    """Ends what a kill or a program that would not stop has left."""
    for customer in await platform.database.read(lambda tx: store.being_erased(tx, _LIMIT)):
        try:
            await finish_erasing(platform, customer)
        except Unavailable as problem:
            _log.warning("an erasure has not ended yet", why=problem.code)
        except NotFound:
            continue  # somebody else has ended it


async def forget_old_photos(platform: Platform) -> None:
    """Deletes photos that were kept as long as was said, and what is left of deleted jobs."""
    days = platform.settings.retention_photos_days
    while over := await platform.database.read(lambda tx: store.kept_too_long(tx, days, _LIMIT)):
        for organization_id, job_id in over:
            try:
                await platform.jobs.delete(organization_id, job_id)
            except (NotFound, Conflict):
                continue
        if len(over) < _LIMIT:
            break
    while await platform.database.write(store.forget_lost):
        pass
