"""Where events and findings are kept.

Two halves, published together by one transaction:

- the **lake** (:mod:`bearerwatch.store.lake`): immutable Parquet segments, read by DuckDB;
- the **state** (:mod:`bearerwatch.store.state`): manifest, offsets, episodes and outbox in SQL.
"""
