# ruff: noqa: S608 - every part is made here
"""Rows of numbers made into events: Parquet with the lake's columns, or NDJSON as applications write it to a spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np

from bearerwatch.event import SCHEMA_VERSION, AuthEvent
from bearerwatch.simulate.columns import Array, Events, mix
from bearerwatch.simulate.geography import CITIES, FIRST_ASN, SIX, place, written
from bearerwatch.simulate.vocabulary import (
    AGENTS,
    CLIENTS,
    FORMS,
    GATEWAY,
    KINDS,
    OUTCOMES,
    REASONS,
    ROUTES,
    SERVICES,
    SOURCES,
)
from bearerwatch.store.engine import COLUMNS, quoted

__all__ = ["Writer"]

_LINES = 20_000
_PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, WRITE_BLOOM_FILTER false"
_ISSUER = "https://id.example"
_NUMBERS = frozenset({"BIGINT", "DOUBLE", "BOOLEAN"})


def _hex(prefix: str) -> str:
    return f"replace((({prefix}0::UHUGEINT << 64) | {prefix}1::UHUGEINT)::UUID::VARCHAR, '-', '')"


# The version and variant of RFC 9562 §5.7, around the time in milliseconds and chance.
_ID = (
    "((((epoch_ms(ts)::UHUGEINT << 80) | (7::UHUGEINT << 76)) | ((n0 >> 52)::UHUGEINT << 64)) "
    "| (9223372036854775808 | (n1 >> 2))::UHUGEINT)::UUID::VARCHAR"
)
_IP = (
    f"CASE WHEN address < 0 THEN NULL WHEN (address & {SIX}) > 0 "
    "THEN '2001:db8:' || lower(to_hex(address >> 32)) || '::' || lower(to_hex(1 + (address & 65535))) "
    "ELSE (240 + (address >> 40)) || '.' || ((address >> 32) & 255) || '.' || ((address >> 8) & 255) || '.' "
    "|| (address & 255) END"
)
_FIELDS = {
    "schema_version": str(SCHEMA_VERSION),
    "kind": "kinds.name",
    "event_id": "id",
    "ts": "ts",
    "outcome": "outcomes.name",
    "reason": "reasons.name",
    "verified": "verified",
    "status": "CASE WHEN status < 0 THEN NULL ELSE status END",
    "duration_us": "CASE WHEN kind = 1 THEN NULL ELSE duration END",
    "count": "1",
    "detail": "CASE WHEN kind = 1 THEN 'shop/views.py:' || object || ' shop.views' END",
    "service": "services.name",
    "instance": "services.name || '-1:4711'",
    "method": "coalesce(routes.method, CASE WHEN kind = 0 THEN 'GET' END)",
    "route": "routes.template",
    "path": "CASE WHEN kind = 1 THEN NULL WHEN routes.template IS NULL THEN '/' "
    "WHEN routes.numbered THEN replace(routes.template, '{id}', object::VARCHAR) ELSE routes.template END",
    "token_id": f"CASE WHEN token < 0 THEN NULL ELSE $key || {_hex('t')} END",
    "presented_id": f"CASE WHEN token < 0 THEN NULL ELSE $key || {_hex('p')} END",
    "scheme": "CASE WHEN token >= 0 AND kind = 0 THEN 'bearer' END",
    "token_kind": "forms.name",
    "token_source": "sources.name",
    "subject_id": "CASE WHEN subject < 0 THEN NULL ELSE 'subject:' || subject END",
    "client_id": "clients.name",
    "issuer": f"CASE WHEN form = {FORMS.index('jwt')} THEN '{_ISSUER}' END",
    "required_scopes": f"CASE WHEN outcome = {OUTCOMES.index('insufficient_scope')} THEN services.name || ':write' END",
    "expires_at": "CASE WHEN expires < 0 THEN NULL ELSE expires END",
    "client_ip": "ip",
    "peer_ip": f"CASE WHEN kind = 1 THEN NULL WHEN service = {GATEWAY} THEN ip ELSE '240.0.0.2' END",
    "user_agent": "agents.name",
    "country": "places.country",
    "city": "places.name",
    "lat": "places.lat",
    "lon": "places.lon",
    "asn": f"CASE WHEN address < 0 OR (address >> 32) = 0 THEN NULL ELSE {FIRST_ASN} + (address >> 32) END",
    "request_id": "CASE WHEN kind = 0 THEN id END",
    "trace_id": f"CASE WHEN kind = 0 THEN {_hex('r')} END",
    "received_at": "make_timestamp(arrive)",
    "source": "'spool:' || services.name",
}
_TABLES = {
    "kinds": KINDS,
    "outcomes": OUTCOMES,
    "reasons": REASONS,
    "services": SERVICES,
    "forms": FORMS,
    "sources": SOURCES,
    "clients": CLIENTS,
    "agents": AGENTS,
}
_JOINS = " ".join(
    f"LEFT JOIN {table} ON {table}.i = e.{column}"
    for table, column in {
        **{name: name.removesuffix("s") for name in _TABLES},
        "routes": "route",
        "places": "place",
    }.items()
)


class Writer:
    """Writes events.

    Args:
        seed: of which the ids of tokens and events depend.
    """

    def __init__(self, seed: int) -> None:
        self._seed = np.uint64(int(mix(seed, 0x1D5)[0]))
        self.key_id = f"k{int(self._seed) & 0xFFFFFFFF:08x}"
        # One thread, so that the same seed gives the same bytes.
        self._con = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "1GB"})
        self._con.execute("SET TimeZone = 'UTC'")
        for table, names in _TABLES.items():
            self._con.execute(f"CREATE TABLE {table} (i INTEGER, name VARCHAR)")
            self._con.executemany(f"INSERT INTO {table} VALUES (?, ?)", list(enumerate(names)))
        self._con.execute("CREATE TABLE routes (i INTEGER, method VARCHAR, template VARCHAR, numbered BOOLEAN)")
        rows = [(i, one.method, one.template, "{id}" in one.template) for i, one in enumerate(ROUTES)]
        self._con.executemany("INSERT INTO routes VALUES (?, ?, ?, ?)", rows)
        self._con.execute("CREATE TABLE places (i INTEGER, country VARCHAR, name VARCHAR, lat DOUBLE, lon DOUBLE)")
        cities = [(i, one.country, one.name, one.lat, one.lon) for i, one in enumerate(CITIES)]
        self._con.executemany("INSERT INTO places VALUES (?, ?, ?, ?, ?)", cities)
        for table, part in _PARTS.items():
            self._con.execute(f"ALTER TABLE {table} ADD COLUMN part VARCHAR")
            self._con.execute(f"UPDATE {table} SET part = {part}")

    def close(self) -> None:
        """Let go of everything."""
        self._con.close()

    def tokens(self, numbers: Array) -> list[str]:
        """Token ids as they are written; of an opaque token ``presented_id`` is the same."""
        first, second = mix(self._seed, numbers, 1), mix(self._seed, numbers, 2)
        return [f"{self.key_id}:{int(a):016x}{int(b):016x}" for a, b in zip(first, second, strict=True)]

    def addresses(self, numbers: Array) -> list[str]:
        """Addresses as they are written."""
        return [written(int(number)) for number in numbers]

    def parquet(self, rows: Events, path: Path) -> None:
        """Write *rows* to a new file, with all columns of the lake, in order of arrival."""
        columns = ", ".join(
            f'CAST({_FIELDS.get(name, "NULL")} AS {kind}) AS "{name}"' for name, kind in COLUMNS.items()
        )
        with self._given(rows) as relation:
            self._con.execute(
                f"COPY (SELECT {columns} FROM {relation}) TO {quoted(path)} ({_PARQUET})",
                {"key": f"{self.key_id}:"},
            )

    def lines(self, rows: Events) -> Iterator[bytes]:
        """*rows* as NDJSON, some thousand lines at a time, each with its newline; times are ``ts``."""
        for start in range(0, len(rows), _LINES):
            with self._given(rows[start : start + _LINES]) as relation:
                query = f"SELECT string_agg({_line()}, chr(10)) FROM {relation}"
                ((text,),) = self._con.execute(query, {"key": f"{self.key_id}:"}).fetchall()
            yield text.encode() + b"\n"

    def _given(self, rows: Events) -> _Given:
        return _Given(self._con, rows, self._seed)


class _Given:
    """Rows as a relation with what text depends on."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rows: Events, seed: np.uint64) -> None:
        self._con = con
        self._columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
        token, sent = rows["token"], rows["sent"]
        for i in (0, 1):
            issued = mix(seed, token, i + 1)
            # Of a JWT the id is of what is signed; of the whole another one, as is each tampered copy's.
            other = mix(seed, token, sent, i + 3)
            whole = (sent == 0) & (rows["form"] != FORMS.index("jwt"))
            self._columns[f"t{i}"] = issued
            self._columns[f"p{i}"] = np.where(whole, issued, other)
            self._columns[f"r{i}"] = mix(seed, rows["request"], i + 5)
            self._columns[f"n{i}"] = mix(seed, rows["number"], i + 7)
        self._columns["place"] = place(rows["address"])

    def __enter__(self) -> str:
        self._con.register("given", self._columns)
        inner = f"SELECT * REPLACE (make_timestamp(ts) AS ts), {_IP} AS ip FROM given"
        return f"(SELECT *, {_ID} AS id FROM ({inner})) e {_JOINS}"

    def __exit__(self, *_: object) -> None:
        self._con.unregister("given")


_WORDS = {name: f"""',"{name}":"' || name || '"'""" for name in ("outcome", "reason", "token_kind", "token_source")}
_PARTS = {
    # Tables whose every row is one piece of a line.
    "kinds": "'\"kind\":\"' || name || '\"'",
    "outcomes": _WORDS["outcome"],
    "reasons": _WORDS["reason"],
    "services": """',"service":"' || name || '","instance":"' || name || '-1:4711"'""",
    "routes": """',"method":"' || method || '"' || coalesce(',"route":"' || template || '"', '')""",
    "forms": _WORDS["token_kind"],
    "sources": _WORDS["token_source"],
    "clients": """',"client_id":"' || name || '"'""",
    "agents": """',"user_agent":"' || name || '"'""",
    "places": """',"country":"' || country || '","city":"' || name || '","lat":' || lat || ',"lon":' || lon""",
}
_WITHIN = {
    "kind": "kinds",
    "outcome": "outcomes",
    "reason": "reasons",
    "service": "services",
    "instance": "",
    "route": "",
    "token_kind": "forms",
    "token_source": "sources",
    "client_id": "clients",
    "user_agent": "agents",
    "country": "places",
    "city": "",
    "lat": "",
    "lon": "",
}
"""Fields that a piece of a table tells of, and which; some pieces tell of more than one field."""


def _line() -> str:
    """SQL for one line as the applications' encoder writes it: what has its default is left out.

    ``concat`` passes over what is NULL, and takes half the time of as many ``||``.
    """
    parts = [f"""'{{"schema_version":{SCHEMA_VERSION},'"""]
    for name in AuthEvent.__struct_fields__:
        if name not in _FIELDS or name == "count":
            continue
        if name in _WITHIN:
            parts += [f"{_WITHIN[name]}.part"] * bool(_WITHIN[name])
        elif name == "method":
            parts.append("""coalesce(routes.part, CASE WHEN kind = 0 THEN ',"method":"GET"' END)""")
        elif name == "ts":
            parts.append("""',"ts":"' || strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ') || '"'""")
        elif name == "verified":
            parts.append("""CASE WHEN verified THEN ',"verified":true' END""")
        else:
            mark = "" if COLUMNS[name] in _NUMBERS else '"'
            parts.append(f"""',"{name}":{mark}' || ({_FIELDS[name]}) || '{mark}'""")
    return f"concat({', '.join(parts)}, '}}')"
