"""Rules in the languages of other products, with a word wherever those mean less than ours.

pySigma's backends write the queries. What they leave out is looked for in what they have written, not believed of
them: a backend that is mended loses its warning, and one that breaks gets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.conversion.base import Backend

from bearerwatch.detect.documents import read
from bearerwatch.detect.ir import EventCount, Part, Rule, Selection, Sequence, ValueCount
from bearerwatch.detect.ir_keyed import Silence
from bearerwatch.detect.ir_windows import Formula, Function, Joint, Measure, Quantor, Temporal
from bearerwatch.detect.sigma.complaints import CANNOT, quietly, said
from bearerwatch.detect.sigma.plugin import episodes, statement
from bearerwatch.detect.sigma.reading import read_rule
from bearerwatch.detect.sigma.targets import SCHEMAS, pipeline
from bearerwatch.errors import ConfigurationError

__all__ = ["Converted", "convert"]

_OURS = "bearerwatch"
_FAILURES = (*CANNOT, RuntimeError, AssertionError)
"""Backends meet what they do not know with whatever Python raises; NotImplementedError is a RuntimeError."""


@dataclass(frozen=True, slots=True)
class Converted:
    """One rule in another language."""

    rule: str
    queries: tuple[str, ...]
    """Empty if it cannot be converted."""
    warnings: tuple[str, ...]
    """Where the queries mean less than the rule, or something else."""
    problem: str = ""
    """Why it cannot be converted."""


def convert(
    path: Path, name: str, backend: type[Backend], *, schema: str, form: str = "default", index: str | None = None
) -> Converted:
    """Convert one rule file.

    Args:
        path: of a rule that bearerwatch reads.
        name: of the backend.
        backend: what speaks the language.
        schema: what fields are called there, one of :data:`~bearerwatch.detect.sigma.targets.SCHEMAS`.
        form: one of the backend's formats.
        index: where events are kept there, for backends that say so in a query.

    Raises:
        RuleError: the rule cannot be read.
        ConfigurationError: the backend has no such format.
    """
    if form not in backend.formats:
        raise ConfigurationError(f"--format is one of {', '.join(sorted(backend.formats))} for this target")
    rule = read_rule(path)
    documents = [document.data for document in read(path)]
    write = _Writer(name, backend, schema, form, index)
    if name == _OURS:
        return Converted(rule.name, ((episodes if form == "episodes" else statement)(rule.correlation, "events"),), ())
    if isinstance(rule.correlation, Silence):
        return Converted(
            rule.name,
            (),
            (),
            "it fires when events do not come, and a query would fire when they do: alert on missing data by the "
            "product's own means",
        )
    data = [{key: value for key, value in one.items() if key != _OURS} for one in documents]
    told = []
    if any("detect" in one[_OURS] for one in documents if isinstance(one.get(_OURS), dict)):
        told.append(
            "an approximation: the rule is of a kind of ours that compares with the past, and what is converted is the "
            "plain correlation beside it, which fires on more or on less"
        )
    try:
        queries = write.mapped(data)
    except _FAILURES as error:
        return _uncounted(rule, data, write, told, _why(error))
    text = "\n".join(queries)
    for pattern, why in _BROKEN:
        if re.search(pattern, text):
            return Converted(rule.name, (), tuple(told), f"what its backend writes {why}")
    told += filter(None, [_about_time(text, rule)])
    if isinstance(rule.correlation, Sequence) and write.is_unordered(data, queries):
        told.append("order not checked: it is the very query of the same events in any order")
    return Converted(rule.name, tuple(queries), (*told, *_about_counts(text, rule, schema)))


def _text(query: Any) -> str:
    return query if isinstance(query, str) else json.dumps(query, indent=2, default=str)


def _why(error: BaseException) -> str:
    text = str(error).splitlines()[0] if isinstance(error, NotImplementedError) and str(error) else said(error)
    return text.partition(" in rule ")[0][:200].rstrip(".")


def _uncounted(rule: Rule, data: list[dict[str, Any]], write: _Writer, told: list[str], why: str) -> Converted:
    """What can be had where a backend cannot say how many: which events; and of Kusto a count of ours."""
    try:
        queries = write([one for one in data if "correlation" not in one])
    except _FAILURES as error:
        return Converted(rule.name, (), tuple(told), _why(error))
    if write.name == "kusto" and len(queries) == 1:
        counted = _counted_by_kusto(rule, queries[0], write.schema, write.index or "bearerwatch_CL")
        if counted:
            return Converted(rule.name, (counted,), (*told, _about_time(counted, rule)))
    told.append(
        f"not counted ({why}): each query finds single events, and nothing says how many of what make an alert. Add "
        "the rule's threshold, key and time by hand"
    )
    return Converted(rule.name, tuple(queries), tuple(told))


_BROKEN = (
    (r"\bby\s+with runs", "the product refuses ('by' without a field): this kind of rule does not work there"),
    (r"\] by \S+ with runs", "asks for one value many times, where the rule asks for many values"),
    (r"\bdc\(EventID\)", "can never hold: it counts values of EventID, a field that our events do not have"),
)
_TUMBLING = r"date_trunc\(|\bbin _time\b|span\(@timestamp|\bbin\(TimeGenerated"
_APPROXIMATE = r"count_distinct\(|cardinality"


def _about_time(text: str, rule: Rule) -> str:
    """How *text* looks at time otherwise than the rule; empty if it does not."""
    seconds = rule.window
    if re.search(_TUMBLING, text):
        return (
            f"tumbling windows: events are counted per fixed stretch of {seconds} s, so a burst that lies across two "
            "of them is split and may be missed. Lower the threshold to half, or run it with overlapping ranges"
        )
    if not _says_span(text, seconds):
        return (
            f"no time span: the query counts over whatever time it is run on, not within {seconds} s. Run it over that "
            f"stretch, at least every {max(seconds // 2, 1)} s"
        )
    if "_over_time(" in text:
        return "sampled: the window slides with the product's evaluation interval; what lies between is not looked at"
    if "metric_aggregation" in text:
        return "sampled: it is evaluated once a run, over what lies in its buffer then"
    if "sequence by" in text and not isinstance(rule.correlation, Sequence):
        return "matches do not overlap: the product begins a new count behind each match"
    if "julianday(" in text:
        return "times are rounded to milliseconds, and values and keys compared without case"
    return ""


def _about_counts(text: str, rule: Rule, schema: str) -> Iterator[str]:
    """What *text* counts otherwise than the rule."""
    parts = list(_parts(rule.correlation))
    counts = any(_counts(part, Function.COUNT, EventCount) for part in parts)
    if any(_counts(part, Function.DISTINCT, ValueCount) for part in parts) and re.search(_APPROXIMATE, text):
        yield "different values are estimated once there are some thousands of them"
    if counts and not re.search(rf"sum\([^)]*{re.escape(_place('count', schema))}", text):
        yield "an event that stands for many (its field count, past a spool's quota) is counted as one"
    if len([part for part in parts if not isinstance(part, Selection)]) > 1:
        yield (
            "windows within windows: what the inner ones find is placed at the beginning of their stretch of time, or "
            "at none, and the outer one counts that"
        )
    if any(isinstance(part, Temporal) and _negates(part.formula) for part in parts):
        yield "what must not have come before is looked for in the same stretch of time, before and after alike"
    if schema == "ecs" and "event.duration" in text:
        yield "durations are nanoseconds there, and the rule's numbers are microseconds: multiply them by 1000"


def _parts(part: Any) -> Iterator[Part]:
    """*part* and all it is made of."""
    yield part
    for inner in (*getattr(part, "steps", ()), *getattr(part, "sources", ())):
        yield from _parts(inner)


def _counts(part: Part, function: Function, kind: type[EventCount | ValueCount]) -> bool:
    return isinstance(part, kind) or (isinstance(part, Measure) and part.function is function)


def _negates(formula: Formula) -> bool:
    return isinstance(formula, Joint) and (formula.quantor is Quantor.NONE or any(map(_negates, formula.items)))


def _says_span(text: str, seconds: int) -> bool:
    """Whether the time span stands in the query in any of the ways there are to write one."""
    forms = {rf"\b{seconds}(?:s|seconds?)?\b"}
    for unit, names in ((60, "m|min|minutes?"), (3600, "h|hours?"), (86_400, "d|days?")):
        if seconds % unit == 0:
            forms |= {rf"\b{seconds // unit}(?:{names})\b", rf"\b(?:{names}):? ?{seconds // unit}\b"}
    return any(re.search(form, text) for form in forms)


def _place(field: str, schema: str) -> str:
    return SCHEMAS[schema].get(field, field)


def _alone(speaker: Backend) -> Backend:
    """*speaker*, which from now on keeps to itself what it writes of correlations others refer to: no rules here."""
    write = speaker.convert_correlation_rule

    def convert_correlation_rule(rule: Any, *more: Any, **named: Any) -> list[Any]:
        written = write(rule, *more, **named)
        return [] if rule._backreferences else written  # noqa: SLF001 - pySigma has no other way

    vars(speaker)["convert_correlation_rule"] = convert_correlation_rule
    return speaker


class _Writer:
    """A backend that writes one file's rules as often as is asked."""

    def __init__(self, name: str, backend: type[Backend], schema: str, form: str, index: str | None) -> None:
        self.name, self.schema, self.index = name, schema, index
        self._backend, self._form = backend, form

    def __call__(self, rules: list[dict[str, Any]]) -> list[str]:
        with quietly():
            speaker = _alone(self._backend(processing_pipeline=pipeline(self.name, self.schema, self.index)))
            found = speaker.convert(SigmaCollection.from_dicts(deepcopy(rules)), self._form)
        return [_text(one) for one in (found if isinstance(found, list) else [found])]

    def mapped(self, rules: list[dict[str, Any]]) -> list[str]:
        """As a call; where the backend leaves the names in correlations alone, they are written for it."""
        queries = self(rules)
        names = {name for one in rules for name in _named(one)} & SCHEMAS[self.schema].keys()
        if all(_place(name, self.schema) in "\n".join(queries) for name in names):
            return queries
        renamed = deepcopy(rules)
        for one in renamed:
            correlation = one.get("correlation", {})
            if "group-by" in correlation:
                correlation["group-by"] = [_place(name, self.schema) for name in _listed(correlation["group-by"])]
            if isinstance(correlation.get("condition"), dict) and "field" in correlation["condition"]:
                correlation["condition"]["field"] = _place(correlation["condition"]["field"], self.schema)
        return self(renamed)

    def is_unordered(self, rules: list[dict[str, Any]], queries: list[str]) -> bool:
        """Whether the backend writes the same for the same rule without an order."""
        plain = deepcopy(rules)
        for one in plain:
            if one.get("correlation", {}).get("type") == "temporal_ordered":
                one["correlation"]["type"] = "temporal"
        try:
            return self.mapped(plain) == queries
        except _FAILURES:
            return False


def _named(rule: dict[str, Any]) -> Iterator[str]:
    """The fields a correlation names."""
    correlation = rule.get("correlation", {})
    yield from _listed(correlation.get("group-by", []))
    if isinstance(correlation.get("condition"), dict) and isinstance(correlation["condition"].get("field"), str):
        yield correlation["condition"]["field"]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _counted_by_kusto(rule: Rule, base: str, schema: str, table: str) -> str:
    """A count in Kusto's language, for whose backend counts nothing: per fixed stretch of time."""
    step = rule.correlation
    if isinstance(step, EventCount):
        number = f"sum(coalesce(column_ifexists('{_place('count', schema)}', 1), 1))"
    elif isinstance(step, ValueCount):
        number = f"count_distinct({_place(step.field, schema)})"
    else:
        return ""
    keys = ", ".join(_place(name, schema) for name in step.group_by)
    return (
        f"{table}\n| where {base.strip()}\n| summarize counted = {number} by bin(TimeGenerated, {step.seconds}s), "
        f"{keys}\n| where counted >= {step.at_least}"
    )
