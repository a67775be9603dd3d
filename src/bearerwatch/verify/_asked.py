"""Where in a request its token is, and that it is there once (RFC 6750 §2, RFC 9449 §7.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_plus

from bearerwatch.classify import State, present
from bearerwatch.event import Outcome
from bearerwatch.verify.verdict import Verdict

__all__ = ["Asked", "credential"]

_CREDENTIALS = re.compile(r"([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*) *\Z")
_SCHEMES = {"bearer": "Bearer", "dpop": "DPoP"}
_MISSING = Verdict(outcome=Outcome.MISSING)
_WRONG_SCHEME = Verdict(outcome=Outcome.MISSING, reason="wrong_scheme")
_QUERY = Verdict(outcome=Outcome.MISSING, reason="query_token")
_SEVERAL = Verdict(outcome=Outcome.MALFORMED, reason="multiple_tokens")
_PROOF = Verdict(outcome=Outcome.INVALID, reason="missing_proof")


class Asked(NamedTuple):
    """What a request says, as received."""

    method: str
    url: str
    """With scheme and host, as its sender knows it."""
    authorization: Sequence[str] = ()
    """The ``Authorization`` headers, or all in one where the server joins them."""
    query: str = ""
    proofs: Sequence[str] = ()
    """The ``DPoP`` headers."""


def credential(asked: Asked, schemes: Sequence[str]) -> tuple[str, str] | Verdict:
    """Scheme and token of a request, or why there is none; *schemes* are those taken, of ``Bearer`` and ``DPoP``.

    A token in the query string is not taken (RFC 9700 §2.4), and a second one beside the first is too many.
    """
    headers, elsewhere = asked.authorization, _in_query(asked.query)
    if not headers:
        return _QUERY if elsewhere else _MISSING
    match = _CREDENTIALS.match(headers[0]) if len(headers) == 1 else None
    scheme = None if match is None else _SCHEMES.get(match[1].lower())
    if match is None or scheme is None:
        return _broken(headers, elsewhere=elsewhere)
    if elsewhere:
        return _SEVERAL
    if scheme not in schemes:
        return _PROOF if scheme == "Bearer" else _WRONG_SCHEME
    return scheme, match[2]


def _broken(headers: Sequence[str], *, elsewhere: bool) -> Verdict:
    name, _, rest = headers[0].strip().partition(" ")
    if len(headers) > 1 and any(one.split(" ", 1)[0].lower() in _SCHEMES for one in headers):
        return _SEVERAL
    shown = present(name.lower(), rest.strip(), carries_token=name.lower() in _SCHEMES)
    if shown.state == State.BROKEN:
        return Verdict(outcome=Outcome.MALFORMED, reason=shown.reason)
    return _QUERY if elsewhere else _WRONG_SCHEME


def _in_query(query: str) -> bool:
    """Whether a query string has an ``access_token``, by whatever spelling frameworks decode."""
    if "access_token=" not in query and "%" not in query:
        return False
    pairs = (one.partition("=") for one in query.split("&"))
    return any(value and unquote_plus(name) == "access_token" for name, _, value in pairs)
