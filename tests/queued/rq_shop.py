"""A shop's jobs on RQ."""

from __future__ import annotations

import logging
from typing import Any

import requests
from rq import Queue, Retry, get_current_job

from bearerwatch.context import current

log = logging.getLogger("rq.worker.shop")  # what RQ's own handler prints


def at_hand() -> dict[str, Any] | None:
    """The request that is at hand, as a log line would name it."""
    context = current.get()
    if context is None:
        return None
    return {
        name: getattr(context, name)
        for name in ("request_id", "trace_id", "parent_request_id", "token_id", "task_id")
    }  # fmt: skip


def seen(*_: Any) -> dict[str, Any] | None:
    return at_hand()


async def seen_later() -> dict[str, Any] | None:
    return at_hand()


def with_meta() -> list[Any]:
    return [at_hand(), get_current_job().meta]


def fails_once() -> list[Any]:
    """Puts a ``meta`` of its own in place of the one there was, and fails; and does it again."""
    job = get_current_job()
    times = job.meta.get("times", 0)
    job.meta = {"times": times + 1}
    job.save_meta()
    if not times:
        raise ValueError("not yet")
    return [times, at_hand()]


def again() -> Any:
    job = get_current_job()
    return at_hand() if job.number_of_retries else Retry(max=1)


def enqueues(name: str) -> list[Any]:
    job = get_current_job()
    return [at_hand(), Queue(name, connection=job.connection).enqueue(seen).id]


def asks(url: str) -> dict[str, Any] | None:
    requests.get(url, timeout=10)
    return at_hand()


def logs(*words: str, **named: str) -> str:
    log.warning("words %s named %s", words, named)
    return " ".join(words)


def leaks(token: str) -> None:
    """Of one test alone: a line of code is told of once a minute."""
    logging.getLogger("rq_shop.leaks").warning("got %s", token)


def fails(*words: str) -> None:
    raise ValueError(f"no good: {words}")
