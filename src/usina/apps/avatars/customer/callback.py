"""What a photo's ``callbackUrl`` is told: its state, as the route would answer it."""

from collections.abc import Mapping
from typing import Any

from usina.apps.avatars.customer.status import of_job_document
from usina.apps.avatars.customer.store import find_photo
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound


def own_words(
    tx: Transaction, organization_id: str, job: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The state of the photo that the job makes; null for a job that is of no photo."""
    try:
        _, name = find_photo(tx, organization_id, job["id"], None)
    except NotFound:
        return None
    return of_job_document(job, name)
