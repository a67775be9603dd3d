# ruff: noqa: S608 - every part is made here, or quoted by literal()
"""The IR in DuckDB's SQL. The only file that speaks it for rules; another dialect is another file beside this one.

What is emitted is the detection alone: which anchors hold, and how many events or values their windows have.
Episodes are made of them in Python, because other engines cannot (and because an id must not depend on a query).
Batch, micro-batch and confirmation run the same text over different relations.
"""

from __future__ import annotations

import ipaddress

from bearerwatch.detect import keyed_sql, windows_sql
from bearerwatch.detect.fields import DEFAULTS, DERIVED, FALLBACK, LOWER_CASE, TYPES
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
    Step,
    ValueCount,
    Wildcard,
    Windowed,
    leaves,
)
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.ir_needs import needs

__all__ = [
    "CEILING",
    "WEIGHT",
    "column",
    "crossing",
    "hits",
    "key_column",
    "key_columns",
    "literal",
    "part_where",
    "predicate",
    "step_where",
    "taking_where",
]

CEILING = 2**53
"""Counts are cut off here: every database and JSON reader can hold it, and no threshold comes near."""

WEIGHT = f'least(greatest(coalesce("count", 1), 1), {CEILING})'
"""How many events an event stands for."""

_LEFT = "CASE WHEN split_part(client_ip, '::', 1) = '' THEN [] ELSE split(split_part(client_ip, '::', 1), ':') END"
_RIGHT = "CASE WHEN split_part(client_ip, '::', 2) = '' THEN [] ELSE split(split_part(client_ip, '::', 2), ':') END"
_ZEROS = f"list_resize(CAST([] AS VARCHAR[]), greatest(8 - len({_LEFT}) - len({_RIGHT}), 0), '0')"
_NETWORK = (
    "(CASE WHEN client_ip IS NULL THEN NULL "
    "WHEN NOT contains(client_ip, ':') "
    r"THEN nullif(regexp_extract(client_ip, '^(\d+\.\d+\.\d+)\.\d+$', 1), '') || '.0/24' "
    "WHEN contains(client_ip, '.') THEN NULL "
    f"ELSE array_to_string(list_slice(({_LEFT}) || {_ZEROS} || ({_RIGHT}), 1, 3), ':') || '::/48' END)"
)
"""The network an address lies in, as :data:`~bearerwatch.detect.fields.DERIVED` has it; NULL for what is no address."""

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
    """A field, with its default where it was left out, or what is read in its place where it is not known."""
    if field in DERIVED:
        return _NETWORK
    if field in FALLBACK:
        return f'coalesce("{field}", "{FALLBACK[field]}")'
    return f'coalesce("{field}", {DEFAULTS[field]})' if field in DEFAULTS else f'"{field}"'


def _known(field: str) -> str:
    """What is NULL if nothing is known of *field*, even if it has a default."""
    return f'"{field}"' if field in DEFAULTS else column(field)


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
            return f"{_known(condition.field)} IS {'NOT ' if condition.value else ''}NULL"
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
    return column(field) if TYPES[field] == "VARCHAR" else f"CAST({column(field)} AS VARCHAR)"


def part_where(selection: Selection, names: tuple[str, ...]) -> str:
    """The WHERE clause of the events that take part: selected, and with every needed field known."""
    fields = [selection.field(name) for name in names]
    known = [f"{_known(field)} IS NOT NULL" for field in fields if field not in DEFAULTS]
    return " AND ".join([predicate(selection.where), *known])


def step_where(step: Step, group_by: tuple[str, ...]) -> str:
    """The WHERE clause of the events that take part in *step*."""
    match step:
        case Selection():
            return part_where(step, group_by)
        case ValueCount():
            return part_where(step.selection, (*group_by, step.field))
    return part_where(step.selection, group_by)


def taking_where(correlation: Windowed) -> str:
    """The WHERE clause of all events that *correlation* looks at, those that speak against it too."""
    return "(" + " OR ".join(f"({part_where(*leaf)})" for leaf in dict.fromkeys(leaves(correlation))) + ")"


def _value(step: EventCount | ValueCount) -> str:
    return column(step.selection.field(step.field)) if isinstance(step, ValueCount) else WEIGHT


def hits(correlation: Correlation, relation: str) -> str:
    """Every anchor at which *correlation* holds.

    Args:
        correlation: what to look for.
        relation: an SQL table expression with the columns of an event.

    Returns:
        A query giving ``k0 …`` (VARCHAR), ``ts`` and ``n`` (BIGINT: what the window has), one row per anchor event,
        in no order.
    """
    if isinstance(correlation, Keyed):
        return keyed_sql.hits(correlation, relation)
    return windows_sql.hits(correlation, relation)


def crossing(correlation: Windowed, relation: str) -> str:
    """Keys whose events over the whole of *relation* would be enough: never too few, cheap, in bounded memory.

    Returns:
        A query giving ``k0 …``.
    """
    names = correlation.group_by
    found = list(dict.fromkeys(leaves(correlation)))
    if any(selection.aliases for selection, _ in found):
        return " UNION ".join(
            f"SELECT {key_columns(tuple(map(leaf[0].field, names)))} FROM {relation} WHERE {part_where(*leaf)}"
            for leaf in found
        )
    keys = windows_sql.keys_of(names)
    parts = []
    for step in needs(correlation):
        counted, enough = "1", "count(v) >= 1"
        if not isinstance(step, Selection):
            counted = _value(step)
            total = "count(DISTINCT v)" if isinstance(step, ValueCount) else "sum(v)"
            enough = f"{total} >= {step.at_least}"
        parts.append(
            f"SELECT {keys} FROM (SELECT {key_columns(names)}, {counted} AS v "
            f"FROM {relation} WHERE {step_where(step, names)}) GROUP BY {keys} HAVING {enough}"
        )
    return " INTERSECT ".join(parts)
