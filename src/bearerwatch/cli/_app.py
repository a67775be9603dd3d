"""The root command: finds subcommands by file name, and turns every error into one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bearerwatch import _units
from bearerwatch._version import __version__
from bearerwatch.alert.escape import printable
from bearerwatch.errors import BearerwatchError, ConfigurationError, RuleError
from bearerwatch.redact import redact_text

__all__ = ["root", "run"]

_PACKAGE = "bearerwatch.cli"
_LONG_ARGUMENT = 16
_DAMAGE = frozenset(
    (
        "sqlalchemy.DatabaseError",
        "sqlalchemy.OperationalError",
        "duckdb.IOException",
        "duckdb.OutOfMemoryException",
    )
)
# Typer has shipped click inside itself since 0.26 and used the library before: both have these two above BadParameter.
_Usage: type[Any] = typer.BadParameter.__mro__[1]
_Click: type[Any] = typer.BadParameter.__mro__[2]


class _Commands(TyperGroup):
    """Loads a subcommand from its own file, and no other."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        return _units.names(_PACKAGE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's signature
        if cmd_name not in _units.names(_PACKAGE):
            return None
        command = typer.main.get_command(_units.load(_PACKAGE, cmd_name).app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            # What was typed is not repeated: it may be a token.
            ctx.fail("there is no such command" + (f"; did you mean {close[0]!r}?" if close else "."))
        return super().resolve_command(ctx, args)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bearerwatch {__version__}")
        raise typer.Exit


root = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    # Plain help comes in half the time of the boxed kind, and fits 80 columns.
    rich_markup_mode=None,
    # Its tracebacks show local variables, and in this program those may be tokens.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: bearerwatch serve --state ./state\n\nExample: bearerwatch events --state ./state --since 15m",
)


@root.callback()
def _root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Bearer-token monitoring: see every accepted and rejected token, and be told of attacks."""


def run(argv: Sequence[str]) -> int:
    """Run *argv* and return the exit code. Every error of ours becomes one line on standard error."""
    argv = list(argv)
    try:
        code = typer.main.get_command(root)(args=argv, prog_name="bearerwatch", standalone_mode=False)
    except ConfigurationError as error:
        return _fail(str(error), 2)
    except RuleError as error:
        return _fail(str(error), 2)
    except BearerwatchError as error:
        return _fail(str(error), 1)
    except typer.Abort:
        return _fail("interrupted", 130)
    except KeyboardInterrupt:
        return 130
    except _Click as error:
        return _usage(error, argv)
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] == "bearerwatch":
            return _bug()
        return _fail(f"this command needs {error.name}: pip install 'bearerwatch[server]'", 2)
    except OSError as error:
        where = "" if error.filename is None else f" {error.filename}"
        return _fail(f"cannot use{where}: {error.strerror or type(error).__name__}", 1)
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        return _damaged(error) if _qualified(error) in _DAMAGE else _bug()
    return code if isinstance(code, int) else 0


def _usage(error: Any, argv: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is not None and message in ("", context.get_help()):  # "no arguments" is answered with the help itself
        typer.echo(context.get_help(), err=True)
        return 2
    # What somebody typed in the wrong place may be a token.
    pieces = {piece.lstrip("-") for argument in argv for piece in (argument, *argument.split("="))}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _LONG_ARGUMENT:
            message = message.replace(piece, "…")
    if context is not None:
        typer.echo(context.get_usage(), err=True)
        message += f" See '{context.command_path} --help'."
    return _fail(message, error.exit_code if isinstance(error, _Usage) else 2)


def _fail(message: str, code: int) -> int:
    for line in message.splitlines() or [""]:
        typer.echo(f"bearerwatch: {printable(redact_text(line), 2000)}", err=True)
    return code


def _qualified(error: BaseException) -> str:
    return f"{type(error).__module__.partition('.')[0].lstrip('_')}.{type(error).__name__}"


def _damaged(error: Exception) -> int:
    """A store that cannot be read, told by name: importing its library to ask costs every other command time."""
    name = type(getattr(error, "orig", None) or error).__name__
    return _fail(f"what the collector keeps cannot be read ({name}): 'bearerwatch doctor' says what to do", 1)


def _bug() -> int:
    sys.stderr.write(redact_text(traceback.format_exc()))
    return _fail("this is a bug in bearerwatch: please report it with the lines above", 1)
