"""``python -m bearerwatch.cli``: the same as the ``bearerwatch`` command."""

from __future__ import annotations

import sys

from bearerwatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
