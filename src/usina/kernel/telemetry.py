"""Logs and metrics. Log lines are JSON on stderr; metrics name no organization."""

import logging
import re
import sys
from collections.abc import Callable
from typing import Final, Literal

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from pydantic_core import to_json

REGISTRY: Final = CollectorRegistry()
_TOKEN: Final = re.compile(r"(?<=token=)[^&\s\"']+")
JOBS_FINISHED: Final = Counter(
    "usina_jobs_finished",
    "Jobs that ended, by model and status.",
    ["model", "status"],
    registry=REGISTRY,
)
JOBS_SUBMITTED: Final = Counter(
    "usina_jobs_submitted", "Jobs accepted, by model.", ["model"], registry=REGISTRY
)
JOB_SECONDS: Final = Histogram(
    "usina_job_run_seconds",
    "Running time of finished attempts, by model.",
    ["model"],
    registry=REGISTRY,
    buckets=(0.005, 0.05, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 43200),
)
QUEUE_DEPTH: Final = Gauge(
    "usina_queue_depth", "Jobs that wait, by queue.", ["queue"], registry=REGISTRY
)
QUEUE_OLDEST: Final = Gauge(
    "usina_queue_oldest_wait_seconds",
    "Wait of the oldest claimable job, by queue.",
    ["queue"],
    registry=REGISTRY,
)
MODEL_UNSERVED: Final = Gauge(
    "usina_model_unserved",
    "1 while jobs wait for a model that no living worker can run, by queue and model.",
    ["queue", "model"],
    registry=REGISTRY,
)
JOBS_RESCUED: Final = Counter(
    "usina_jobs_rescued", "Jobs taken back from a lost worker.", registry=REGISTRY
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "usina_webhook_attempts",
    "Attempts at webhook deliveries, by result.",
    ["result"],
    registry=REGISTRY,
)
WEBHOOK_SECONDS: Final = Histogram(
    "usina_webhook_attempt_seconds",
    "How long receivers of webhooks take to answer.",
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
WEBHOOKS_PENDING: Final = Gauge(
    "usina_webhooks_pending", "Webhook deliveries that wait.", registry=REGISTRY
)
FOLLOWERS: Final = Gauge(
    "usina_followers", "Streams that are open here, by channel.", ["channel"], registry=REGISTRY
)
FOLLOWERS_BEHIND: Final = Counter(
    "usina_followers_behind",
    "Times that a follower did not keep up and went back to the log.",
    registry=REGISTRY,
)
LOG_READS: Final = Counter(
    "usina_log_reads", "Reads of the event log for those who follow it.", registry=REGISTRY
)
SLOTS_BUSY: Final = Gauge("usina_slots_busy", "Slots that run a job here.", registry=REGISTRY)

RATE_FAILURES: Final = Counter(
    "usina_rate_limit_failures",
    "Requests that were let through because their rate could not be counted.",
    registry=REGISTRY,
)


def metrics_text() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def serve_metrics(host: str, port: int) -> Callable[[], None]:
    """Answers with all metrics over HTTP, from a thread; returns what ends it.

    For a process that has no API. Raises ``OSError`` where it can not listen.
    """
    server, thread = start_http_server(port, host, REGISTRY)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


def _without_tokens(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """No line shows the token of an address, whoever wrote it."""
    for name, value in event.items():
        if isinstance(value, str) and "token=" in value:
            event[name] = _TOKEN.sub("***", value)
    return event


def _json_text(event: structlog.typing.EventDict, **_: object) -> str:
    return to_json(event, fallback=repr).decode()


def configure_logging(level: str, form: Literal["json", "console"], *, sql: bool = False) -> None:
    """Sends every log line of the process, libraries included, to stderr in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_json_text)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # local names hold secrets
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, _without_tokens, last]
        if form == "json"
        else [*shared, _without_tokens, last],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_tokens,
                last,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for talkative in ("alembic", "httpx2"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # Below, it shows what comes over WebSockets, credentials too.
    logging.getLogger("uvicorn").setLevel(max(logging.INFO, logging.getLogger().level))
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO if sql else logging.WARNING)
