"""Celery's way to Redis, where it would have ended the worker."""

from typing import Any

from tests.redis_server import redis_server
from usina.kernel.dispatch.celery import make_celery


def test_who_acknowledges_what_a_lost_connection_brought_goes_on() -> None:
    app = make_celery(redis_server().url, ["default"], "a-platform")
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        channel.close()
        assert channel.basic_ack("of a message that came before") is None
    app.close()
