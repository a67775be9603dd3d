"""Addresses get their country and network from whatever MaxMind DB file the user names."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.geo import NOWHERE, Geo, Place


def write(path: Path, records: dict[str, dict[str, Any]], *, ip_version: int = 6) -> Path:
    writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6, database_type="test")
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


@pytest.fixture
def geo() -> Any:
    made: list[Geo] = []

    def make(*paths: Path, **options: Any) -> Geo:
        made.append(Geo(paths, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., Geo]


class TestForms:
    @pytest.mark.parametrize(
        ("record", "place"),
        [
            ({"country_code": "US"}, Place("US")),
            ({"country": {"iso_code": "US"}, "registered_country": {"iso_code": "DE"}}, Place("US")),
            ({"registered_country": {"iso_code": "DE"}}, Place("DE")),
            ({"country": "US", "asn": "AS64500"}, Place("US", asn=64500)),
            ({"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}, Place(asn=64500)),
            (
                {
                    "country": {"iso_code": "NL", "names": {"en": "Netherlands"}},
                    "city": {"names": {"en": "Utrecht", "nl": "Utrecht"}},
                    "location": {"latitude": 52.09, "longitude": 5.12},
                },
                Place("NL", "Utrecht", 52.09, 5.12),
            ),
            (
                {"country_code": "NL", "city": "Utrecht", "latitude": 52.0, "longitude": 5.0},
                Place("NL", "Utrecht", 52.0, 5.0),
            ),
            ({"country": "NL", "city": "Utrecht", "lat": "52.0", "lng": "5.0"}, Place("NL", "Utrecht", 52.0, 5.0)),
            ({"country_code": "usa"}, NOWHERE),
            ({"country_code": 7, "city": ["x"], "latitude": "north", "longitude": 999.0, "asn": "ASX"}, NOWHERE),
            ({"country_code": "FR", "city": "a\x1b[2J"}, Place("FR", "a\\x1b[2J")),
        ],
    )
    def test_records(self, tmp_path: Path, geo: Make, record: dict[str, Any], place: Place) -> None:
        look = geo(write(tmp_path / "a.mmdb", {"203.0.113.0/24": record}))
        assert look("203.0.113.9") == place
        assert look("198.51.100.1") == NOWHERE

    def test_several_files_complete_each_other(self, tmp_path: Path, geo: Make) -> None:
        country = write(tmp_path / "country.mmdb", {"203.0.113.0/24": {"country_code": "NL"}})
        other = write(
            tmp_path / "asn.mmdb", {"203.0.113.0/24": {"country_code": "XX", "autonomous_system_number": 64500}}
        )
        assert geo(country, other)("203.0.113.9") == Place("NL", asn=64500)

    def test_ipv6_in_a_file_without(self, tmp_path: Path, geo: Make) -> None:
        look = geo(write(tmp_path / "v4.mmdb", {"203.0.113.0/24": {"country_code": "NL"}}, ip_version=4))
        assert look("2001:db8::1") == NOWHERE
        assert look("203.0.113.9") == Place("NL")


class TestFiles:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"--mmdb .*none\.mmdb cannot be read: No such file"):
            Geo([tmp_path / "none.mmdb"])

    @pytest.mark.parametrize("content", [b"", b"ip,country\n1.1.1.1,US\n", os.urandom(200_000)])
    def test_another_kind_of_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "wrong.mmdb"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="is not a MaxMind DB"):
            Geo([path])

    def test_cut_short(self, tmp_path: Path, geo: Make) -> None:
        """However a file was cut: refused with a clear message, or usable; never a crash."""
        path = write(tmp_path / "a.mmdb", {f"203.0.{n}.0/24": {"country_code": "NL", "n": n} for n in range(200)})
        whole = path.read_bytes()
        for size in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:size])
            with pytest.raises(ConfigurationError, match=r"\.mmdb"):
                Geo([path])
        path.write_bytes(whole[: len(whole) // 3] + whole[len(whole) // 2 :])
        try:
            look = geo(path)
        except ConfigurationError:
            return
        for n in range(200):
            look(f"203.0.{n}.1")

    def test_a_replaced_file_is_read_anew(self, tmp_path: Path, geo: Make) -> None:
        path = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country_code": "NL"}})
        look = geo(path)
        assert look("203.0.113.9").country == "NL"
        assert not look.reload()
        write(tmp_path / "new.mmdb", {"203.0.113.0/24": {"country_code": "BE"}}).replace(path)
        assert look.reload()
        assert look("203.0.113.9").country == "BE"

    def test_a_file_overwritten_in_place(self, tmp_path: Path, geo: Make) -> None:
        """A mapped file that is cut short would kill the process: lookups go on as if nothing had happened."""
        path = write(tmp_path / "a.mmdb", {f"203.{n}.0.0/16": {"country_code": "NL"} for n in range(256)})
        look = geo(path)
        stop = threading.Event()

        def look_around() -> None:
            while not stop.is_set():
                for n in range(256):
                    look._find(f"203.{n}.1.1")

        thread = threading.Thread(target=look_around)
        thread.start()
        try:
            with path.open("r+b") as file:
                file.truncate(0)
                time.sleep(0.1)
        finally:
            stop.set()
            thread.join()
        assert look("203.5.1.1").country == "NL"

    def test_a_broken_replacement_leaves_the_former_in_use(self, tmp_path: Path, geo: Make, said: Any) -> None:
        path = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country_code": "NL"}})
        look = geo(path, complain=said)
        path.write_bytes(b"half a downl")
        assert not look.reload()
        assert look("203.0.113.9").country == "NL"
        assert "is not a MaxMind DB" in said.text
        assert "the former data stays in use" in said.text

    def test_the_copy_has_no_name(self, tmp_path: Path, geo: Make) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        look = geo(write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country_code": "NL"}}), scratch=scratch)
        assert list(scratch.iterdir()) == []
        assert look("203.0.113.9").country == "NL"
