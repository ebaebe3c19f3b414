"""Secrets of webhooks: worked out, not kept.

A secret is an HMAC of its owner and a salt under the platform's own secret, so that no table, and
no copy of one, holds it. Rotating it changes the salt; the one before still signs for a day.
"""

import base64
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.webhooks.table import webhook_secrets

OVERLAP: Final = timedelta(hours=24)
_NO_SALT: Final = ""
"""Of an organization whose secret was never rotated."""


@dataclass(frozen=True, slots=True)
class Salts:
    """What a secret is worked out from; the one before until ``previous_until``."""

    owner_id: str
    salt: str = _NO_SALT
    previous: str | None = None
    previous_until: datetime | None = None

    def signing(self, now: datetime) -> list[str]:
        """The salts whose secrets sign at this moment, the newest first."""
        over = self.previous_until is None or self.previous_until <= now
        return [self.salt] if self.previous is None or over else [self.salt, self.previous]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as its owner sees it; ``previous_until`` is null once only the new one signs."""

    text: str
    previous_until: datetime | None


def secret_text(platform_secret: bytes, owner_id: str, salt: str) -> str:
    """256 bits as Standard Webhooks writes them: ``whsec_`` and base64."""
    key = hmac.digest(platform_secret, f"webhook secret {owner_id} {salt}".encode(), "sha256")
    return f"whsec_{base64.b64encode(key).decode()}"


def salts_of(tx: Transaction, owner_ids: Collection[str]) -> Mapping[str, Salts]:
    """By owner, as far as they ever got one."""
    query = sa.select(webhook_secrets).where(webhook_secrets.c.owner_id.in_(sorted(owner_ids)))
    return {row.owner_id: _salts(row) for row in tx.execute(query)}


def organizations_salts(tx: Transaction, organization_id: str) -> Salts:
    """An organization has a secret without asking for one."""
    return salts_of(tx, [organization_id]).get(organization_id) or Salts(organization_id)


def rotate(tx: Transaction, organization_id: str, owner_id: str) -> Salts:
    """Gives the owner a new secret; an endpoint without one of its own its first."""
    known = sa.select(webhook_secrets).where(webhook_secrets.c.owner_id == owner_id)
    row = tx.execute(known.with_for_update()).one_or_none()
    values: dict[str, Any] = {"salt": secrets.token_hex(16), "rotated_at": tx.now}
    if row is not None:
        values["previous_salt"] = row.salt
        changed = sa.update(webhook_secrets).where(webhook_secrets.c.owner_id == owner_id)
        tx.execute(changed.values(values))
    else:
        values["previous_salt"] = _NO_SALT if owner_id == organization_id else None
        owner = {"owner_id": owner_id, "organization_id": organization_id}
        tx.execute(sa.insert(webhook_secrets), owner | values)
    return salts_of(tx, [owner_id])[owner_id]


def forget(tx: Transaction, owner_id: str) -> None:
    tx.execute(sa.delete(webhook_secrets).where(webhook_secrets.c.owner_id == owner_id))


def _salts(row: sa.Row[Any]) -> Salts:
    until = None if row.previous_salt is None else row.rotated_at + OVERLAP
    return Salts(row.owner_id, row.salt, row.previous_salt, until)
