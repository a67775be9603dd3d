"""RQ: a job says for which request it is, and whatever its worker does meanwhile is for that one.

RQ has no hook for what is enqueued, nor one around a job. What it documents a job to carry is ``meta``, where ours is
one name among the application's own: it stays there for every retry, also where the job puts another ``meta`` in place.
https://python-rq.org/docs/jobs/#storing-arbitrary-data-on-jobs
"""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import Any

from rq.job import Job
from rq.worker import Worker

from bearerwatch import _guard
from bearerwatch.integrations import _process
from bearerwatch.integrations.libraries import _jobs
from bearerwatch.redact import culprits

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "rq", ("2.0", "3.0")
PATCHES = ("rq.job.Job.create", "rq.job.Job.perform", "rq.worker.Worker.work", "rq.worker.Worker.perform_job")


def install() -> None:
    """Wrap what makes a job and what performs it, and what begins a worker."""
    _wrap_create()
    _wrap_perform()
    _wrap_work()
    _wrap_perform_job()


def _wrap_create() -> None:
    theirs = Job.create.__func__  # type: ignore[attr-defined]

    @wraps(theirs)
    def create(cls: type[Job], *args: Any, **more: Any) -> Job:
        job: Job = theirs(cls, *args, **more)
        try:
            told = _jobs.told()
            if told is not None:
                job.meta = {**job.meta, _jobs.KEY: told}  # a new dict: the application's may serve it for more
            clean = _jobs.shown(job.description)  # a call with its arguments, unless the application says another
            if clean is not None:
                job.description = clean
        except Exception as error:  # noqa: BLE001 - host boundary: no job is lost because of us
            _guard.swallowed("telling a job of its request", error)
        return job

    Job.create = classmethod(create)  # type: ignore[assignment]


def _wrap_perform() -> None:
    theirs = Job.perform

    @wraps(theirs)
    def perform(self: Job) -> Any:
        what = _what(self)
        if what is not None:
            _hold(self)
        try:
            return theirs(self)
        finally:
            if what is not None and isinstance(self.meta, dict):
                self.meta.setdefault(_jobs.KEY, what)  # for whoever does it again

    Job.perform = perform  # type: ignore[method-assign]


def _wrap_work() -> None:
    owner = _owner("work")
    theirs = owner.work

    @wraps(theirs)
    def work(self: Any, *args: Any, **more: Any) -> Any:
        _process.begin()
        return theirs(self, *args, **more)

    owner.work = work


def _wrap_perform_job() -> None:
    owner = _owner("perform_job")
    theirs = owner.perform_job

    @wraps(theirs)
    def perform_job(self: Any, job: Any, *args: Any, **more: Any) -> Any:
        try:
            _jobs.begin(_what(job), job.id)
        except Exception as error:  # noqa: BLE001 - host boundary: no job fails because of us
            _guard.swallowed("reading of a job's request", error)
        try:
            return theirs(self, job, *args, **more)
        finally:
            _ended(self)

    owner.perform_job = perform_job


def _owner(name: str) -> Any:
    """The class that all of RQ's workers have a method from."""
    return next(kind for kind in Worker.__mro__ if name in kind.__dict__)


def _what(job: Any) -> Any:
    meta = getattr(job, "meta", None)
    return meta.get(_jobs.KEY) if isinstance(meta, dict) else None


def _hold(job: Job) -> None:
    with suppress(Exception):  # arguments that cannot be read are the worker's to report
        _jobs.hold(job.args, job.kwargs)


def _ended(worker: Any) -> None:
    try:
        _jobs.end()
        if getattr(worker, "is_horse", False):
            culprits.flush()  # a work horse ends without what Python does at exit
    except Exception as error:  # noqa: BLE001 - host boundary: no job fails because of us
        _guard.swallowed("ending a job", error)
