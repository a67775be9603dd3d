"""What was logged, and objects that try to get a token into it."""

from __future__ import annotations

import io
import logging
import logging.config
import logging.handlers

import pytest

__all__ = ["FORMAT", "Keeper", "Said", "Shown", "Stderr"]

FORMAT = "%(levelname)s %(name)s %(message)s"


class Said(io.StringIO):
    """What a handler wrote."""

    def __str__(self) -> str:
        return self.getvalue()


class Stderr:
    """What was written to ``sys.stderr``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


class Keeper(logging.Handler):
    """A handler that looks into the records for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Shown:
    """An object that shows a token only when it is shown."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __repr__(self) -> str:
        return f"<Shown {self.token}>"
