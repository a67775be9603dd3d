"""The command line. Each subcommand is a file of this package, found by its name and imported when asked for.

Data goes to standard output, everything else to standard error. Exit codes: 0 fine, 1 something was found or
failed, 2 wrong usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the arguments, ``sys.argv[1:]`` if not given.
    """
    try:
        import rich  # noqa: F401, PLC0415 - the app side is installed without it
        import typer  # noqa: F401, PLC0415
    except ImportError as error:
        sys.stderr.write(
            f"bearerwatch: the command line needs {error.name}, which is not installed: "
            "pip install 'bearerwatch[server]'\n"
        )
        return 2
    from bearerwatch.cli._app import run  # noqa: PLC0415

    return run(list(sys.argv[1:] if argv is None else argv))
