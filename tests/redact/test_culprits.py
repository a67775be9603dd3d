"""Which line of code tried to log a token: told once a minute and place, counted, and never in a loop."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bearerwatch import _guard, redact_text
from bearerwatch.fingerprint import ring
from bearerwatch.redact import culprits as redact_culprits
from bearerwatch.redact.culprits import Culprits, Leak, listen
from bearerwatch.redact.logging import culprits
from fakes import at_once, jwt, leaked, opaque
from logged import Said


@pytest.fixture
def told() -> Iterator[list[Leak]]:
    """What a listener is told."""
    leaks: list[Leak] = []
    listen(leaks.append)
    yield leaks
    listen(None)


def later(seconds: float = 61.0) -> None:
    """Let time go by for what has been told."""
    known = redact_culprits._told
    assert known is not None
    known._sweep_at -= seconds
    for place in known._places.values():
        place.due -= seconds


def test_the_first_is_told_at_once_with_place_form_and_fingerprint(
    logger: logging.Logger, said: Said, told: list[Leak]
) -> None:
    token = jwt()
    logger.info("got %s", token)
    (leak,) = told
    assert (leak.logger, leak.file, leak.times) == (logger.name, __file__, 1)
    assert (leak.form, leak.token_id) == ("jwt", ring().token_id(token))
    assert next(iter(culprits())) == (leak.logger, leak.file, leak.line)
    assert not leaked(token, repr(told))


def line(*parts: str) -> str:
    return "".join(parts)


FORMS: dict[str, tuple[Any, str]] = {
    "message": (lambda log, token: log.info(line("Bearer ", token)), "bearer"),
    "argument": (lambda log, token: log.info("%s", {"access_token": token}), "named"),
    "structure": (lambda log, token: log.info("x", extra={"headers": [("X-Api-Key", token)]}), "named"),
    "extra": (lambda log, token: log.info("x", extra={"authorization": token}), "authorization"),
    "misfit": (lambda log, token: log.info(line("token=", token, " %d"), "x"), "named"),
}


@pytest.mark.parametrize("way", FORMS)
def test_form_and_fingerprint_are_found_wherever_the_token_was(
    way: str, logger: logging.Logger, said: Said, told: list[Leak], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    token = "q7" + opaque(30)
    log, form = FORMS[way]
    log(logger, token)
    (leak,) = told
    assert (leak.form, leak.token_id) == (form, ring().token_id(token))


def test_an_exception_that_quotes_a_token_names_who_logged_it(
    logger: logging.Logger, said: Said, told: list[Leak]
) -> None:
    token = jwt()
    try:
        int(token)
    except ValueError:
        logger.exception("failed")
    (leak,) = told
    assert (leak.form, leak.token_id) == ("jwt", ring().token_id(token))


def test_a_live_token_is_told_by_its_own_fingerprint(
    logger: logging.Logger, said: Said, told: list[Leak], token: str
) -> None:
    logger.info("got %s", token[:20])
    assert [(leak.form, leak.token_id) for leak in told] == [("live", ring().token_id(token))]


def test_a_password_has_no_fingerprint(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    logger.info("password=%s", "hunter2!x")
    assert [(leak.form, leak.token_id) for leak in told] == [("password", None)]


def test_what_follows_is_counted_and_told_a_minute_later(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    for round_ in range(3):
        for _ in range(10):
            logger.info("got %s", jwt())
        later()
        assert len(told) == round_ + 1
    assert [leak.times for leak in told] == [1, 10, 10]
    assert sum(culprits().values()) == 30


def test_places_are_told_apart_and_what_one_has_held_back_goes_with_anothers(
    logger: logging.Logger, said: Said, told: list[Leak]
) -> None:
    for _ in range(5):
        logger.info("one %s", jwt())
    later()
    logger.info("two %s", jwt())
    assert [(leak.times, leak.form) for leak in told] == [(1, "jwt"), (1, "jwt"), (4, None)]
    assert told[0].line == told[2].line != told[1].line


def test_at_the_end_what_was_held_back_is_told(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    for _ in range(4):
        logger.info("one %s", jwt())
    redact_culprits.flush()
    redact_culprits.flush()
    assert [leak.times for leak in told] == [1, 3]


def test_a_record_that_two_handlers_have_counts_once(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    logger.addHandler(logging.StreamHandler(Said()))
    logger.addHandler(logging.StreamHandler(Said()))
    for _ in range(3):
        logger.info("got %s", jwt())
    redact_culprits.flush()
    assert sum(leak.times for leak in told) == 3


def test_clean_records_tell_nobody(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    logger.info("hello %s", "world")
    logger.info("done [token k1a2b3c4d:%s]", "0" * 32)
    logger.info("deep", extra={"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]})
    assert told == []


def test_what_the_listener_logs_is_redacted_and_not_told(logger: logging.Logger, said: Said) -> None:
    token, calls = jwt(), []

    def listener(leak: Leak) -> None:
        calls.append(leak)
        logger.info("sending %s", token)
        logging.getLogger("bearerwatch.security").warning("sending %s", token)

    listen(listener)
    logger.info("got %s", token)
    assert len(calls) == 1
    assert not leaked(token, str(said))
    listen(None)


def test_what_our_own_loggers_hand_to_a_thread_is_not_told(said: Said, told: list[Leak]) -> None:
    ours = logging.Logger("bearerwatch.security")  # noqa: LOG001
    ours.addHandler(logging.StreamHandler(Said()))
    threading_ = threading.Thread(target=ours.warning, args=("got %s", jwt()))
    threading_.start()
    threading_.join()
    assert told == []


def test_a_listener_that_fails_fails_alone(logger: logging.Logger, said: Said, swallowing: None) -> None:
    def listener(leak: Leak) -> None:
        raise RuntimeError("no")

    listen(listener)
    token = jwt()
    logger.info("got %s", token)
    listen(None)
    assert str(said).count("got [token ") == 1
    assert _guard.counts() == {"telling of a leak": 1}


def test_places_are_bounded() -> None:
    leaks: list[Leak] = []
    culprits_ = Culprits(leaks.append, most=3)
    for line in range(10):
        token = jwt()
        made = logging.makeLogRecord({"name": "x", "pathname": "x.py", "lineno": line, "msg": token})
        culprits_(made, {"msg": redact_text(token)})
    assert len(leaks) == 3
    assert len(culprits_._places) == 3


def test_threads_at_once_lose_no_count(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    token = jwt()

    def work() -> None:
        for _ in range(50):
            logger.info("got %s", token)

    at_once(work)
    redact_culprits.flush()
    assert sum(leak.times for leak in told) == 200


def test_a_child_does_not_tell_what_its_parent_holds_back(logger: logging.Logger, said: Said, told: list[Leak]) -> None:
    for _ in range(3):
        logger.info("got %s", jwt())
    gc.collect()
    child = os.fork()
    if child == 0:
        redact_culprits.flush()
        os._exit(len(told))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    redact_culprits.flush()
    assert [leak.times for leak in told] == [1, 2]


def test_a_process_that_ends_tells_what_it_held_back() -> None:
    program = (
        "import logging\n"
        "from bearerwatch import install_logging\n"
        "from bearerwatch.redact.culprits import listen\n"
        "install_logging()\n"
        "logging.basicConfig(filename='/dev/null')\n"
        "listen(lambda leak: print(leak.times))\n"
        "for _ in range(7): logging.warning('password=%s', 'hunter2!x')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "6"]
