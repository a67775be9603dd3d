"""A shop's tasks on Celery, as a worker runs them: ``celery -A celery_shop worker``."""

from __future__ import annotations

import logging
import os
from json import dumps
from typing import Any

import requests
from celery import Celery, chord, group
from celery.utils.log import get_task_logger

import bearerwatch
from bearerwatch.context import current

if os.environ.get("SHOP_PLAIN") is None:
    bearerwatch.install(service="shop-worker")

app = Celery("shop", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_send_task_events=True)
log = get_task_logger(__name__)


def at_hand() -> dict[str, Any] | None:
    """The request that is at hand, as a log line would name it."""
    context = current.get()
    if context is None:
        return None
    return {
        name: getattr(context, name)
        for name in ("request_id", "trace_id", "parent_request_id", "token_id", "task_id")
    }  # fmt: skip


@app.task(name="seen")
def seen(*_: Any) -> dict[str, Any] | None:
    return at_hand()


@app.task(name="both")
def both(first: list[Any], *_: Any) -> list[Any]:
    return [*first, at_hand()]


@app.task(name="retried", bind=True, max_retries=2)
def retried(self: Any) -> None:
    """Leaves what it saw by itself: a try may be told of as its result after the next one is."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    self.app.backend.client.set(f"celery-task-meta-done-{self.request.id}", dumps(
        {"status": "SUCCESS", "result": [self.request.retries, at_hand()]}
    ))  # fmt: skip


@app.task(name="publishes")
def publishes() -> list[Any]:
    """What a task publishes, another does."""
    return [at_hand(), seen.delay().id, group(seen.s(), seen.s()).apply_async().children[0].id]


@app.task(name="chorded")
def chorded() -> str:
    parts = [seen.s().set(queue="prefork"), seen.s().set(queue="prefork")]
    return str(chord(parts, both.s().set(queue="prefork")).apply_async().id)


@app.task(name="eagerly")
def eagerly() -> list[Any]:
    """A task run amid another, and what is at hand behind it."""
    return [seen.apply().result, at_hand()]


@app.task(name="asks")
def asks(url: str) -> dict[str, Any] | None:
    requests.get(url, timeout=10)
    return at_hand()


@app.task(name="logs")
def logs(*words: str, **named: str) -> str:
    log.warning("words %s named %s", words, named)
    logging.getLogger("shop").info("and once more: %r", words)
    print("printed", *words)  # noqa: T201 - Celery makes log lines of it
    return " ".join(words)


@app.task(name="leaks")
def leaks(token: str) -> None:
    """Of one test alone: a line of code is told of once a minute."""
    logging.getLogger("celery_shop.leaks").warning("got %s", token)


@app.task(name="fails")
def fails(*words: str) -> None:
    raise ValueError(f"no good: {words}")
