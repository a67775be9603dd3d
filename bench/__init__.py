"""Benchmarks: bearerwatch beside its peers, measured in one run.

``python -m bench`` runs all of them, ``python -m bench --only middleware`` those whose id begins so. An area
is a file of this package without a leading underscore, found by its name.
"""
