"""``bearerwatch demo``: the whole product on one screen.

Three sample APIs and a collector are started; ordinary traffic and six attacks are sent over real HTTP; one request is
followed from nginx to a Celery worker; then the run is judged: every request has its one event, every attack was
alerted, nothing else was, the request that was followed is one thread with one fingerprint, and no token is to be read
anywhere.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bearerwatch.demo.driver import Driver
    from bearerwatch.demo.verdict import Verdict

__all__ = ["run"]

_SEED = 20_250_601


def run(*, keep: bool = False, as_json: bool = False, seed: int | None = None, out: Path | None = None) -> int:
    """Run the demonstration.

    Args:
        keep: leave samples and collector running until Ctrl-C.
        as_json: print the result as one JSON document on standard output; what is shown meanwhile goes to
            standard error either way.
        seed: of the traffic's dice; the same one if not given.
        out: folder for everything the run writes, ``demo-out`` if not given. It is emptied first if a
            demonstration made it, and refused if not.

    Returns:
        0 if all that is promised was kept, 1 if not, 130 if interrupted.

    Raises:
        ConfigurationError: something is not installed, or *out* cannot be used.
        BearerwatchError: a process could not be started or fell over.
    """
    # Here, so that the command line can say what the demonstration does without loading it.
    from bearerwatch.demo.driver import Driver  # noqa: PLC0415
    from bearerwatch.demo.layout import Layout  # noqa: PLC0415
    from bearerwatch.demo.screen import Screen  # noqa: PLC0415

    layout = Layout.make(out or Path("demo-out"))
    with Screen(layout.terminal) as screen:
        driver = Driver(layout, screen, _SEED if seed is None else seed)
        verdict = asyncio.run(_until_interrupted(driver, keep=keep))
    if verdict is None:
        return 130
    if as_json:
        sys.stdout.write(json.dumps(verdict.to_dict(), indent=2) + "\n")
    return 0 if verdict.holds else 1


async def _until_interrupted(driver: Driver, *, keep: bool) -> Verdict | None:
    """Run *driver*; Ctrl-C or SIGTERM ends it in order, even where the one who started us had SIGINT ignored."""
    running = asyncio.ensure_future(driver(keep=keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return driver.verdict
