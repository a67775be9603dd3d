"""One way of redacting in one process: answers each line it is asked with a line of JSON.

``time <chunks> <size> <kind> <seed>``: nanoseconds of processor time of each chunk of that many records, without the
redaction and with it. ``check <count> <kind> <seed>``: in how many records something was leaked or changed.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TextIO

from bench._redact_made import leaked
from bench._redact_records import KINDS, Record, records

__all__ = ["OURS", "PEERS", "PURE", "VARIANTS"]

OURS, PURE, BARE = "bearerwatch", "bearerwatch, pure Python", "bare"
_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_WARM_UP = 300


class _Sides(NamedTuple):
    """The logger without redaction and the one with it, each with its handler; and what turns it on and off."""

    bare: tuple[logging.Logger, logging.StreamHandler[TextIO]]
    watched: tuple[logging.Logger, logging.StreamHandler[TextIO]]
    turn: Callable[[bool], None] = lambda _on: None

    def side(self, watched: bool) -> tuple[logging.Logger, logging.StreamHandler[TextIO]]:
        self.turn(watched)
        return self.watched if watched else self.bare


def _logger(
    name: str, formatter: type[logging.Formatter] = logging.Formatter
) -> tuple[logging.Logger, logging.StreamHandler[TextIO]]:
    """A logger as an application sets it up, but for what it writes to."""
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler: logging.StreamHandler[TextIO] = logging.StreamHandler(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end
    handler.setFormatter(formatter(_LINE))
    logger.addHandler(handler)
    return logger, handler


def _bearerwatch(pure: bool) -> _Sides:
    """The one line of its README."""
    if pure:
        os.environ["BEARERWATCH_ACCEL"] = "off"
    import bearerwatch  # noqa: PLC0415
    from bearerwatch.redact.gate import PREFILTER  # noqa: PLC0415

    if PREFILTER.ready() is pure:
        raise RuntimeError("Hyperscan is not there: install bearerwatch[accel], or mend BEARERWATCH_ACCEL")

    def turn(on: bool) -> None:
        (bearerwatch.install_logging if on else bearerwatch.uninstall_logging)()

    one = _logger("shop")
    return _Sides(one, one, turn)


def _filtered(attach: Callable[[logging.Logger, logging.Handler], object]) -> _Sides:
    watched = _logger("shop")
    attach(*watched)
    return _Sides(_logger("bare"), watched)


def _formatted(redact: Callable[[str], str]) -> _Sides:
    """For a function from text to text: in a formatter, where nothing gets past it."""

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return redact(super().format(record))

    return _Sides(_logger("bare"), _logger("shop", Formatter))


def _redact_secret() -> _Sides:
    import redact_secret  # noqa: PLC0415

    return _formatted(lambda text: redact_secret.scan_and_redact(text).text)


def _redact_secret_filter() -> _Sides:
    from redact_secret_adapters.logging_filter import RedactSecretFilter  # noqa: PLC0415

    return _filtered(lambda _logger, handler: handler.addFilter(RedactSecretFilter()))


def _secretmask() -> _Sides:
    from secretmask import mask_text  # noqa: PLC0415

    return _formatted(mask_text)


def _logprivacy() -> _Sides:
    from logprivacy import get_safe_logger  # noqa: PLC0415

    return _filtered(lambda logger, _handler: get_safe_logger(logger.name))


def _python_log_redactor() -> _Sides:
    from log_redactor import RedactingFilter  # noqa: PLC0415

    return _filtered(lambda _logger, handler: handler.addFilter(RedactingFilter()))


PEERS: dict[str, Callable[[], _Sides]] = {
    "redact-secret": _redact_secret,
    "redact-secret, filter": _redact_secret_filter,
    "secretmask": _secretmask,
    "logprivacy": _logprivacy,
    "python-log-redactor": _python_log_redactor,
}
VARIANTS: dict[str, Callable[[], _Sides]] = {
    BARE: lambda: _filtered(lambda _logger, _handler: None),
    OURS: lambda: _bearerwatch(False),
    PURE: lambda: _bearerwatch(True),
    **PEERS,
}


def _log(logger: logging.Logger, what: list[Record]) -> int:
    info = logger.info
    began = time.process_time_ns()
    for message, args, _secret in what:
        info(message, *args)
    return time.process_time_ns() - began


def _time(sides: _Sides, chunks: int, size: int, kind: str, seed: int) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {"bare": [], "watched": []}
    for watched in (True, False) if seed % 2 else (False, True):
        logger, _ = sides.side(watched)
        _log(logger, records(kind, 2 * size, seed))  # the others have had the caches meanwhile
        for chunk in range(chunks):
            # Both sides log the same, in strings of their own.
            times["watched" if watched else "bare"].append(_log(logger, records(kind, size, seed + chunk)))
    gc.collect()
    return times


def _check(sides: _Sides, count: int, kind: str, seed: int) -> dict[str, int]:
    """How many records have left a secret behind, and how many are not what they are without redaction."""
    texts: dict[bool, list[str]] = {}
    for watched in (False, True):
        logger, handler = sides.side(watched)
        texts[watched] = []
        for record in records(kind, count, seed):
            before = handler.setStream(io.StringIO())
            _log(logger, [record])
            text = handler.setStream(before or io.StringIO())
            assert isinstance(text, io.StringIO)
            texts[watched].append(text.getvalue().partition(f" {logger.name}: ")[2])
    secrets = [record.secret for record in records(kind, count, seed)]
    return {
        "leaked": sum(bool(secret) and leaked(secret, text) for secret, text in zip(secrets, texts[True], strict=True)),
        "changed": sum(bare != text for bare, text in zip(texts[False], texts[True], strict=True)),
    }


def main(variant: str) -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a peer that prints must not spoil an answer
    sides = VARIANTS[variant]()
    for watched in (False, True):
        for kind in KINDS:
            _log(sides.side(watched)[0], records(kind, _WARM_UP, 0))
    gc.collect()
    gc.freeze()  # the collector stays on, as in a server, but does not walk what was there before
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        command, *numbers, kind, seed = line.split()
        if command == "time":
            chunks, size = map(int, numbers)
            answer: object = _time(sides, chunks, size, kind, int(seed))
        else:
            answer = _check(sides, int(numbers[0]), kind, int(seed))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
