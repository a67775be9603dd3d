"""The fields a rule may name: those of :class:`~bearerwatch.event.AuthEvent`, and what each can be compared with."""

from __future__ import annotations

import difflib

import msgspec

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.store.engine import COLUMNS, DEFAULTS

__all__ = ["CLOSED", "DEFAULTS", "DERIVED", "FALLBACK", "LOWER_CASE", "NETWORK", "TYPES", "near"]

TYPES: dict[str, str] = {
    field.encode_name: COLUMNS[field.encode_name]
    for field in msgspec.structs.fields(AuthEvent)
    if field.encode_name != "ts"
} | {"network": "VARCHAR"}
"""Field to SQL type (``VARCHAR``, ``BIGINT``, ``DOUBLE``, ``BOOLEAN``). Not ``ts``: that is what windows are about."""

DERIVED: dict[str, str] = {"network": "client_ip"}
"""Fields no event has, to the one each is made of: of an address the /24, or of IPv6 the /48, it lies in."""

CLOSED: dict[str, frozenset[str]] = {
    "kind": frozenset(kind.value for kind in Kind),
    "outcome": frozenset(outcome.value for outcome in Outcome),
}
"""Fields with a closed set of values, so that a misspelt one is noticed."""

FALLBACK: dict[str, str] = {"presented_id": "token_id"}
"""Field to the one that is read where it is not known: other producers may tell of a token by one id alone."""

LOWER_CASE: frozenset[str] = frozenset({"kind", "outcome", "token_id", "token_id_prev", "presented_id"})
"""Fields that are lower case by construction: no case folding is needed to compare them."""

NETWORK: frozenset[str] = frozenset({"client_ip", "peer_ip"})
"""Fields that hold an address."""


def near(name: str, known: frozenset[str] | set[str] | dict[str, str]) -> str:
    """``; did you mean x?`` when something known resembles *name*, else nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
