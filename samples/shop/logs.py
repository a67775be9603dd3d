"""The shop's logging, as teams really have it: one stream, and DEBUG left on since the last incident."""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["configure"]

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure() -> None:
    """Log to standard output at ``SHOP_LOG_LEVEL`` (DEBUG when it is not set)."""
    logging.basicConfig(stream=sys.stdout, format=FORMAT, level=logging.INFO)
    logging.getLogger("shop").setLevel(os.environ.get("SHOP_LOG_LEVEL", "DEBUG"))
