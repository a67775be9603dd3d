"""What is done behind the counter: ``celery -A django_api.tasks worker``. bearerwatch has no line here.

The app in ``INSTALLED_APPS`` is enough: whatever a task logs has the ids of the request that asked for it.
"""

from __future__ import annotations

import logging
import os

from celery import Celery, signals
from shop import logs

app = Celery("shop", broker=os.environ.get("SHOP_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
log = logging.getLogger("shop.worker")


@signals.setup_logging.connect
def configure_logging(**_: object) -> None:
    """The shop's log rather than Celery's."""
    logs.configure()


@app.task
def pack(number: int) -> None:
    """Pack an order. A worker is told its number, never the token of whoever asked."""
    from django_api.models import Order  # noqa: PLC0415 - Django is set up once Celery has read this file

    Order.objects.filter(pk=number).update(status="packed")
    log.info("order %d is packed", number)
