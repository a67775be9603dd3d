"""Found by pySigma and sigma-cli: ``sigma convert -t bearerwatch rule.yml``. No ``__init__.py`` may stand above it."""

from __future__ import annotations

from bearerwatch.detect.sigma.plugin import BearerwatchBackend

__all__ = ["BearerwatchBackend"]
