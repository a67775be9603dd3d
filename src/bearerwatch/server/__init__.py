"""The collector as one process: the only place that names the order of the stages."""

from __future__ import annotations

from bearerwatch.server.collector import Collector
from bearerwatch.server.settings import CollectorSettings, parse_duration
from bearerwatch.server.status import Status, read_status

__all__ = ["Collector", "CollectorSettings", "Status", "parse_duration", "read_status"]
