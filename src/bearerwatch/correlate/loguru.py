"""Ids for loguru: ``{extra[request_id]}`` in every format, and in what ``serialize=True`` writes.

:func:`bearerwatch.redact.loguru.install_loguru` adds them for every handler. Where loguru is not redacted, this is a
patcher: ``logger.configure(patcher=add_ids)``. https://loguru.readthedocs.io/en/stable/api/logger.html
"""

from __future__ import annotations

from typing import Any

from bearerwatch import _guard
from bearerwatch.correlate.ids import log_ids

__all__ = ["add_ids"]


def add_ids(record: Any) -> None:
    """Put the ids of the request at hand into what is ``extra`` of *record*, where it has none by those names.

    All of :data:`bearerwatch.correlate.LOG_IDS`, and ``-`` for what is not known: a format that names them works
    outside of requests, too.
    """
    try:
        extra = record["extra"]  # made for this very record
        for name, value in log_ids().items():
            extra.setdefault(name, value)
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("ids of a loguru record", error)
