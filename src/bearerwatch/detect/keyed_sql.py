# ruff: noqa: S608 - every part is made here, or by duckdb_sql, which quotes
"""The kinds of :mod:`~bearerwatch.detect.ir_keyed` in DuckDB's SQL, over a relation that holds all there is to know.

Reading order is that of the definitions: events get their pane ``q`` and whom the past is kept under (``l``);
sightings are the distinct ones; lives are runs of sightings; what holds is joined with the events again.
"""

from __future__ import annotations

from collections.abc import Sequence

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Learned, Silence, Travel

__all__ = ["DEGREES", "EARTH", "hits", "key", "learner", "pane"]

_EVENTS = "all_there_is"
EARTH = 6371.0
"""Radius in kilometres."""
DEGREES = ('CAST(round("lat") AS BIGINT)', 'CAST(round("lon") AS BIGINT)')
"""Where an event came from."""


def hits(correlation: Keyed, relation: str) -> str:
    """As :func:`bearerwatch.detect.duckdb_sql.hits`, for kinds that ask for the past."""
    # The relation may have the name of one of the CTEs; it is read anew for each use, for it has many columns.
    return f"WITH {_EVENTS} AS NOT MATERIALIZED (SELECT * FROM {relation}) SELECT * FROM ({_anchors(correlation)})"


def _anchors(correlation: Keyed) -> str:
    match correlation:
        case FirstSeen():
            return _first_seen(correlation, _EVENTS)
        case Travel():
            return _travel(correlation, _EVENTS)
        case Baseline():
            return _baseline(correlation, _EVENTS)
        case Silence():
            return _silence(correlation, _EVENTS)


def pane(settle: int) -> str:
    """The number of the pane an event lies in."""
    return f"CAST(epoch_us(ts) // {settle * 1_000_000} AS BIGINT)"


def key(group_by: Sequence[str]) -> str:
    """A key in 64 bits."""
    return f"hash({', '.join(map(sql.key_column, group_by))})"


def learner(group_by: Sequence[str], by: Sequence[str]) -> str:
    """Whom the past is kept under, in 64 bits: that ten million have a pair in common is one in 400,000."""
    own = f"hash('key', {', '.join(map(sql.key_column, group_by))})"
    if not by:
        return own
    known = " AND ".join(f"{sql.column(name)} IS NOT NULL" for name in by)
    return f"CASE WHEN {known} THEN hash('by', {', '.join(map(sql.key_column, by))}) ELSE {own} END"


def _keys(correlation: Keyed, alias: str = "") -> str:
    return ", ".join(f"{alias}k{i}" for i in range(len(correlation.group_by)))


def _same(correlation: Keyed, one: str, other: str) -> str:
    return " AND ".join(f"{one}.k{i} = {other}.k{i}" for i in range(len(correlation.group_by)))


def _lives(name: str, source: str, by: str, gap: int) -> list[str]:
    """CTEs ending in ``<name>(<by>, q, life, began)``: sightings of *source* with the life they belong to."""
    over = f"OVER (PARTITION BY {by} ORDER BY q)"
    return [
        f"{name}_s AS (SELECT DISTINCT {by}, q FROM {source})",
        f"{name}_g AS (SELECT *, CASE WHEN q - lag(q) {over} <= {gap} THEN 0 ELSE 1 END AS fresh FROM {name}_s)",
        f"{name}_l AS (SELECT *, sum(fresh) {over} AS life FROM {name}_g)",
        f"{name} AS (SELECT *, min(q) OVER (PARTITION BY {by}, life) AS began FROM {name}_l)",
    ]


def _learned(learned: Learned, settle: int, values: Sequence[int]) -> list[str]:
    """From ``e(l, q, v0 …)`` ending in ``known(l, q, seen, settled, long)`` and, by value, ``f<i>(l, v, q, new)``.

    ``settled`` says that it is not one who is everywhere already, ``long`` that its life is long enough as well.
    """
    gap = learned.memory // settle
    ctes = _lives("life", "e", "l", gap)
    for i in values:
        ctes.append(f"w{i} AS (SELECT l, v{i} AS v, q FROM e WHERE v{i} IS NOT NULL)")
        ctes += _lives(f"p{i}", f"w{i}", "l, v", gap)
        ctes.append(f"f{i} AS (SELECT l, v, q, q < began + 2 AS new FROM p{i})")
    before = "(PARTITION BY l, life ORDER BY q RANGE BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING)"
    return [
        *ctes,
        # how many values began, by the pane they began in
        "births AS (SELECT l, q, count(*) FILTER (q = began) AS b FROM p0 GROUP BY l, q)",
        (
            "pasts AS (SELECT life.l, life.life, life.q, life.began, coalesce(births.b, 0) AS b "
            "FROM life LEFT JOIN births USING (l, q))"
        ),
        (
            f"counted AS (SELECT l, q, began, count(*) OVER {before} AS seen, "
            f"coalesce(sum(b) OVER {before}, 0) AS news FROM pasts)"
        ),
        (
            f"known AS (SELECT l, q, seen, news < {learned.most} AS settled, news < {learned.most} "
            f"AND q - began >= {-(-learned.span // settle)} AS long FROM counted)"
        ),
    ]


def _familiar(learned: Learned, agent: str) -> str:
    """Whether what ``known`` has says enough, with the user agent's newness in *agent*."""
    enough = f"CASE WHEN coalesce({agent}.new, TRUE) THEN {learned.sightings} ELSE {learned.alone} END"
    return f"(known.long AND known.seen >= {enough})"


def _events(correlation: FirstSeen | Travel, relation: str, values: Sequence[str], needed: Sequence[str]) -> list[str]:
    """CTEs ending in ``e(k…, l, q, ts, v0 …)``: the selected events of those with whom something can be news at all.

    Who has one value of the first field has it from the first pane on, when nobody is known yet: that is nearly all.
    """
    shown = ", ".join(f"{value} AS v{i}" for i, value in enumerate(values))
    also = "".join(f" AND {value} IS NOT NULL" for value in needed)
    keys, several = _keys(correlation), "HAVING min(v0) <> max(v0)"
    within = f"SELECT l FROM a GROUP BY l {several}"
    if isinstance(correlation, Travel):  # one key may have several learners, where the subject is not always told
        within = f"SELECT DISTINCT l FROM a SEMI JOIN (SELECT {keys} FROM a GROUP BY {keys} {several}) USING ({keys})"
    return [
        (
            f"a AS (SELECT {sql.key_columns(correlation.group_by)}, "
            f"{learner(correlation.group_by, correlation.learned.by)} AS l, {pane(correlation.settle)} AS q, ts, "
            f"{shown} FROM {relation} WHERE {sql.step_where(correlation.selection, correlation.group_by)}{also})"
        ),
        f"e AS (SELECT a.* FROM a SEMI JOIN ({within}) USING (l))",
    ]


def _first_seen(rule: FirstSeen, relation: str) -> str:
    fields = (*rule.fields, "user_agent")
    values = [sql.key_column(name) for name in fields]
    ctes = [*_events(rule, relation, values, values[:1]), *_learned(rule.learned, rule.settle, range(len(values)))]
    joins = "".join(f" LEFT JOIN f{i} ON f{i}.l = e.l AND f{i}.v = e.v{i} AND f{i}.q = e.q" for i in range(len(values)))
    familiar = _familiar(rule.learned, f"f{len(rule.fields)}")
    new = " AND ".join(["f0.new", *(f"coalesce(f{i}.new, TRUE)" for i in range(1, len(rule.fields)))])
    return (
        f"WITH {', '.join(ctes)} SELECT {_keys(rule, 'e.')}, e.ts, CAST(known.seen AS BIGINT) AS n "
        f"FROM e JOIN known ON known.l = e.l AND known.q = e.q{joins} WHERE {familiar} AND {new}"
    )


def _travel(rule: Travel, relation: str) -> str:
    values = ['"country"', sql.key_column("asn"), *DEGREES, sql.key_column("user_agent")]
    shown = "v0, v1, v2, v3, v4"
    soon = "s.q - o.q <= 1 AND coalesce(s.v4 <> o.v4, TRUE)"
    window = rule.seconds // rule.settle
    elsewhere = ", ".join(map(repr, map(str, rule.elsewhere)))
    here = f" AND coalesce(v1 NOT IN ({elsewhere}), TRUE)" if rule.elsewhere else ""
    lat, lon = "radians({0}.v2)", "radians({0}.v3)"
    cosine = (
        f"sin({lat.format('o')}) * sin({lat.format('s')}) + cos({lat.format('o')}) * cos({lat.format('s')}) "
        f"* cos({lon.format('o')} - {lon.format('s')})"
    )
    # least() and greatest() pass over what is not known
    far = (
        f"CASE WHEN s.v2 + s.v3 + o.v2 + o.v3 IS NOT NULL THEN CAST(round({EARTH} * "
        f"acos(least(greatest({cosine}, -1.0), 1.0))) AS BIGINT) - {rule.uncertainty} END"
    )
    ctes = [
        *_events(rule, relation, values, values[:1]),
        *_learned(rule.learned, rule.settle, (0, 1, 4)),
        f"s AS (SELECT DISTINCT {_keys(rule)}, l, q, {shown} FROM e WHERE TRUE{here})",
        f"many AS (SELECT {_keys(rule)} FROM s GROUP BY ALL HAVING count(DISTINCT v0) > 1)",
        (
            f"t AS (SELECT {_keys(rule, 's.')}, s.q, {shown}, {_familiar(rule.learned, 'f4')} AS familiar, "
            "known.settled AND f0.new AND coalesce(f1.new, TRUE) AS news "
            f"FROM s SEMI JOIN many ON {_same(rule, 's', 'many')} JOIN known ON known.l = s.l AND known.q = s.q "
            "JOIN f0 ON f0.l = s.l AND f0.v = s.v0 AND f0.q = s.q "
            "LEFT JOIN f1 ON f1.l = s.l AND f1.v = s.v1 AND f1.q = s.q "
            "LEFT JOIN f4 ON f4.l = s.l AND f4.v = s.v4 AND f4.q = s.q)"
        ),
        (
            f"pairs AS (SELECT {_keys(rule, 's.')}, s.q, s.v0, s.v1, s.v2, s.v3, s.v4, s.q - o.q AS d, {far} AS far "
            f"FROM t s JOIN t o ON {_same(rule, 's', 'o')} AND o.q BETWEEN s.q - {window} AND s.q AND o.v0 <> s.v0 "
            f"AND coalesce(o.v1 <> s.v1, TRUE) AND ((s.news AND (s.familiar OR ({soon}))) "
            f"OR (o.news AND (o.familiar OR ({soon})))))"
        ),
        (
            f"held AS (SELECT {_keys(rule)}, q, {shown}, coalesce(max(far) + {rule.uncertainty}, 0) AS n FROM pairs "
            f"WHERE (far >= {rule.kilometres} AND far * 3600 > (d + 1) * {rule.settle * rule.speed}) "
            "OR (far IS NULL AND d <= 1) GROUP BY ALL)"
        ),
    ]
    return (
        f"WITH {', '.join(ctes)} SELECT {_keys(rule, 'e.')}, e.ts, h.n FROM e JOIN held h ON {_same(rule, 'e', 'h')} "
        "AND e.q = h.q AND e.v0 = h.v0 AND e.v1 IS NOT DISTINCT FROM h.v1 AND e.v2 IS NOT DISTINCT FROM h.v2 "
        "AND e.v3 IS NOT DISTINCT FROM h.v3 AND e.v4 IS NOT DISTINCT FROM h.v4"
    )


def _baseline(rule: Baseline, relation: str) -> str:
    keys, q, panes = _keys(rule), pane(rule.settle), rule.block // rule.settle
    selected = sql.step_where(rule.selection, rule.group_by)
    known = sql.step_where(rule.known_by, rule.group_by)
    gap = rule.block * rule.blocks // rule.settle
    rank = f"CASE WHEN past.q - began >= {2 * rule.rank * panes} THEN {rule.rank} ELSE 1 END"
    past = f"SELECT h.*, unnest(range((q - 1) // {panes} - {rule.blocks}, (q - 1) // {panes})) AS b FROM high h"
    ctes = [
        (
            f"e AS (SELECT {sql.key_columns(rule.group_by)}, ts, {q} AS q, {sql.WEIGHT} AS v "
            f"FROM {relation} WHERE {selected})"
        ),
        f"heard AS (SELECT {sql.key_columns(rule.group_by)}, {q} AS q FROM {relation} WHERE {known})",
        *_lives("since", "heard", keys, gap),
        f"c AS (SELECT {keys}, q, sum(v) AS c FROM e GROUP BY ALL)",
        # a pane without events of its own has those of the one before
        f"d AS (SELECT {keys}, q, sum(c) AS n FROM (FROM c UNION ALL SELECT {keys}, q + 1, c FROM c) GROUP BY ALL)",
        f"peaks AS (SELECT {keys}, q // {panes} AS b, max(n) AS peak FROM d GROUP BY ALL)",
        f"loud AS (SELECT d.* FROM d SEMI JOIN c USING ({keys}, q) WHERE n >= {rule.floor})",
        (
            f"high AS (SELECT loud.*, began FROM loud ASOF JOIN since ON {_same(rule, 'loud', 'since')} "
            f"AND loud.q >= since.q WHERE loud.q - since.q <= {gap} "
            f"AND loud.q - began >= {-(-rule.span // rule.settle)})"
        ),
        f"past AS ({past})",
        (
            f"ranked AS (SELECT {keys}, past.q, any_value(past.n) AS n, "
            f"list_sort(list(coalesce(peaks.peak, 0)), 'DESC')[any_value({rank})] AS usual "
            f"FROM past LEFT JOIN peaks USING ({keys}, b) GROUP BY {keys}, past.q)"
        ),
        f"held AS (SELECT * FROM ranked WHERE n > {rule.ratio!r}::DOUBLE * usual)",
    ]
    return (
        f"WITH {', '.join(ctes)} SELECT {_keys(rule, 'e.')}, e.ts, CAST(least(h.n, {sql.CEILING}) AS BIGINT) AS n "
        f"FROM e JOIN held h ON {_same(rule, 'e', 'h')} AND e.q = h.q"
    )


def _silence(rule: Silence, relation: str) -> str:
    keys, settle = _keys(rule), rule.settle
    floor, longest = -(-rule.floor // settle), rule.memory // settle
    over = f"(PARTITION BY {keys}, life ORDER BY q)"
    ctes = [
        (
            f"e AS (SELECT {sql.key_columns(rule.group_by)}, {pane(settle)} AS q FROM {relation} "
            f"WHERE {sql.step_where(rule.selection, rule.group_by)})"
        ),
        "clock AS (SELECT max(q) - 2 AS until FROM e)",
        *_lives("life", "e", keys, longest),
        (
            f"pauses AS (SELECT {keys}, life, q, began, row_number() OVER {over} AS seen, "
            f"coalesce(q - lag(q) OVER {over} - 1, 0) AS before, lead(q) OVER (PARTITION BY {keys} ORDER BY q) AS next "
            "FROM life)"
        ),
        (
            f"rhythm AS (SELECT *, greatest({floor}, ceil({rule.ratio!r}::DOUBLE * "
            f"coalesce((max(before, 2) OVER {over})[2], 0))) AS cap FROM pauses)"
        ),
        (
            f"gone AS (SELECT {keys}, q, unnest(range(CAST(q + cap + 1 AS BIGINT), "
            f"least(coalesce(next, until + 1), until + 1, q + {longest} + 1))) AS s FROM rhythm, clock "
            f"WHERE seen >= {rule.sightings} AND q - began >= {-(-rule.span // settle)})"
        ),
    ]
    return f"WITH {', '.join(ctes)} SELECT {keys}, make_timestamp(s * {settle * 1_000_000}) AS ts, s - q AS n FROM gone"
