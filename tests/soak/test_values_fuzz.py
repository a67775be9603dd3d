"""Values that are no text, and the door of the standard library's logging: no token, no exception, nothing changed."""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import queue
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from bearerwatch import _guard, install_logging
from bearerwatch.redact import Structure, gate, redact_value
from soak.mixes import ALIKE, Mixer, survivors
from soak.rounds import SECONDS, Round, pure, rounds
from soak.things import Odd, Things

_LOGGER = logging.Logger("redaction.under.test", logging.DEBUG)  # noqa: LOG001 - pytest's handlers raise for a bad call


@pytest.fixture(autouse=True)
def compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


def shown(value: Any) -> str:
    """As it can be read in a log, whoever shows it."""
    return f"{value!r}"


def structure(turn: Round) -> None:
    things = Things(Mixer(turn), objects=False)
    rng = things.rng
    value, secrets = things(), things.secrets
    before = shown(value)

    clean = redact_value(value)

    assert shown(value) == before
    assert survivors(secrets, shown(clean)) == [], before
    assert shown(redact_value(clean)) == shown(clean), before
    with pure():
        assert shown(redact_value(value)) == shown(clean), before
    strict = Structure(
        deny=rng.choice(((), ("data", "X-Seen"))),
        allow=rng.choice(((), ("id", "page"))),
        replace=rng.choice((None, lambda path, _value: None if "user" not in path else "somebody")),
        depth=rng.choice((0, 1, 3, 100)),
        size=rng.choice((0, 1, 10, 100_000)),
    )
    assert survivors(secrets, shown(strict(value))) == [], before


def unharmed(turn: Round) -> None:
    """What holds nothing is the same object afterwards."""
    rng = Mixer(turn).rng
    value = {f"n{at}": rng.choice((list, tuple, str))(rng.choice(ALIKE)[:80]) for at in range(rng.randrange(8))}
    assert redact_value(value) == value


class Kept(logging.Handler):
    """A handler that looks into the records for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        inside = dict(record.__dict__)
        inside.pop("exc_info")
        if isinstance(record.args, Mapping):  # the message shows some of it, and is asked about that alone
            del inside["args"]
        self.said += [shown(inside), "".join(map(str, record.exc_info or ()))]


def call(things: Things) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """A message, its arguments, and what else a call of a logger is given."""
    rng = things.rng
    values = [things(2) for _ in range(rng.randrange(4))]
    message: Any = " ".join(rng.choice(("%s", "%r", "got %s", "%-20s|")) for _ in values) or "nothing"
    args: tuple[Any, ...] = tuple(values)
    kind = rng.random()
    if kind < 0.15:
        message, args = things(2), ()
    elif kind < 0.3:
        message, args = "%(held)s and %(n)d", ({"held": rng.choice((things, things.named))(), "n": 7},)
    elif kind < 0.4:  # the caller's mistake
        message = rng.choice(
            (f"{message} %s", f"{message} %d", f"{message} %", "%d" * len(values), "%(x)s", "no place")
        )
    things.objects = False  # in a record they are left to the formatter that shows them
    extra = {f"more_{at}": things(2) for at in range(rng.choice((0, 0, 1, 3)))}
    if rng.random() < 0.3:
        extra |= {key.replace("-", "_"): value for key, value in things.named().items()}
    return message, args, {"extra": extra, "stack_info": rng.random() < 0.1}


def raised(things: Things) -> BaseException:
    """An exception after another one, as it is caught."""
    inner, outer = things(1), things(1)
    try:
        try:
            raise KeyError(inner)  # noqa: TRY301 - it is to be caught here
        except KeyError as error:
            error.add_note(str(things.leaf()))
            raise ValueError(outer, 7) from (error if things.rng.random() < 0.5 else None)
    except ValueError as error:
        return error


def logged(turn: Round) -> None:
    things = Things(Mixer(turn), objects=True)
    message, args, more = call(things)
    if things.rng.random() < 0.3:
        things.objects = True
        more["exc_info"] = raised(things)
    before = shown((message, args, more["extra"]))
    stream, stderr, kept = io.StringIO(), io.StringIO(), Kept()
    queued: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handlers = [logging.StreamHandler(stream), kept, logging.handlers.QueueHandler(queued)]
    _LOGGER.handlers[:] = handlers
    try:
        with contextlib.redirect_stderr(stderr):
            _LOGGER.warning(message, *args, **more)
    finally:
        _LOGGER.handlers.clear()
        for handler in handlers:
            handler.close()
    said = [stream.getvalue(), stderr.getvalue(), *kept.said]
    while not queued.empty():
        said.append(shown(queued.get().__dict__))
    assert survivors(things.secrets, "\n".join(said)) == [], before
    assert shown((message, args, more["extra"])) == before


def untouched(turn: Round) -> None:
    """A clean line comes out as it was formatted, and a record of it is the very one."""
    mixer = Mixer(turn)
    line = mixer.around(ALIKE)
    kept: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = kept.append  # type: ignore[assignment, method-assign]
    record = logging.LogRecord("app", logging.INFO, "/srv/app.py", 7, "%s", (line,), None)
    handler.handle(record)
    assert kept == [record]
    assert handler.format(record) == line


def failing(turn: Round) -> None:
    """Objects that cannot even be shown: the host's call returns all the same, and no token is written."""
    things = Things(Mixer(turn), objects=True)
    message, args, more = call(things)
    odd = things.rng.choice((Odd(), [Odd()], {"data": Odd()}, Odd))
    stream, stderr = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(stream)
    _LOGGER.handlers[:] = [handler]
    _guard.reraise(False)
    try:
        with contextlib.redirect_stderr(stderr):
            _LOGGER.warning(message, *args, odd, **{**more, "extra": more["extra"] | {"odd": odd}})
        redact_value([odd, *args])
    finally:
        _guard.reraise(True)
        _LOGGER.handlers.clear()
        handler.close()
    assert survivors(things.secrets, stream.getvalue() + stderr.getvalue()) == []


def by_turns(check: Callable[[Round], None], turn: Round) -> None:
    """*check* through the doors of logging, with Hyperscan and without it by turns."""
    install_logging()
    with pure() if turn.number % 2 else contextlib.nullcontext():
        check(turn)


LOGGING = [partial(by_turns, check) for check in (logged, untouched, failing)]


@pytest.mark.parametrize(
    ("check", "few"),
    [
        (structure, 300),
        (unharmed, 200),
        (LOGGING[0], 150),
        (LOGGING[1], 200),
        (LOGGING[2], 150),
    ],
    ids=["structure", "unharmed", "logged", "untouched", "failing"],
)
def test_a_few(check: Callable[[Round], None], few: int) -> None:
    rounds(check, few=few)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("checks", [(structure, unharmed), LOGGING], ids=["structure", "logging"])
def test_for_long(checks: Sequence[Callable[[Round], None]]) -> None:
    rounds(*checks)
