"""The backend of pySigma: found by its own discovery, and what it writes finds what the collector finds."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError
from sigma.plugins import InstalledSigmaPlugins

import bearerwatch
from bearerwatch.detect.rulebook import package_rules
from bearerwatch.detect.ruletest import batch
from bearerwatch.detect.sigma import read_rule
from bearerwatch.detect.sigma.targets import backends
from detect.test_convert import COUNT, ORDERED, VALUES
from detect.test_differential import World, arrivals
from detect.world import Collector, event

Make = Callable[..., Collector]
SHORT = {"5m": "10s", "100": "4", "30": "3"}

WEB = """\
title: Not found
name: not_found
logsource: {category: webserver}
detection:
  gone: {sc-status: 404, cs-uri-stem|startswith: /admin}
  condition: gone
---
title: Admin pages looked for
id: 9e302fa1-0fe6-44b7-a5b5-4f6df4c05e1d
status: test
correlation:
  type: value_count
  rules: [not_found]
  group-by: [c-ip]
  timespan: 1m
  condition: {field: cs-uri-stem, gte: 3}
"""


@pytest.fixture
def backend() -> Any:
    """As sigma-cli finds it."""
    return InstalledSigmaPlugins.autodiscover(include_pipelines=False, include_validators=False).backends["bearerwatch"]


def asked(box: Collector, backend: Any, text: str, form: str = "default") -> list[tuple[Any, ...]]:
    (query,) = backend(table=box.lake.pending()).convert(SigmaCollection.from_yaml(text), form)
    return box.con.execute(query).fetchall()


@pytest.mark.parametrize("text", [COUNT, VALUES, ORDERED], ids=["count", "values", "ordered"])
def test_what_it_writes_finds_what_the_collector_finds(
    collector: Make, backend: Any, tmp_path: Path, text: str
) -> None:
    for long, short in SHORT.items():
        text = text.replace(f": {long}", f": {short}")
    (tmp_path / "a_rule.yml").write_text(text, encoding="utf-8")
    rule = read_rule(tmp_path / "a_rule.yml")
    world = World(seed=9, events=300, span=200, lateness=5, far=0, crashes=0, per_tick=50, tight=0, wait=0)
    box = collector()
    box.append([one for _, one in arrivals(world, random.Random(9))])
    whole = batch(rule, box.con, box.lake.pending())
    assert whole
    found = {(*row[:1], row[1], row[2], row[3], row[4]) for row in asked(box, backend, text, "episodes")}
    naive = {
        (*one.key, one.first.replace(tzinfo=None), one.last.replace(tzinfo=None), one.peak, one.hits) for one in whole
    }
    assert found == naive
    assert len(asked(box, backend, text)) == sum(one.hits for one in whole)


def test_a_rule_for_web_servers_is_asked_of_our_fields(collector: Make, backend: Any) -> None:
    box = collector()
    box.append([event(i, client_ip="192.0.2.1", status=404, path=f"/admin/{i}") for i in range(4)])
    assert [(row[0], row[2]) for row in asked(box, backend, WEB)] == [("192.0.2.1", 3), ("192.0.2.1", 4)]
    plain = WEB.partition("---")[0]
    assert len(asked(box, backend, plain)) == 4


def test_what_is_not_ours_is_refused_in_words(backend: Any) -> None:
    for text, said in [
        (WEB.replace("cs-uri-stem|", "CommandLine|"), "CommandLine"),
        (WEB.replace("category: webserver", "product: windows"), "our events"),
        (WEB.partition("---")[0].replace("category: webserver", "product: windows"), "logsource"),
    ]:
        with pytest.raises(SigmaFeatureNotSupportedByBackendError, match=said):
            backend().convert(SigmaCollection.from_yaml(text))
        kind = backend(collect_errors=True)
        assert kind.convert(SigmaCollection.from_yaml(text)) == []
        assert len(kind.errors) == 1


@pytest.mark.parametrize("path", sorted(package_rules().glob("*.yml")), ids=lambda path: path.stem)
def test_the_rules_that_come_with_us_are_written(backend: Any, path: Path) -> None:
    if path.name.endswith(".test.yml"):
        return
    (query,) = backend().convert(SigmaCollection.load_ruleset([path]))
    assert query.startswith("SELECT k0 AS ")


def test_it_is_one_of_the_targets_of_rules_convert() -> None:
    assert "bearerwatch" in backends()


def test_pysigma_keeps_its_namespace() -> None:
    """An ``__init__.py`` above ours would hide every other backend; without the folder the wheel would lack it."""
    source = Path(bearerwatch.__file__).parent.parent / "sigma"
    assert [path.relative_to(source) for path in sorted(source.rglob("*.py"))] == [
        Path("backends/bearerwatch/__init__.py")
    ]
    project = source.parent.parent / "pyproject.toml"
    built = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert "src/sigma" in built
