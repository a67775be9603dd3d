"""A strict reader of syslog messages, by the ABNF of RFC 5424 §6 and the octet counting of RFC 6587 §3.4.1."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

__all__ = ["Message", "frames", "parse"]

_NILVALUE = "-"
_PRINTABLE = "[\x21-\x7e]"
_SD_NAME = r'(?:(?![=\]" ])[\x21-\x7e]){1,32}'
_HEADER = re.compile(
    r"<(?P<pri>0|[1-9][0-9]{0,2})>(?P<version>[1-9][0-9]{0,2}) "
    r"(?P<timestamp>-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    f"(?P<hostname>{_PRINTABLE}{{1,255}}) (?P<app>{_PRINTABLE}{{1,48}}) (?P<process>{_PRINTABLE}{{1,128}}) "
    f"(?P<msgid>{_PRINTABLE}{{1,32}}) ",
    re.ASCII,
)
_NAME = re.compile(_SD_NAME, re.ASCII)
# PARAM-VALUE: any UTF-8, but ", \ and ] only behind a backslash; a backslash before anything else stands for itself.
_VALUE = re.compile(r'"((?:[^"\\\]]|\\["\\\]]|\\(?!["\\\]]))*)"')


class Message(NamedTuple):
    """What a message says."""

    facility: int
    severity: int
    ts: datetime | None
    hostname: str
    app: str
    process: str
    msgid: str
    data: dict[str, dict[str, str]]
    text: str | None


def parse(message: bytes) -> Message:
    """Read one message.

    Raises:
        ValueError: it is none.
    """
    head = _HEADER.match(message.decode("utf-8"))
    if head is None:
        raise ValueError("no header")
    if int(head["pri"]) > 191 or head["version"] != "1":
        raise ValueError("priority or version")
    rest = message.decode("utf-8")[head.end() :]
    data: dict[str, dict[str, str]] = {}
    if rest.startswith(_NILVALUE):
        rest = rest[1:]
    else:
        while rest.startswith("["):
            rest = _element(rest[1:], data)
        if not data:
            raise ValueError("neither structured data nor a dash")
    text = None
    if rest:
        if not rest.startswith(" \ufeff"):
            raise ValueError("a message in UTF-8 begins with a byte order mark behind a space")
        text = rest[2:]
    ts = None if head["timestamp"] == _NILVALUE else datetime.fromisoformat(head["timestamp"])
    facility, severity = divmod(int(head["pri"]), 8)
    return Message(facility, severity, ts, head["hostname"], head["app"], head["process"], head["msgid"], data, text)


def _element(rest: str, data: dict[str, dict[str, str]]) -> str:
    name = _NAME.match(rest)
    if name is None or name[0] in data:
        raise ValueError("SD-ID")
    params = data[name[0]] = {}
    rest = rest[name.end() :]
    while rest.startswith(" "):
        key = _NAME.match(rest[1:])
        if key is None or not rest[1 + key.end() :].startswith("="):
            raise ValueError("PARAM-NAME")
        value = _VALUE.match(rest[key.end() + 2 :])
        if value is None:
            raise ValueError("PARAM-VALUE")
        params[key[0]] = re.sub(r'\\(["\\\]])', r"\1", value[1])
        rest = rest[key.end() + 2 + value.end() :]
    if not rest.startswith("]"):
        raise ValueError("an element ends with a bracket")
    return rest[1:]


def frames(stream: bytes) -> list[bytes]:
    """The messages of an octet-counted stream.

    Raises:
        ValueError: a length is none, or the stream ends within a message.
    """
    found = []
    while stream:
        length, space, rest = stream.partition(b" ")
        if not space or not re.fullmatch(rb"[1-9][0-9]*", length) or len(rest) < int(length):
            raise ValueError("framing")
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found
