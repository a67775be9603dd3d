"""What pySigma says when it cannot read something, in one line and at the right one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any

from sigma import exceptions as complaints
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetectionItem, SigmaRule

__all__ = ["CANNOT", "POLICY", "blamed", "quietly", "said"]

# pySigma meets odd YAML with whatever Python raises.
CANNOT = (SigmaError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)

_ABOUT: dict[type[BaseException], tuple[str | int, ...]] = {
    complaints.SigmaTimespanError: ("correlation", "timespan"),
    complaints.SigmaCorrelationConditionError: ("correlation", "condition"),
    complaints.SigmaCorrelationTypeError: ("correlation", "type"),
    complaints.SigmaIdentifierError: ("id",),
    complaints.SigmaLogsourceError: ("logsource",),
}
_FLAGS = {int(re.IGNORECASE): "i", int(re.MULTILINE): "m", int(re.DOTALL): "s"}


class _Quiet:
    """RE2 for pySigma 2, which matches names with it too. What it cannot compile passes here: see ``expressions``."""

    error = re.error

    def __init__(self) -> None:
        """Take what pySigma 2 brings along."""
        self._re2 = import_module("re2")

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """Compile *pattern* with the flags written into it, without RE2's habit of writing to stderr."""
        letters = "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
        options = self._re2.Options()
        options.log_errors = False
        try:
            return self._re2.compile(f"(?{letters}){pattern}" if letters else pattern, options)
        except self._re2.error:
            return None


def _policy() -> dict[str, Any]:
    if "policy" not in signature(SigmaRule.from_dict).parameters:
        return {}
    return {"policy": import_module("sigma.policy").SigmaPolicy(regex_engine=_Quiet())}


POLICY = _policy()
"""Keywords to parse rules with: nothing external. pySigma has policies from 2.0 on; before, it does none of that."""


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of Python's regular expressions, which pySigma 1 tries expressions with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def said(error: BaseException) -> str:
    """What pySigma says, in one line, without the place it appends."""
    if not isinstance(error, SigmaError):
        return "a value is of a kind that cannot stand there (such as a number where text is expected)"
    source = getattr(error, "source", None)
    text = str(error).split(f" in {source}", maxsplit=1)[0] if source else str(error)
    lines = text.strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else type(error).__name__


def blamed(data: dict[str, Any], error: BaseException) -> tuple[str | int, ...]:
    """Where in the document the cause of pySigma's complaint stands, as far as can be told."""
    if (place := _ABOUT.get(type(error))) is not None:
        return place
    if "detection" in data:
        return _misread(data["detection"], ("detection",))
    words = str(error).lower()
    named = [key for key in data if isinstance(error, SigmaError) and key.lower() in words]
    return (max(named, key=len),) if named else ()


def _misread(definition: Any, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The first field of a detection that pySigma cannot read by itself."""
    items = enumerate(definition) if isinstance(definition, list) else definition.items()
    for key, value in items if isinstance(definition, list | dict) else ():
        inner = (*place, key)
        if len(place) == 1 or isinstance(value, dict):
            if isinstance(value, list | dict) and (found := _misread(value, inner)) != inner:
                return found
        elif isinstance(key, str):
            try:
                SigmaDetectionItem.from_mapping(key, value, **POLICY)
            except CANNOT:
                return inner
    return place
