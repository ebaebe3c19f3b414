"""The hall assembled: what the faces and the rooms are given."""

from dataclasses import dataclass

from usina.kernel.artifacts.service import Artifacts
from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.bus import Bus
from usina.kernel.events.stream import EventStream
from usina.kernel.files.service import Files
from usina.kernel.idempotency.service import Idempotency
from usina.kernel.jobs.organization import Organizations
from usina.kernel.jobs.queue import Queues
from usina.kernel.jobs.schedule.service import Schedules
from usina.kernel.jobs.service import Jobs
from usina.kernel.jobs.worker import Workers
from usina.kernel.limits.attempts import Attempts
from usina.kernel.limits.meter import Meter
from usina.kernel.readiness import Readiness
from usina.kernel.registry import Registry
from usina.kernel.storage.store import Store
from usina.kernel.tenancy.account import Accounts
from usina.kernel.tenancy.api_key import ApiKeys
from usina.kernel.tenancy.audit import AuditLog
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.invitation import Invitations
from usina.kernel.tenancy.member import Members
from usina.kernel.tenancy.service import Tenancy
from usina.kernel.webhooks.service import Webhooks
from usina.settings import Settings


@dataclass(frozen=True)
class Platform:
    """One running platform."""

    settings: Settings
    clock: Clock
    database: Database
    secret: bytes
    gate: Gate
    tenancy: Tenancy
    accounts: Accounts
    api_keys: ApiKeys
    organizations: Organizations
    members: Members
    invitations: Invitations
    audit: AuditLog
    attempts: Attempts
    meter: Meter
    registry: Registry
    store: Store
    files: Files
    artifacts: Artifacts
    bus: Bus
    events: EventStream
    idempotency: Idempotency
    jobs: Jobs
    workers: Workers
    queues: Queues
    schedules: Schedules
    webhooks: Webhooks
    readiness: Readiness
