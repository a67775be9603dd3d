"""Celery: a task says for which request it is, and whatever its worker does meanwhile is for that one.

By Celery's own signals: what is published carries a header, whichever message protocol is spoken, and what publishes
what makes no difference: a view, another task, a chain, a chord. A retry is sent with the headers that it came with.
Under ``task_always_eager`` a task runs amid the request itself, whose context stands.
https://docs.celeryq.dev/en/stable/userguide/signals.html
"""

from __future__ import annotations

from typing import Any

from celery.signals import (  # type: ignore[import-untyped]
    before_task_publish,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
)

from bearerwatch import _guard
from bearerwatch.integrations import _process
from bearerwatch.integrations.libraries import _jobs
from bearerwatch.redact import culprits

__all__ = ["DISTRIBUTION", "TESTED", "install"]

DISTRIBUTION, TESTED = "celery", ("5.4", "5.7")
_SHOWN = ("argsrepr", "kwargsrepr")
"""What monitors and logs show of the arguments, which stay what they are."""


def install() -> None:
    """Connect to the signals."""
    for signal, receiver in (
        (before_task_publish, _published),
        (task_prerun, _begun),
        (task_postrun, _ended),
        (worker_init, _started),
        (worker_process_init, _started),
        (worker_process_shutdown, _ending),
    ):
        signal.connect(receiver, weak=False, dispatch_uid="bearerwatch")


def _published(headers: Any = None, **_: Any) -> None:
    if headers is None:
        return
    try:
        told = _jobs.told()
        if told is not None:
            headers[_jobs.KEY] = told
        for name in _SHOWN:
            clean = _jobs.shown(headers.get(name))
            if clean is not None:
                headers[name] = clean
    except Exception as error:  # noqa: BLE001 - host boundary: no task is lost because of us
        _guard.swallowed("telling a task of its request", error)


def _begun(task: Any = None, task_id: Any = None, args: Any = None, kwargs: Any = None, **_: Any) -> None:
    try:
        request = task.request
        if request.is_eager:
            return
        _jobs.begin(request.get(_jobs.KEY), task_id)  # a header of the message, by either protocol
        _jobs.hold(args, kwargs)
    except Exception as error:  # noqa: BLE001 - host boundary: no task fails because of us
        _guard.swallowed("reading of a task's request", error)


def _ended(task: Any = None, **_: Any) -> None:
    try:
        if not task.request.is_eager:
            _jobs.end()
    except Exception as error:  # noqa: BLE001 - as above
        _guard.swallowed("ending a task", error)


def _started(**_: Any) -> None:
    _process.begin()


def _ending(**_: Any) -> None:
    culprits.flush()  # processes of a pool end without what Python does at exit
