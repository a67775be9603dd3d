"""loguru: every handler has the ids of the request in ``extra``, with redaction and as a patcher."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from bearerwatch.correlate import LOG_IDS
from bearerwatch.correlate.loguru import add_ids
from bearerwatch.redact.loguru import install_loguru, uninstall_loguru
from fakes import leaked, opaque
from logged import Said

Serving = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    logger.remove()
    yield
    uninstall_loguru()
    logger.remove()
    logger.configure(patcher=lambda record: None, extra={})


@pytest.fixture(params=["redacting", "patcher"])
def named(request: pytest.FixtureRequest) -> str:
    """Each way to have them."""
    if request.param == "redacting":
        install_loguru()
    else:
        logger.configure(patcher=add_ids)
    return str(request.param)


def test_every_handler_has_them(named: str, serving: Serving) -> None:
    plain, serialized, queued, kept = Said(), Said(), Said(), []
    form = "{extra[request_id]} {extra[token_id]} {message}"
    logger.add(plain, format=form)
    logger.add(serialized, serialize=True)
    logger.add(queued, format=form, enqueue=True)
    logger.add(kept.append, filter=lambda record: record["extra"]["request_id"] != "-")
    with serving() as exchange:
        logger.info("served")
    logger.info("outside")
    logger.complete()
    context = exchange.context
    assert str(plain).splitlines() == [f"{context.request_id} {context.token_id} served", "- - outside"]
    assert str(queued) == str(plain)
    extra = json.loads(str(serialized).splitlines()[0])["record"]["extra"]
    assert {*extra} == {*LOG_IDS}
    assert extra["trace_id"] == context.trace_id
    assert [message.record["extra"]["request_id"] for message in kept] == [context.request_id]


def test_what_is_bound_by_such_a_name_stands(named: str, serving: Serving) -> None:
    said = Said()
    logger.add(said, format="{extra[request_id]} {extra[order]}")
    with serving():
        logger.bind(request_id="of-the-caller", order=7).info("served")
    assert str(said) == "of-the-caller 7\n"


def test_a_token_by_such_a_name_is_redacted(serving: Serving) -> None:
    install_loguru()
    said = Said()
    logger.add(said, format="{extra[request_id]} {extra}")
    token = opaque()
    with serving(authorization=f"Bearer {token}"):
        logger.bind(request_id=token).info("served")
    assert not leaked(token, str(said))


@pytest.mark.parametrize(
    ("said", "argument", "there"),
    [("false", None, False), ("append", None, True), (None, False, False), ("false", True, True)],
)
def test_they_can_be_left_out(
    monkeypatch: pytest.MonkeyPatch, serving: Serving, said: str | None, argument: bool | None, there: bool
) -> None:
    if said is not None:
        monkeypatch.setenv("BEARERWATCH_LOG_IDS", said)
    install_loguru(log_ids=argument)
    kept: list[Any] = []
    logger.add(kept.append)
    with serving():
        logger.info("served")
    assert ("request_id" in kept[0].record["extra"]) is there
