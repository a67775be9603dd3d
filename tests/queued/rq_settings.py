"""What ``rq worker --config rq_settings`` reads: the worker's own process is watched, and with it its work horses."""

from __future__ import annotations

import os

import rq

import bearerwatch

bearerwatch.install(service="shop-worker")

REDIS_URL = os.environ["QUEUE_URL"]


class Spawning(getattr(rq, "SpawnWorker", rq.Worker)):  # which RQ has since 2.2
    """Its work horses are interpreters of their own, which read this module for the class's sake."""
