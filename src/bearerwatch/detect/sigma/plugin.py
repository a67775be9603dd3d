# ruff: noqa: S608 - made of the dialect's own text and of names that are quoted
"""Our exact queries as a backend of pySigma: Sigma rules in, DuckDB's SQL over events of ours out.

Rules for other products are taken as far as their fields are ones of ours under another name, in ECS, in OCSF or in
web servers' logs; ``sigma convert -p`` adds more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from sigma.collection import SigmaCollection
from sigma.conversion.base import TextQueryBackend
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError
from sigma.processing.conditions import LogsourceCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import ChangeLogsourceTransformation, FieldMappingTransformation
from sigma.rule import SigmaRule

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import TYPES
from bearerwatch.detect.ir import And, Compare, Condition, Correlation, Op, Or
from bearerwatch.detect.sigma.complaints import CANNOT, said
from bearerwatch.detect.sigma.conditions import Refusal, condition
from bearerwatch.detect.sigma.correlations import Parsed, Translation
from bearerwatch.detect.sigma.expressions import judge
from bearerwatch.detect.sigma.extensions import extended
from bearerwatch.errors import RuleError
from bearerwatch.event import Kind
from bearerwatch.formats import ecs, ocsf

__all__ = ["BearerwatchBackend", "episodes", "statement"]

_LOGS = {
    "c-ip": "client_ip",
    "src_ip": "client_ip",
    "cs-method": "method",
    "cs-uri-stem": "path",
    "cs-user-agent": "user_agent",
    "c-useragent": "user_agent",
    "sc-status": "status",
    "cs-host": "service",
    "cs-username": "subject_id",
    "user": "subject_id",
}
"""Fields of rules for web servers (Sigma's taxonomy) and what is closest to them here."""


def _names() -> dict[str | None, str | list[str]]:
    """Every name a field of ours has elsewhere."""
    names: dict[str | None, str | list[str]] = {}
    for mapping in (ecs.MAPPING, ocsf.MAPPING):
        for ours, theirs in mapping.items():
            for name in theirs.split(" or "):
                if ours in TYPES and ours != "kind" and name not in TYPES:
                    names.setdefault(name, ours)
    return names | {name: ours for name, ours in _LOGS.items()}  # noqa: C416 - the types of keys differ


def statement(correlation: Correlation, table: str) -> str:
    """The exact query: one row for each event at which the rule holds, with the key, ``ts`` and what was counted."""
    keys = "".join(f'k{place} AS "{name}", ' for place, name in enumerate(correlation.group_by))
    return f"SELECT {keys}ts, n FROM ({sql.hits(correlation, table)})"


def episodes(correlation: Correlation, table: str) -> str:
    """The alerts: hits of one key no more than the rule's window apart are one."""
    keys = ", ".join(f"k{place}" for place in range(len(correlation.group_by)))
    named = "".join(f'k{place} AS "{name}", ' for place, name in enumerate(correlation.group_by))
    gap = f"ts - lag(ts) OVER (PARTITION BY {keys} ORDER BY ts) <= INTERVAL {correlation.seconds} SECOND"
    numbered = f"sum(begins) OVER (PARTITION BY {keys} ORDER BY ts ROWS UNBOUNDED PRECEDING) AS episode"
    return (
        f"SELECT {named}min(ts) AS first_hit, max(ts) AS last_hit, max(n) AS peak, count(*) AS hits FROM "
        f"(SELECT *, {numbered} FROM (SELECT *, CASE WHEN {gap} THEN 0 ELSE 1 END AS begins "
        f"FROM ({sql.hits(correlation, table)}))) GROUP BY {keys}, episode"
    )


class BearerwatchBackend(TextQueryBackend):
    """DuckDB's SQL with exact sliding windows, over the events of bearerwatch."""

    identifier: ClassVar[str] = "bearerwatch"
    name: ClassVar[str] = "bearerwatch: DuckDB SQL with exact sliding windows"
    formats: ClassVar[dict[str, str]] = {
        "default": "One row for each event at which a rule holds",
        "episodes": "One row for each alert",
    }
    requires_pipeline: ClassVar[bool] = False
    correlation_methods: ClassVar[dict[str, str] | None] = {"default": "Exact sliding windows"}
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = ProcessingPipeline(
        name="fields of other schemas, under the names of ours",
        items=[
            ProcessingItem(FieldMappingTransformation(_names())),
            *(
                ProcessingItem(
                    ChangeLogsourceTransformation(product="bearerwatch", service=Kind.AUTH.value),
                    rule_conditions=[LogsourceCondition(**source)],
                )
                for source in ({"category": "webserver"}, {"category": "proxy"}, {"category": "authentication"})
            ),
        ],
    )

    def __init__(
        self,
        processing_pipeline: ProcessingPipeline | None = None,
        collect_errors: bool = False,
        table: str = "events",
        **backend_options: Any,
    ) -> None:
        """Make one.

        Args:
            processing_pipeline: what rules go through after ours.
            collect_errors: keep errors in ``errors`` instead of raising them.
            table: what the events are in: a table's name, or ``read_parquet('…')``.
            backend_options: none that is known.
        """
        super().__init__(processing_pipeline, collect_errors, **backend_options)
        self._table = table

    def convert(
        self,
        rule_collection: SigmaCollection,
        output_format: str | None = None,
        correlation_method: str | None = None,  # noqa: ARG002 - pySigma's signature; there is one
        callback: Callable[..., Any] | None = None,
    ) -> list[str]:
        """Convert every rule that no other refers to.

        Raises:
            SigmaFeatureNotSupportedByBackendError: a rule that cannot be said of our events; the message says why.
        """
        form = output_format or self.default_format
        self.init_processing_pipeline(form)
        rule_collection.resolve_rule_references()
        rules: list[Any] = list(rule_collection.rules)
        for rule in rules:
            self.last_processing_pipeline.apply(rule)
        queries = []
        for rule in rules:
            if rule._backreferences:  # noqa: SLF001 - pySigma has no other way
                continue
            try:
                query: Any = self._query(rule, form)
            except RuleError as error:
                refusal = SigmaFeatureNotSupportedByBackendError(str(error), source=rule.source)
                if not self.collect_errors:
                    raise refusal from None
                self.errors.append((rule, refusal))
                continue
            if callback is not None:
                query = callback(rule, form, 0, None, query)
            if query is not None:
                queries.append(query)
        return queries

    def _query(self, rule: Parsed, form: str) -> str:
        if isinstance(rule, SigmaRule):
            return f"SELECT * FROM {self._table} WHERE {sql.predicate(_where(rule))}"
        correlation = extended(_document(rule), Translation(_document)(rule))
        return (episodes if form == "episodes" else statement)(correlation, self._table)


def _where(rule: SigmaRule) -> Condition:
    """What a base rule selects."""
    document = _document(rule)
    if rule.logsource.product != "bearerwatch":
        raise document.error("is not about our events: give a pipeline that changes its logsource, with -p")
    try:
        parts = [condition(one.parsed) for one in rule.detection.parsed_condition]
    except Refusal as refusal:
        raise document.error(str(refusal)) from None
    except CANNOT as error:
        raise document.error(f"has a detection that cannot be read: {said(error)}") from None
    found = parts[0] if len(parts) == 1 else Or(tuple(parts))
    try:
        judge(found)
    except Refusal as refusal:
        raise document.error(str(refusal)) from None
    kind = rule.logsource.service
    return found if kind is None else And((Compare("kind", Op.IN, (kind,)), found))


def _document(rule: Parsed) -> Document:
    """*rule* as a document, as it is after the pipelines."""
    source = getattr(rule.source, "path", None)
    return Document(path=Path(str(source)) if source else Path("rule"), line=1, data=rule.to_dict(), lines={})
