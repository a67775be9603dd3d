"""Products a rule can be converted for: which backend of pySigma speaks their language, and how fields are called."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sigma.conversion.base import Backend
from sigma.plugins import InstalledSigmaPlugins
from sigma.processing.conditions import LogsourceCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import (
    AddConditionTransformation,
    FieldMappingTransformation,
    SetCustomAttributeTransformation,
    SetStateTransformation,
)

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import REPEATED, Kind
from bearerwatch.formats import ecs, ocsf

__all__ = ["NAMES", "SCHEMAS", "backend_of", "backends", "pipeline", "schema_of"]

NAMES: Mapping[str, str] = {
    "elastic": "esql",
    "elasticsearch": "esql",
    "opensearch": "open_search_ppl",
    "sentinel": "kusto",
    "grafana": "loki",
    "duckdb": "bearerwatch",
}
"""What people call a product, where its backend is called otherwise."""

_PACKAGES = {
    "esql": "'bearerwatch[convert]'",
    "eql": "'bearerwatch[convert]'",
    "elastalert": "'bearerwatch[convert]'",
    "lucene": "'bearerwatch[convert]'",
    "open_search_ppl": "'bearerwatch[convert]'",
    "opensearch_lucene": "'bearerwatch[convert]'",
    "splunk": "'bearerwatch[convert]'",
    "kusto": "'bearerwatch[convert]'",
    "loki": "pysigma-backend-loki (its licence is the AGPL)",
    "sqlite": "pysigma-backend-sqlite",
}
_OURS = {"bearerwatch"}


def _names(mapping: Mapping[str, str]) -> dict[str, str]:
    """Of fields that have several places, the first one, where the plainest events have it."""
    return {ours: theirs.split(" or ")[0] for ours, theirs in mapping.items() if ours != "kind"}


SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "ecs": _names(ecs.MAPPING),
    "ocsf": _names(ocsf.MAPPING),
    "plain": {},
}
"""Names of our fields in the formats events are exported in; ``plain`` are our own, as in the spool and in NDJSON."""

_SCHEMA_OF = {
    "esql": "ecs",
    "eql": "ecs",
    "elastalert": "ecs",
    "lucene": "ecs",
    "splunk": "ocsf",
    "splunk_spl2": "ocsf",
}
_SCHEMA_OF |= {"open_search_ppl": "ecs", "opensearch_lucene": "ecs"}


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a schema says what kind an event is of."""

    field: str
    values: Mapping[str, Any]


_KINDS = {
    "ecs": _Kind("event.dataset", {kind.value: f"bearerwatch.{kind.value}" for kind in Kind}),
    "ocsf": _Kind("class_uid", {Kind.AUTH.value: 3002}),
    "plain": _Kind("kind", {kind.value: kind.value for kind in Kind}),
}


def backends() -> dict[str, type[Backend]]:
    """The backends that are installed, by the name pySigma gives them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two that would have one name; they are told apart by their classes
        found = InstalledSigmaPlugins.autodiscover(include_pipelines=False, include_validators=False).backends
    return {
        name: cast("type[Backend]", backend)  # pySigma says it were an object of the class
        for name, backend in found.items()
        if backend.__module__.partition("sigma.backends.")[2].split(".")[0] != "test"
    }


def backend_of(target: str) -> tuple[str, type[Backend]]:
    """The backend for *target*, a product or the name of a backend.

    Raises:
        ConfigurationError: it is not installed; the message says which package has it.
    """
    name = NAMES.get(target, target)
    found = backends()
    if name in found:
        return name, found[name]
    there = ", ".join(sorted({*found, *(product for product, one in NAMES.items() if one in found)}))
    if name in _PACKAGES:
        raise ConfigurationError(
            f"no backend for {target} is installed: pip install {_PACKAGES[name]}. Installed are: {there or 'none'}"
        )
    raise ConfigurationError(f"there is no backend of that name installed. Installed are: {there or 'none'}")


def schema_of(backend: str) -> str:
    """The schema events most likely have where *backend*'s language is spoken."""
    return _SCHEMA_OF.get(backend, "plain")


def pipeline(backend: str, schema: str, index: str | None) -> ProcessingPipeline:
    """What a rule for our events becomes before *backend* speaks it.

    The kind of event, and that a request told of twice counts once, go without saying here and not elsewhere: they
    become conditions. Then every field gets its name in *schema*.
    """
    kind = _KINDS[schema]
    items = [
        ProcessingItem(
            AddConditionTransformation({kind.field: value}),
            rule_conditions=[LogsourceCondition(product="bearerwatch", service=name)],
        )
        for name, value in kind.values.items()
    ]
    items.append(
        ProcessingItem(
            AddConditionTransformation({"reason": REPEATED}, negated=True),
            rule_conditions=[LogsourceCondition(product="bearerwatch", service=Kind.AUTH.value)],
        )
    )
    if index is not None and backend.startswith("splunk"):
        items.append(ProcessingItem(AddConditionTransformation({"index": index})))
    elif index is not None:
        items.append(ProcessingItem(SetStateTransformation("index", index)))
    if backend == "loki":
        items.append(ProcessingItem(SetCustomAttributeTransformation("loki_parser", "json")))
    names: dict[str | None, str | list[str]] = {ours: theirs for ours, theirs in SCHEMAS[schema].items()}  # noqa: C416
    if names:
        items.append(ProcessingItem(FieldMappingTransformation(names)))
    return ProcessingPipeline(name=f"bearerwatch {schema}", items=items)
