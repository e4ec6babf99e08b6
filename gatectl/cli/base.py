"""What all commands share: groups that load a command when it is used, options, prompts.

Rule: neither this nor `status` may import pydantic, SQLAlchemy, httpx, structlog, paho, serial, asyncio or rich: a test.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from config.places import Places
from gatectl.cli.errors import CommandFailed, cancelled, report
from gatectl.domain.codes import Exit

REASON_CHARS_MAX = 200

Loader = Callable[[], click.Command]
F = TypeVar("F", bound=Callable[..., Any])


class LazyGroup(click.Group):
    """A group whose members are loaded on use; `lazy` maps a name to its help line and its loader."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, Loader]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # click's signature
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # click's signature
        found = self._lazy.get(cmd_name)
        return found[1]() if found is not None else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._lazy and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self._lazy, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (line, _) in self._lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=line) for n, (line, _) in self._lazy.items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


class App(LazyGroup):
    """The whole program: turns every way to end into an exit code of the published table."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]  # click's overloads differ in standalone_mode only
        words = list(sys.argv[1:] if args is None else args)
        extra.pop("standalone_mode", None)
        try:
            code = super().main(words, prog_name or "gatectl", standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = Exit.USAGE
        except click.ClickException as error:
            code = report(error, "--json" in words)
        except click.Abort as error:
            code = Exit.INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else Exit.CANCELLED
        except KeyboardInterrupt:
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to flush to
            code = Exit.OK
        sys.exit(int(code or 0))


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON with a versioned schema.")(command)


def utc_option(command: F) -> F:
    return click.option("--utc", is_flag=True, help="Print times in UTC instead of local time.")(command)


def reason_options(command: F) -> F:
    command = click.option("--yes", is_flag=True, help="Do not ask; for scripts. Needs --reason.")(command)
    return click.option("--reason", metavar="TEXT", help="Why; it is recorded with your name.")(command)


pass_places = click.make_pass_decorator(Places)


def ask_reason(question: str, reason: str | None, yes: bool) -> str:
    """The reason for an act that needs one. Typing it at the prompt is the confirmation; an empty one cancels.

    Raises CommandFailed (E-USE-01) when nobody is there to answer, Exit(9) when the person declines.
    """
    if reason is not None and not reason.strip():
        raise CommandFailed("E-USE-01", "The reason is empty.", action="Give one: --reason TEXT")
    if reason is not None:
        if not yes and not ask_yes(f"{question} Reason: {reason}."):
            raise cancelled()
        return reason.strip()[:REASON_CHARS_MAX]
    if yes:
        raise CommandFailed("E-USE-01", "--yes needs a reason.", action="Add --reason TEXT")
    given = prompted(f"{question} Reason (empty: cancel)")
    if not given:
        raise cancelled()
    return given[:REASON_CHARS_MAX]


def ask_yes(question: str) -> bool:
    """True only for a typed y or yes."""
    return prompted(f"{question} Sure? [y/N]").lower() in ("y", "yes")


def prompted(question: str) -> str:
    """One line from the person, stripped. Raises CommandFailed when the input is at its end."""
    click.echo(f"{question} > ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
        raise CommandFailed(
            "E-USE-01",
            "A person has to answer, and nobody is there.",
            action="In a script add --yes and what it asks for",
        )
    return line.strip()


def request_id() -> str:
    """An id under which an order is done once, however often it arrives."""
    return os.urandom(16).hex()
