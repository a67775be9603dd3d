"""Where an address is: country, city, coordinates and network operator, from MaxMind DB files.

https://maxmind.github.io/MaxMind-DB/ is the file format. What a record holds is each publisher's own; one
normaliser reads MaxMind's nested records, the flat ones of ip-location-db, and those of DB-IP and IPinfo.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import maxminddb

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.clean import printable
from bearerwatch.ingest.complaints import Complaints

__all__ = ["NOWHERE", "Geo", "Place"]

_REMEMBER = 32_768
_PROBES = ("1.1.1.1", "8.8.8.8", "2001:4860:4860::8888")
_COUNTRY = re.compile(r"[A-Z]{2}\Z").match
_LOOK_EVERY = 5.0


class Place(NamedTuple):
    """Where an address is; ``None`` where the files do not say."""

    country: str | None = None
    """ISO 3166-1 alpha-2."""
    city: str | None = None
    lat: float | None = None
    """Degrees north."""
    lon: float | None = None
    """Degrees east."""
    asn: int | None = None
    """Autonomous system number."""


NOWHERE = Place()
"""Nothing is known."""


class Geo:
    """Looks addresses up in one or more files; the first that knows a field gives it.

    A private copy of each file is read, so that whoever updates it may do so in place: a mapped file that
    is cut short would kill the process (SIGBUS). A changed file is read anew within seconds; one that
    cannot be read leaves the former in use.

    Args:
        paths: ``.mmdb`` files.
        scratch: folder for the copies, which have no name there once they are open.
        complain: takes what the operator should know.

    Raises:
        ConfigurationError: a file cannot be read or is no MaxMind DB.
    """

    def __init__(
        self, paths: Sequence[Path], *, scratch: Path | None = None, complain: Complaints | None = None
    ) -> None:
        self._scratch = scratch
        self._complain = Complaints() if complain is None else complain
        self._files = [_File(path, *self._load(path)) for path in paths]
        self._looked_at = time.monotonic()
        self._cached: Callable[[str], Place] = lru_cache(_REMEMBER)(self._find)
        self.generation = 0
        """How often files were read anew: what was found before may be wrong then."""

    def __call__(self, address: str) -> Place:
        """Where the IP *address*, in its canonical form, is."""
        return self._cached(address)

    def refresh(self) -> bool:
        """Read files that have changed; looks at most every five seconds. Returns whether there were any."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY:
            return False
        self._looked_at = now
        return self.reload()

    def reload(self) -> bool:
        """Read files that have changed, now. Returns whether there were any."""
        changed = False
        for file in self._files:
            try:
                if _identity(file.path.stat()) == file.identity:
                    continue
                reader, identity = self._load(file.path)
            except (OSError, ConfigurationError) as error:
                self._complain(f"geo {file.path}", f"{error}; the former data stays in use")
                continue
            file.reader.close()
            file.reader, file.identity = reader, identity
            changed = True
        if changed:
            self.generation += 1
            self._cached = lru_cache(_REMEMBER)(self._find)
        return changed

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.reader.close()
        self._files = []

    def _find(self, address: str) -> Place:
        found: dict[str, Any] = {}
        for file in self._files:
            try:
                record = file.reader.get(address)
            except (ValueError, maxminddb.InvalidDatabaseError) as error:
                # ValueError: an IPv6 address in a file that has only IPv4
                if isinstance(error, maxminddb.InvalidDatabaseError):
                    self._complain(f"geo {file.path}", f"{file.path} is damaged; replace it")
                continue
            if isinstance(record, dict):
                for name, value in _normalised(record).items():
                    found.setdefault(name, value)
        return Place(**found) if found else NOWHERE

    def _load(self, path: Path) -> tuple[maxminddb.Reader, tuple[int, int, int]]:
        advice = "give a MaxMind DB (.mmdb) file with --mmdb"
        try:
            with (
                path.open("rb") as original,
                tempfile.NamedTemporaryFile(dir=self._scratch, suffix=".mmdb") as copy,
            ):
                identity = _identity(os.fstat(original.fileno()))
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                reader = maxminddb.open_database(copy.name)
        except OSError as error:
            raise ConfigurationError(f"--mmdb {path} cannot be read: {error.strerror}; {advice}") from None
        except (ValueError, TypeError, maxminddb.InvalidDatabaseError):
            raise ConfigurationError(f"--mmdb {path} is not a MaxMind DB; {advice}") from None
        try:
            for probe in _PROBES:
                if reader.metadata().ip_version == 6 or ":" not in probe:
                    reader.get(probe)
        except (ValueError, maxminddb.InvalidDatabaseError):
            reader.close()
            raise ConfigurationError(f"--mmdb {path} is damaged, perhaps cut short; fetch it again") from None
        return reader, identity


class _File:
    __slots__ = ("identity", "path", "reader")

    def __init__(self, path: Path, reader: maxminddb.Reader, identity: tuple[int, int, int]) -> None:
        self.path = path
        self.reader = reader
        self.identity = identity


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _normalised(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Place` that *record* has and that make sense."""
    place: dict[str, Any] = {}
    country = _country(record)
    if country is not None:
        place["country"] = country
    city = record.get("city")
    if isinstance(city, dict):
        names = city.get("names")
        city = names.get("en") if isinstance(names, dict) else None
    if isinstance(city, str) and city:
        place["city"] = printable(city)[:128]
    location = record.get("location")
    point = location if isinstance(location, dict) else record
    lat = _degrees(point.get("latitude", point.get("lat")), 90)
    lon = _degrees(point.get("longitude", point.get("lng", point.get("lon"))), 180)
    if lat is not None and lon is not None:
        place["lat"], place["lon"] = lat, lon
    asn = _number(record.get("autonomous_system_number", record.get("asn")))
    if asn is not None:
        place["asn"] = asn
    return place


def _country(record: dict[str, Any]) -> str | None:
    for key in ("country", "country_code", "registered_country"):
        value = record.get(key)
        if isinstance(value, dict):
            value = value.get("iso_code")
        if isinstance(value, str) and _COUNTRY(value):
            return value
    return None


def _degrees(value: Any, limit: int) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and abs(number) <= limit else None


def _number(value: Any) -> int | None:
    if isinstance(value, str):
        digits = value.removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
    return value if type(value) is int and 0 < value < 2**32 else None
