"""Reading what the collector keeps, from another process and while it writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
from sqlalchemy.engine import make_url

from bearerwatch._guard import say
from bearerwatch.errors import ConfigurationError
from bearerwatch.store import identity
from bearerwatch.store.catalog import Catalog
from bearerwatch.store.engine import connect
from bearerwatch.store.state import State, default_url
from bearerwatch.store.stream import Batches, Mark

__all__ = ["AmbiguousToken", "Reader"]

T = TypeVar("T")
_TOKEN = re.compile(r"(?:(?P<key>k[0-9a-f]{8}):)?(?P<mac>[0-9a-f]{4,32})(?:…|\.\.\.)?", re.ASCII)
_SHORT = re.compile(r"short:[0-9]{1,4}", re.ASCII)
_TOKEN_COLUMNS = ("token_id", "token_id_prev", "presented_id")
_SHOWN = 10
_MAC = 32


class AmbiguousToken(LookupError):  # noqa: N818 - says what the token id is
    """The beginning of a token id fits several."""


class Reader:
    """Read-only access to a collector's events and state.

    Use as a context manager, or call :meth:`close`. One thread at a time.
    """

    def __init__(self, state_dir: Path, url: str | None = None, *, report: Callable[[str], None] = say) -> None:
        """Open the state folder of a collector, running or not.

        Args:
            state_dir: the collector's state folder.
            url: the state database; None for the SQLite one in *state_dir*.
            report: told about damaged files, in words that say what to do.

        Raises:
            ConfigurationError: there is no state, or another version of bearerwatch wrote it.
            StateBusy: the state database cannot be reached just now.
        """
        folder = state_dir.absolute()
        url = url or default_url(folder)
        database = make_url(url).database if url.startswith("sqlite") else None
        if database and not Path(database).exists():
            raise ConfigurationError(
                f"there is no collector state in {folder}: start one with `bearerwatch serve`, "
                "or name its folder with BEARERWATCH_STATE"
            )
        self.state = State(url)
        """The state database, for alerts and the like."""
        try:
            self.state.check()
            with self.state.read() as conn:
                identity.check(conn, folder / "lake")
            self._catalog = Catalog(folder / "lake", self.state, folder / "quarantine" / "files", report)
            self._con = connect(folder / "tmp", memory_limit="512MB", threads=2)
        except BaseException:
            self.state.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self._con.close()
        self.state.close()

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Run a query of our own over the events.

        Args:
            sql: DuckDB SQL with ``{events}`` where the events go; ``{{`` and ``}}`` stand for braces. Values belong
                into *parameters*.
            parameters: for ``?`` or ``$name``. Give instants as naive UTC, as the columns are.
            since: leave out files with older events alone; aware. The query must still say ``ts >= …``.
            until: leave out files with events of this instant or later alone; aware.

        Returns:
            A dict per row. Instants are aware UTC.
        """

        def work(events: str) -> list[dict[str, Any]]:
            cursor = self._con.execute(sql.format(events=events), parameters or None)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, map(_aware, row), strict=True)) for row in cursor.fetchall()]

        return self._catalog.reading(since, until, work)

    def reading(
        self, since: datetime | None, until: datetime | None, work: Callable[[duckdb.DuckDBPyConnection, str], T]
    ) -> T:
        """Run queries over the committed events, and survive damaged files: *work* may be called again.

        Args:
            since: leave out files with older events alone; aware.
            until: leave out files with events of this instant or later alone; aware.
            work: is given the connection and a table expression over the events.
        """
        return self._catalog.reading(since, until, lambda events: work(self._con, events))

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: str | Sequence[str] | None = None,
        kind: str | None = None,
        token: str | None = None,
        client_ip: str | None = None,
        request_id: str | None = None,
        service: str | None = None,
        limit: int | None = 100,
    ) -> list[dict[str, Any]]:
        """The newest events that fit all filters, newest first.

        Args:
            since: from this instant on; aware.
            until: before this instant; aware.
            outcome: one outcome or several.
            kind: one kind; None for all.
            token: a token id, whole or its beginning, with or without its key id, as logs and alerts print it.
                Fits ``token_id``, ``token_id_prev`` and ``presented_id``.
            client_ip: the caller's address.
            request_id: the request's id.
            service: the service's name.
            limit: at most so many; None for all.

        Returns:
            A dict per event with every column of :data:`~bearerwatch.store.engine.COLUMNS`; instants are aware UTC.

        Raises:
            AmbiguousToken: *token* fits several tokens; the message lists them.
            ValueError: *token* is no token id. It is not repeated, for it may be a token.
        """
        found = self._conditions(
            since=since,
            until=until,
            outcome=outcome,
            tokens=None if token is None else (token,),
            equal={"kind": kind, "client_ip": client_ip, "request_id": request_id, "service": service},
        )
        if found is None:
            return []
        where, values = found
        sql = f"SELECT * FROM {{events}} WHERE {' AND '.join(where)} ORDER BY ts DESC, event_id DESC"  # noqa: S608
        if limit is not None:
            sql += " LIMIT $limit"
            values["limit"] = limit
        return self.query(sql, values, since=since, until=until)

    def batches(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Mark | None = None,
        by_arrival: bool = False,
        outcome: Sequence[str] | None = None,
        tokens: Sequence[str] | None = None,
        client_ip: str | None = None,
        request_id: str | None = None,
        service: str | None = None,
    ) -> Batches | None:
        """All events that fit, oldest first, however many they are: see :class:`~bearerwatch.store.stream.Batches`.

        Args:
            since: from this instant on; aware.
            until: before this instant; aware.
            after: only what arrived after the event with this mark.
            by_arrival: in the order in which the collector took them, rather than that in which they happened.
            outcome: any of these outcomes.
            tokens: as ``token`` of :meth:`events`, any of several.
            client_ip: the caller's address.
            request_id: the request's id.
            service: the service's name.

        Returns:
            The batches, to be used before this reader is closed; None if there is no such token.

        Raises:
            AmbiguousToken: one of *tokens* fits several; the message lists them.
            ValueError: one of *tokens* is no token id.
        """
        found = self._conditions(
            since=since,
            until=until,
            outcome=outcome,
            tokens=tokens,
            equal={"client_ip": client_ip, "request_id": request_id, "service": service},
        )
        if found is None:
            return None
        return Batches(self._con, self._catalog, *found, since=since, until=until, after=after, by_arrival=by_arrival)

    def _conditions(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        outcome: str | Sequence[str] | None,
        tokens: Sequence[str] | None,
        equal: Mapping[str, Any],
    ) -> tuple[list[str], dict[str, Any]] | None:
        """SQL conditions and their parameters; None if nothing can fit them."""
        where, values = ["true"], dict[str, Any]()
        for name, value in equal.items():
            if value is not None:
                where.append(f'"{name}" = ${name}')
                values[name] = value
        if outcome is not None:
            where.append("list_contains($outcome, outcome)")
            values["outcome"] = [outcome] if isinstance(outcome, str) else [str(one) for one in outcome]
        if since is not None:
            where.append("ts >= $since")
            values["since"] = _naive(since)
        if until is not None:
            where.append("ts < $until")
            values["until"] = _naive(until)
        if tokens is not None:
            known = [found for token in tokens if (found := self._token_id(token, since, until)) is not None]
            if not known:
                return None
            where.append("(" + " OR ".join(f"list_contains($tokens, {column})" for column in _TOKEN_COLUMNS) + ")")
            values["tokens"] = known
        return where, values

    def timeline(self, **filters: Any) -> list[dict[str, Any]]:
        """What :meth:`events` finds, oldest first: the story of a token, an address or a request."""
        return self.events(**filters)[::-1]

    def _token_id(self, text: str, since: datetime | None, until: datetime | None) -> str | None:
        """The one token id that *text* stands for; None if there is none."""
        if _SHORT.fullmatch(text):
            return text
        match = _TOKEN.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                "that is no token id: give one as logs and alerts print it, such as k1a2b3c4d:9f86d081, never a token "
                "(`bearerwatch fingerprint` turns a token from stdin into its id)"
            )
        key, mac = match["key"], match["mac"]
        if key is not None and len(mac) == _MAC:
            return f"{key}:{mac}"
        fits = "starts_with({}, $text)" if key else "split_part({}, ':', 2) LIKE $text || '%'"
        any_fits = " OR ".join(fits.format(column) for column in _TOKEN_COLUMNS)
        sql = f"SELECT unnest([{', '.join(_TOKEN_COLUMNS)}]) AS id FROM {{events}} WHERE {any_fits}"  # noqa: S608
        sql = f"SELECT DISTINCT id FROM ({sql}) WHERE {fits.format('id')} ORDER BY id LIMIT {_SHOWN + 1}"  # noqa: S608
        found = self.query(sql, {"text": f"{key}:{mac}" if key else mac}, since=since, until=until)
        if len(found) > 1:
            shown = ", ".join(row["id"] for row in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
            raise AmbiguousToken(f"that fits several token ids, give more of it: {shown}")
        return found[0]["id"] if found else None


def _naive(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC).replace(tzinfo=None)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
