"""The one door to pySigma: a rule file in, a :class:`~bearerwatch.detect.ir.Rule` out.

A file holds base rules (which events) and exactly one correlation rule nothing else refers to (how many, of what key,
within which time): that one is the rule. What bearerwatch adds to Sigma stands in it under one key::

    bearerwatch:
      version: 1          # raise it when the rule's meaning changes; needed
      advice: ...         # what to do when it fires
      notes: [...]        # how to tell false positives, how to tune
      detect: {...}       # what windows cannot say: see sigma/extensions.py

Sigma: https://github.com/SigmaHQ/sigma-specification, rules 2.1.0 and correlation rules 2.1.0.
"""

from __future__ import annotations

from bearerwatch.detect.sigma.reading import read_rule

__all__ = ["read_rule"]
