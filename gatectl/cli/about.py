"""`gatectl help CODE`, `version`, `completion`: about gatectl itself."""

from typing import Any

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, table
from gatectl.domain.codes import CODES, EXITS, Code


@click.command("help")
@click.argument("code", required=False)
@json_option
def explain_code(code: str | None, as_json: bool) -> None:
    """What an error code means and what to do. Without CODE: all codes and exit codes."""
    if code is None:
        _all(as_json)
        return
    found = CODES.get(code.upper())
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(code.upper(), CODES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise CommandFailed("E-NOT-01", f"there is no code {code}.{hint}", action="gatectl help lists them all.")
    if as_json:
        emit({"schema": "gatectl.code/1", **_plain(found)})
    else:
        click.echo(
            f"{found.code}: {found.sentence}\n  cause: {found.cause}\n action: {found.action}\n   exit: {found.exit}"
        )


def _plain(code: Code) -> dict[str, Any]:
    words = {"code": code.code, "sentence": code.sentence, "cause": code.cause, "action": code.action}
    return {**words, "exit": int(code.exit)}


def _all(as_json: bool) -> None:
    exits = {str(int(number)): text for number, text in EXITS.items()}
    if as_json:
        emit({"schema": "gatectl.codes/1", "codes": [_plain(row) for row in CODES.values()], "exits": exits})
        return
    click.echo(table(("CODE", "MEANS"), [(row.code, row.sentence) for row in CODES.values()]))
    click.echo("\n" + table(("EXIT", "MEANS"), list(exits.items())) + "\nAny other exit code is a failure.")


@click.command()
@json_option
@pass_places
def version(places: Places, as_json: bool) -> None:
    """Versions of this program, the running daemon, Python and SQLite."""
    import platform
    import sqlite3

    from gatectl import __version__
    from gatectl.cli.client import Daemon

    try:
        daemon = Daemon(places.socket).get("status").get("software")
    except CommandFailed:
        daemon = None
    answer = {
        "schema": "gatectl.version/1",
        "software": __version__,
        "daemon": daemon,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.machine(),
    }
    if as_json:
        emit(answer)
    else:
        running = f"daemon {daemon}" if daemon else "daemon not running"
        click.echo(f"gatectl {__version__} ({running}), Python {answer['python']}, SQLite {answer['sqlite']}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script: eval "$(gatectl completion bash)"."""
    from click.shell_completion import get_completion_class

    from gatectl.cli.main import app

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(app, {}, "gatectl", "_GATECTL_COMPLETE").source())
