"""What doctor looks at. One file per check, found by its name.

Each defines ``NAME``, ``ORDER`` (place in the report, rising) and ``look(site, report) -> str``, which reports each
finding and returns what it looked at. Ids are API: never reused. W001 to W005 and E001 mean the same as in Django's
system checks.
"""
