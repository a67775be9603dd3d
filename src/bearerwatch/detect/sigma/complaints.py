"""What pySigma says when it cannot read something, in one line and at the right one."""

from __future__ import annotations

import re
from typing import Any

from sigma import exceptions as complaints
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine
from sigma.rule import SigmaDetectionItem

__all__ = ["CANNOT", "POLICY", "blamed", "said"]

# pySigma meets odd YAML with whatever Python raises.
CANNOT = (SigmaError, TypeError, ValueError, AttributeError, LookupError, RecursionError)

_ABOUT: dict[type[BaseException], tuple[str | int, ...]] = {
    complaints.SigmaTimespanError: ("correlation", "timespan"),
    complaints.SigmaCorrelationConditionError: ("correlation", "condition"),
    complaints.SigmaCorrelationTypeError: ("correlation", "type"),
    complaints.SigmaIdentifierError: ("id",),
    complaints.SigmaLogsourceError: ("logsource",),
}

_FLAGS = {int(re.IGNORECASE): "i", int(re.MULTILINE): "m", int(re.DOTALL): "s"}


class _Quiet(RE2RegexEngine):
    """RE2, DuckDB's own engine, without its habit of writing to stderr."""

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """Compile *pattern* with the flags written into it."""
        letters = "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
        options = self._re2.Options()
        options.log_errors = False
        return self._re2.compile(f"(?{letters}){pattern}" if letters else pattern, options)


POLICY = SigmaPolicy(regex_engine=_Quiet())
"""What rules are parsed with: expressions that cannot take forever, nothing external."""


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
                SigmaDetectionItem.from_mapping(key, value, policy=POLICY)
            except CANNOT:
                return inner
    return place
