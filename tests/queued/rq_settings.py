"""What ``rq worker --config rq_settings`` reads: the worker's own process is watched, and with it its work horses."""

from __future__ import annotations

import os

from rq import SpawnWorker

import bearerwatch

bearerwatch.install(service="shop-worker")

REDIS_URL = os.environ["QUEUE_URL"]


class Spawning(SpawnWorker):
    """Its work horses are interpreters of their own, which read this module for the class's sake."""
