# ruff: noqa: S608 - every part is made here, or quoted by literal()
"""The IR in DuckDB's SQL. The only file that speaks it for rules; another dialect is another file beside this one.

What is emitted is the detection alone: which anchors hold, and how many events or values their windows have.
Episodes are made of them in Python, because other engines cannot (and because an id must not depend on a query).
Batch, micro-batch and confirmation run the same text over different relations.
"""

from __future__ import annotations

import ipaddress

from bearerwatch.detect.fields import DEFAULTS, LOWER_CASE, TYPES
from bearerwatch.detect.ir import (
    And,
    Before,
    Compare,
    Condition,
    Correlation,
    EventCount,
    Not,
    Op,
    Or,
    Scalar,
    Selection,
    Sequence,
    Step,
    ValueCount,
    Wildcard,
)

__all__ = [
    "CEILING",
    "WEIGHT",
    "column",
    "crossing",
    "hits",
    "key_column",
    "key_columns",
    "literal",
    "predicate",
    "step_where",
]

CEILING = 2**53
"""Counts are cut off here: every database and JSON reader can hold it, and no threshold comes near."""

WEIGHT = f'least(greatest(coalesce("count", 1), 1), {CEILING})'
"""How many events an event stands for."""

_ORDER_OPS = {Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}


def literal(value: Scalar) -> str:
    """*value* as an SQL literal."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return f"{value!r}::DOUBLE"
    return "'" + value.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"


def column(field: str) -> str:
    """A field, with its default where it was left out."""
    return f'coalesce("{field}", {DEFAULTS[field]})' if field in DEFAULTS else f'"{field}"'


def predicate(condition: Condition) -> str:
    """*condition* as an SQL expression; NULL counts as false."""
    match condition:
        case And(items=items):
            return "(" + " AND ".join(map(predicate, items)) + ")"
        case Or(items=items):
            return "(" + " OR ".join(map(predicate, items)) + ")"
        case Not(item=item):
            # SQL's NOT NULL is NULL; an event without the field is not that value, so it matches.
            return f"NOT coalesce({predicate(item)}, FALSE)"
        case Before(at=at):
            return f"ts < make_timestamp({at})"
        case Compare(op=Op.IN):
            return _in(condition)
        case Compare(op=Op.LIKE):
            return _like(condition)
        case Compare(op=Op.EXISTS):
            return f'"{condition.field}" IS {"NOT " if condition.value else ""}NULL'
        case Compare(op=Op.RE):
            return f"regexp_matches({column(condition.field)}, {literal(_text(condition))})"
        case Compare(op=Op.CIDR):
            return _within(condition.field, _text(condition))
    return f"{column(condition.field)} {_ORDER_OPS[condition.op]} {literal(_scalar(condition))}"


def _scalar(compare: Compare) -> Scalar:
    if isinstance(compare.value, tuple):
        raise TypeError(f"{compare.op} takes one value")
    return compare.value


def _text(compare: Compare) -> str:
    if not isinstance(compare.value, str):
        raise TypeError(f"{compare.op} takes text")
    return compare.value


def _folds(field: str, text: str, *, cased: bool) -> bool:
    """Whether comparing *field* with *text* needs case folding at run time."""
    return TYPES[field] == "VARCHAR" and not cased and field not in LOWER_CASE and text.lower() != text.upper()


def _in(compare: Compare) -> str:
    values = [v for v in compare.value if not isinstance(v, Wildcard)] if isinstance(compare.value, tuple) else []
    plain = [v for v in values if not (isinstance(v, str) and _folds(compare.field, v, cased=compare.cased))]
    folded = [v for v in values if v not in plain]
    if compare.field in LOWER_CASE and not compare.cased:
        plain = [v.lower() if isinstance(v, str) else v for v in plain]
    name = column(compare.field)
    parts = []
    if plain:
        parts.append(_one_of(name, [literal(v) for v in plain]))
    if folded:
        parts.append(_one_of(f"lower({name})", [f"lower({literal(v)})" for v in folded]))
    return parts[0] if len(parts) == 1 else "(" + " OR ".join(parts) + ")"


def _one_of(name: str, values: list[str]) -> str:
    return f"{name} = {values[0]}" if len(values) == 1 else f"{name} IN ({', '.join(values)})"


def _like(compare: Compare) -> str:
    pattern = ""
    for part in compare.value if isinstance(compare.value, tuple) else ():
        match part:
            case Wildcard.MANY:
                pattern += "%"
            case Wildcard.ONE:
                pattern += "_"
            case _:
                pattern += str(part).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    name, text = column(compare.field), literal(pattern)
    if _folds(compare.field, pattern, cased=compare.cased):
        name, text = f"lower({name})", f"lower({text})"
    elif compare.field in LOWER_CASE and not compare.cased:
        text = literal(pattern.lower())
    return f"{name} LIKE {text} ESCAPE '\\'"


def _within(field: str, cidr: str) -> str:
    """Whether an address lies in a network. DuckDB's inet extension is not part of its wheel."""
    network = ipaddress.ip_network(cidr)
    first, last = int(network.network_address), int(network.broadcast_address)
    name = column(field)
    if network.version == 4:
        octets = [
            f"TRY_CAST(split_part({name}, '.', {i + 1}) AS UTINYINT)::BIGINT * {256 ** (3 - i)}" for i in range(4)
        ]
        written = f"regexp_full_match({name}, '(0|[1-9][0-9]{{0,2}})(\\.(0|[1-9][0-9]{{0,2}})){{3}}')"
        return f"({written} AND {' + '.join(octets)} BETWEEN {first} AND {last})"
    # '::' stands for as many zero groups as are missing; written out, addresses compare as text.
    groups = "CASE WHEN split_part({0}, '::', {1}) = '' THEN [] ELSE string_split(split_part({0}, '::', {1}), ':') END"
    left, right = groups.format(name, 1), groups.format(name, 2)
    missing = f"list_resize(CAST([] AS VARCHAR[]), greatest(8 - len({left}) - len({right}), 0), '0')"
    padded = f"list_transform(({left}) || {missing} || ({right}), lambda g: lpad(lower(g), 4, '0'))"
    whole = f"array_to_string({padded}, '')"
    # The database holds addresses as Python's ipaddress writes them, or text that is no address.
    some = "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4})"
    written = f"regexp_full_match({name}, '{some}{{7}}|({some}*)?::({some}*)?')"
    return (
        f"CASE WHEN contains({name}, ':') AND {written} AND length({whole}) = 32 "
        f"THEN {whole} BETWEEN '{first:032x}' AND '{last:032x}' ELSE FALSE END"
    )


def key_columns(group_by: tuple[str, ...]) -> str:
    """The group-by fields as text: ``"client_ip" AS k0, CAST("status" AS VARCHAR) AS k1``."""
    return ", ".join(f"{key_column(field)} AS k{i}" for i, field in enumerate(group_by))


def key_column(field: str) -> str:
    """A group-by field as text."""
    return f'"{field}"' if TYPES[field] == "VARCHAR" else f"CAST({column(field)} AS VARCHAR)"


def _keys(group_by: tuple[str, ...]) -> str:
    return ", ".join(f"k{i}" for i in range(len(group_by)))


def _taking_part(selection: Selection, group_by: tuple[str, ...], *others: str) -> str:
    """The WHERE clause of the events that take part: selected, and with every needed field known."""
    known = [f'"{field}" IS NOT NULL' for field in (*group_by, *others) if field not in DEFAULTS]
    return " AND ".join([predicate(selection.where), *known])


def step_where(step: Step, group_by: tuple[str, ...]) -> str:
    """The WHERE clause of the events that take part in *step*."""
    match step:
        case Selection():
            return _taking_part(step, group_by)
        case ValueCount():
            return _taking_part(step.selection, group_by, step.field)
    return _taking_part(step.selection, group_by)


def _over(group_by: tuple[str, ...], seconds: int) -> str:
    return (
        f"OVER (PARTITION BY {_keys(group_by)} ORDER BY ts "
        f"RANGE BETWEEN INTERVAL {seconds} SECOND PRECEDING AND CURRENT ROW)"
    )


def _counted(step: EventCount | ValueCount, relation: str, prefix: str) -> list[str]:
    """CTEs ending in ``<prefix>h(k…, ts, n)``: the anchors at which *step* holds."""
    keys, over = _keys(step.group_by), _over(step.group_by, step.seconds)
    number = f"CAST(least(sum(v) {over}, {CEILING}) AS BIGINT)"
    if isinstance(step, ValueCount):
        number = f"count(DISTINCT v) {over}"
    matched = f"SELECT {key_columns(step.group_by)}, ts, {_value(step)} AS v FROM {relation}"
    return [
        f"{prefix}m AS ({matched} WHERE {step_where(step, step.group_by)})",
        f"{prefix}n AS (SELECT {keys}, ts, {number} AS n FROM {prefix}m)",
        f"{prefix}h AS (SELECT {keys}, ts, n FROM {prefix}n WHERE n >= {step.at_least})",
    ]


def _value(step: EventCount | ValueCount) -> str:
    return column(step.field) if isinstance(step, ValueCount) else WEIGHT


def hits(correlation: Correlation, relation: str) -> str:
    """Every anchor at which *correlation* holds.

    Args:
        correlation: what to look for.
        relation: an SQL table expression with the columns of an event.

    Returns:
        A query giving ``k0 …`` (VARCHAR), ``ts`` and ``n`` (BIGINT: what the window has), one row per anchor event,
        in no order.
    """
    if isinstance(correlation, Sequence):
        return _ordered(correlation, relation)
    ctes = _counted(correlation, relation, "c")
    return f"WITH {', '.join(ctes)} SELECT * FROM ch"


def _ordered(sequence: Sequence, relation: str) -> str:
    """Anchors of the last step whose latest chain of earlier steps began within the window.

    ``s`` is when the latest chain that ends at a row began: for the first step the row's own time, for each later step
    the greatest ``s`` of the step before within the window. ``n`` is the greatest count any counting step reached
    within the window; 1 if none counts. Both depend on nothing older than :func:`~bearerwatch.detect.ir.reach`.
    """
    keys, over = _keys(sequence.group_by), _over(sequence.group_by, sequence.seconds)
    last = len(sequence.steps) - 1
    counting = [i for i, step in enumerate(sequence.steps) if not isinstance(step, Selection)]
    ctes: list[str] = []
    for i, step in enumerate(sequence.steps):
        if isinstance(step, Selection):
            taken = f"SELECT {key_columns(sequence.group_by)}, ts, CAST(NULL AS BIGINT) AS n FROM {relation}"
            ctes.append(f"e{i} AS ({taken} WHERE {step_where(step, sequence.group_by)})")
        else:
            ctes += [*_counted(step, relation, f"e{i}"), f"e{i} AS (SELECT {keys}, ts, n FROM e{i}h)"]
        if i == 0:
            ctes.append(f"s0 AS (SELECT {keys}, ts, ts AS s, n FROM e0)")
            continue
        before = f"SELECT {keys}, ts, s, {'n' if i == 1 else 'NULL'} AS n, FALSE AS own FROM s{i - 1}"
        rows = [before, f"SELECT {keys}, ts, NULL, n, TRUE FROM e{i}"]
        if i == last > 1:
            rows += [f"SELECT {keys}, ts, NULL, n, FALSE FROM e{j}" for j in counting if j < last]
        ctes += [
            f"u{i} AS ({' UNION ALL '.join(rows)})",
            f"w{i} AS (SELECT {keys}, ts, own, max(s) {over} AS s, max(n) {over} AS n FROM u{i})",
            f"s{i} AS (SELECT {keys}, ts, s, n FROM w{i} WHERE own AND s >= ts - INTERVAL {sequence.seconds} SECOND)",
        ]
    return f"WITH {', '.join(ctes)} SELECT {keys}, ts, coalesce(n, 1) AS n FROM s{last}"


def crossing(correlation: Correlation, relation: str) -> str:
    """Keys whose events over the whole of *relation* would be enough: never too few, cheap, in bounded memory.

    Returns:
        A query giving ``k0 …``.
    """
    steps: tuple[Step, ...] = correlation.steps if isinstance(correlation, Sequence) else (correlation,)
    keys = _keys(correlation.group_by)
    parts = []
    for step in steps:
        counted, enough = "1", "count(v) >= 1"
        if not isinstance(step, Selection):
            counted = _value(step)
            total = "count(DISTINCT v)" if isinstance(step, ValueCount) else "sum(v)"
            enough = f"{total} >= {step.at_least}"
        parts.append(
            f"SELECT {keys} FROM (SELECT {key_columns(correlation.group_by)}, {counted} AS v "
            f"FROM {relation} WHERE {step_where(step, correlation.group_by)}) GROUP BY {keys} HAVING {enough}"
        )
    return " INTERSECT ".join(parts)
