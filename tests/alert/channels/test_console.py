from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.channels.console import Channel
from bearerwatch.alert.notice import Notice


def test_a_notice_is_one_line_with_all_that_matters(notice: Callable[..., Notice]) -> None:
    stream = io.StringIO()
    channel = Channel(stream=stream)
    channel.deliver(notice())
    (line,) = stream.getvalue().splitlines()
    assert line == (
        "12:00:13 HIGH     alert  Many distinct invalid tokens from one address  client_ip=203.0.113.7"
        "  15 hits, peak 24 in 12.5 s  on billing, shop  [0123456789ab]"
    )


def test_closing_says_so(notice: Callable[..., Notice]) -> None:
    stream = io.StringIO()
    Channel(stream=stream).deliver(notice("closed", closed_at=notice().opened_at + timedelta(minutes=1)))
    assert " closed " in stream.getvalue()


def test_values_are_not_markup_and_not_controls(notice: Callable[..., Notice]) -> None:
    stream = io.StringIO()
    Channel(stream=stream).deliver(notice(key={"path": "[red]x[/red]\x1b[31m\n[link=https://evil.example]y"}))
    assert "[red]x[/red]\\x1b[31m\\x0a[link=https://evil.example]y" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_by_default_it_writes_to_standard_error(notice: Callable[..., Notice], capsys: Any) -> None:
    Channel().deliver(notice())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Many distinct" in printed.err


def test_a_closed_stream_is_final(notice: Callable[..., Notice]) -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryError, match="console is gone") as caught:
        Channel(stream=stream).deliver(notice())
    assert caught.value.retry is False
