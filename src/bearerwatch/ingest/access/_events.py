"""From the facts of an access log's line to events: as :mod:`bearerwatch.observe` makes them, of what a log knows."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import unquote

from bearerwatch.callers import Callers, canonical
from bearerwatch.classify import NOTHING, Verdict, classify
from bearerwatch.context import parse_traceparent, valid_request_id
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.ingest.access import ReadLine
from bearerwatch.ingest.access._line import AccessLine, Unreadable
from bearerwatch.ingest.clean import cleaner
from bearerwatch.ingest.lines import MAX_LINE, RawLine
from bearerwatch.known import NO_CREDENTIAL, Known, Memory
from bearerwatch.observe import new_id, query_tokens
from bearerwatch.redact import redact_text
from bearerwatch.redact.engine import MIN_LIVE
from bearerwatch.settings import Settings

__all__ = ["AccessEvents", "Leaked"]

_HIDDEN = re.compile(
    r"(?:[A-Z]{1,20}\s+)?[\[<(]?(?:[*•X.…-]+|REDACTED|FILTERED|MASKED|HIDDEN|TOKEN [^\]]*)[\])>]?\Z", re.IGNORECASE
)
"""What redaction, the server's own or ours, leaves of a header."""
_TRACE = re.compile(r"[0-9a-f]{32}\Z").match
_MAX_METHOD = 16
_path, _agent = cleaner(512, remember=8_192), cleaner(256)
_BLIND = frozenset({Outcome.ANONYMOUS, Outcome.MISSING})


class Leaked(NamedTuple):
    """That a line holds a credential in clear."""

    where: str
    """``Authorization`` or ``query string``."""
    form: str
    """``jwt``, ``opaque`` and so on; ``basic`` and the like for a password."""
    token_id: str | None


class AccessEvents:
    """Makes the events of one log.

    Args:
        read: reads its format.
        service: whose log it is; the name in its events.
        settings: which schemes carry tokens, and which proxies' word is taken.
        live: whether lines are read as they are written: then one without a time has that of reading it.
    """

    def __init__(self, read: ReadLine, service: str, settings: Settings, *, live: bool) -> None:
        self._read = read
        self._service = service
        self._live = live
        self._memory = Memory(settings)
        self._callers = Callers(settings.trusted_proxies)
        self._salt = service.encode()

    def __call__(self, raw: RawLine, now: datetime) -> tuple[AuthEvent, list[Leaked]] | None:
        """The event of *raw*, and what stands in it in clear; ``None`` if it is about no request.

        Raises:
            Unreadable: it is no line of this log's format.
        """
        if raw.length >= 0:
            raise Unreadable("too_long", f"the line is longer than {MAX_LINE} bytes; no request is told of in so many")
        line = self._read(raw.line.decode("utf-8", "replace").rstrip("\r"))
        if line is None:
            return None
        ts = self._arrived(line, now)
        path, query = _split(line)
        known, source, reason, leaks, secrets = self._credential(line, query)
        outcome, why, required = self._outcome(line, known, source, reason, ts)
        shown = known.shown
        client, peer = self._caller(line)
        request_id = valid_request_id(line.request_id)
        if request_id is not None and _without(redact_text(request_id), secrets, known) != request_id:
            request_id = None  # a gateway hands on, and logs, what a caller puts there
        trace_id, parent = parse_traceparent(line.traceparent)
        if trace_id is None and line.trace_id is not None and _TRACE(line.trace_id):
            trace_id = line.trace_id
        event = AuthEvent(
            Kind.AUTH,
            self._event_id(raw, ts),
            ts,
            outcome,
            why,
            status=line.status,
            duration_us=line.duration_us,
            service=self._service,
            method=None if line.method is None else line.method[:_MAX_METHOD],
            path=None if path is None else _path(_without(path, secrets, known)),
            token_id=known.token_id,
            token_id_prev=known.token_id_prev,
            presented_id=known.presented_id,
            scheme=shown.scheme,
            token_kind=shown.token_kind,
            token_source=source,
            subject_id=known.subject_id,
            client_id=shown.client_id,
            issuer=shown.issuer,
            scopes=shown.scopes,
            required_scopes=required,
            expires_at=shown.expires_at,
            client_ip=client,
            peer_ip=peer,
            user_agent=None if line.user_agent is None else _agent(_without(line.user_agent, secrets, known)),
            request_id=request_id,
            trace_id=trace_id,
            parent_request_id=parent,
        )
        return event, leaks

    def _arrived(self, line: AccessLine, now: datetime) -> datetime:
        if line.started is not None:
            return line.started
        if line.ended is not None:
            return line.ended - timedelta(microseconds=line.duration_us or 0)
        if self._live:
            return now
        raise Unreadable("no_time", "the line says no time that can be read; have the server write one")

    def _credential(
        self, line: AccessLine, query: str | None
    ) -> tuple[Known, str | None, str | None, list[Leaked], list[str]]:
        """The credential that was presented, its source, the reason it gives, what leaked, and what must not stay."""
        tokens = query_tokens(query) if query else []
        if line.query_token is not None:
            tokens = [line.query_token, *(token for token in tokens if token != line.query_token)]
        leaks = []
        for token in tokens:
            found = self._memory.token(token)
            leaks.append(Leaked("query string", found.shown.token_kind or "opaque", found.token_id))
        authorization = line.authorization
        if authorization is not None and not _HIDDEN.match(authorization):
            known = self._memory.header(authorization)
            secret = authorization[known.begin : known.end] or authorization
            form = known.shown.token_kind or known.shown.scheme or "opaque"
            leaks.append(Leaked("Authorization", form, known.token_id))
            reason = "multiple_tokens" if tokens else None
            return known, "header", reason, leaks, [secret, *tokens]
        if tokens:
            reason = "query_token" if len(tokens) == 1 else "multiple_tokens"
            return self._memory.token(tokens[0]), "query", reason, leaks, tokens
        return NO_CREDENTIAL, None, None, leaks, []

    def _outcome(
        self, line: AccessLine, known: Known, source: str | None, reason: str | None, ts: datetime
    ) -> tuple[Outcome, str | None, str | None]:
        """What became of the request, claiming no more than the log knows."""
        if line.status is None:
            return Outcome.ERROR, "no_answer", None
        blind = source is None and (not line.asked or line.authorization is not None)
        verdict: Verdict = classify(NOTHING if blind else known.shown, line.status, None, None, ts.timestamp())
        outcome, why, _, required = verdict
        if blind and outcome in _BLIND:
            # 401 lacks valid credentials (RFC 9110 §15.5.2), whether none or bad ones; 403 says it of nobody
            return (Outcome.FORBIDDEN if line.status == 403 else outcome), "not_logged", required
        if reason is not None and (why in (None, "wrong_scheme") or reason == "multiple_tokens"):
            why = reason
            if reason == "multiple_tokens" and outcome is Outcome.INVALID:
                outcome = Outcome.MALFORMED
        return outcome, why, required

    def _caller(self, line: AccessLine) -> tuple[str | None, str | None]:
        """The caller's address and the peer's."""
        peer = canonical(line.peer) if line.peer else None
        nearest = canonical(line.client) if line.client else peer
        callers = self._callers
        # a log that names no peer was told what to believe by whoever named trusted proxies
        if callers.trusting and (nearest is None or callers.trusts(nearest)):
            nearest = callers.behind(nearest or "", line.forwarded_for, line.forwarded) or nearest
        return nearest, peer

    def _event_id(self, raw: RawLine, ts: datetime) -> str:
        """The same for the same line at the same place of a log: a UUIDv7 (RFC 9562 §5.7) of a hash, not of chance."""
        digest = blake2b(raw.line, digest_size=10, key=self._salt[:64], salt=raw.offset.to_bytes(8, "big")).digest()
        return new_id(int(ts.timestamp() * 1000) & 0xFFFF_FFFF_FFFF, int.from_bytes(digest, "big"))


def _split(line: AccessLine) -> tuple[str | None, str | None]:
    """The path, decoded, and the query string."""
    if line.target is None:
        return line.path, line.query
    path, _, query = line.target.partition("?")
    if line.path is not None:
        path = line.path
    elif "%" in path:
        path = unquote(path, errors="replace")
    return path, query or line.query


def _without(text: str, secrets: list[str], known: Known) -> str:
    """*text* without the line's own credentials, which may have no form to tell them by.

    Short ones are left, as in live requests: in their place would stand holes in whatever has those letters.

    Args:
        text: what a client wrote.
        secrets: the credentials, first the one that is *known*.
        known: what that is.
    """
    for place, secret in enumerate(secrets):
        if len(secret) >= MIN_LIVE and secret in text:
            named = known.token_id if place == 0 else None
            text = text.replace(secret, "[token]" if named is None else f"[token {named}]")
    return text
