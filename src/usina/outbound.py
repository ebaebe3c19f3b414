"""What leaves the platform by itself: webhooks, and the process that sends them."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from usina.ground import Ground
from usina.http_kit.job import job_document
from usina.http_kit.links import sign
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.guard.connect import Resolve, Resolver
from usina.kernel.guard.reach import Reach
from usina.kernel.jobs.store import query
from usina.kernel.registry import discover_apps, loaded
from usina.kernel.webhooks.deliver import Deliverer, DeliverOptions
from usina.kernel.webhooks.handover import Documents
from usina.kernel.webhooks.post import Poster
from usina.settings import Settings

_RECORDING_SECONDS: Final = 10.0


def reach_of(settings: Settings) -> Reach:
    """What webhooks may be sent to."""
    return Reach(settings.webhook_allowed_networks)


def documents_of(settings: Settings) -> Documents:
    """Jobs as clients see them; the links of their artifacts are signed when they are sent."""

    def documents(
        tx: Transaction, organization_id: str, job_ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        found = query.find_many(tx, organization_id, job_ids, settings.alive)
        return {job.id: job_document(job, lambda _: "") for job in found.values()}

    return documents


async def start_delivering(
    ground: Ground, *, alone: bool = False, resolve: Resolve | None = None
) -> Deliverer:
    """Sends what is to be sent until the ground is left; ``alone`` says that nobody else does."""
    settings = ground.settings
    if resolve is None:
        resolve = resolver = Resolver()
        ground.parts.callback(resolver.close)
    poster = Poster(reach_of(settings), resolve, settings.webhook_timeout_seconds)
    deliverer = Deliverer(
        ground.database,
        ground.bus,
        ground.clock,
        poster,
        documents_of(settings),
        _link(ground),
        ground.secret,
        deliver_options(settings),
        [loaded(room.callback) for room in discover_apps("usina.apps") if room.callback],
    )
    await deliverer.start(take_over=alone)
    ground.parts.push_async_callback(deliverer.stop)
    return deliverer


def deliver_options(settings: Settings) -> DeliverOptions:
    lease = timedelta(seconds=settings.webhook_timeout_seconds + _RECORDING_SECONDS)
    disable_after = timedelta(days=settings.webhook_disable_days)
    return DeliverOptions(settings.webhook_concurrency, lease, disable_after)


def _link(ground: Ground) -> Callable[[str], str]:
    def link(artifact_id: str) -> str:
        path = f"/api/v1/artifacts/{artifact_id}/content"
        return sign(ground.secret, path, ground.settings.link_seconds)

    return link
