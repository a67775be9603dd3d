"""What --tail and --log-format say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.log_source import LogSource, read_layouts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx:/var/log/a.log", LogSource("nginx", "nginx", Path("/var/log/a.log"))),
        ("nginx@edge:/var/log/a:b.log", LogSource("nginx", "edge", Path("/var/log/a:b.log"))),
        ("own@edge:a.log", LogSource("nginx:$status", "edge", Path("a.log"))),
    ],
)
def test_a_log_its_format_and_its_service(text: str, expected: LogSource) -> None:
    found = LogSource.parse(text, {"own": "nginx:$status"})

    assert found == expected
    assert found.source == f"access:{expected.service}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/var/log/a.log", "is FORMAT:PATH"),
        ("nginx:", "is FORMAT:PATH"),
        ("iis:/a.log", "no format there is: they are alb, apache"),
        ("nginx@a b:/a.log", "a service's name is"),
        ("nginx@:/a.log", "a service's name is"),
        ("nginx:/var/log/*.log", "takes no pattern"),
    ],
)
def test_anything_else_says_what_to_mend(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        LogSource.parse(text)


def test_formats_of_one_s_own() -> None:
    assert read_layouts(["own=nginx:$a=$status", "b=alb"]) == {"own": "nginx:$a=$status", "b": "alb"}
    for wrong in ("own", "=nginx:x", "a b=nginx", "own="):
        with pytest.raises(ConfigurationError, match="NAME=FORMAT:LAYOUT"):
            read_layouts([wrong])
    with pytest.raises(ConfigurationError, match="name of another format"):
        read_layouts(["nginx=nginx:$status"])
