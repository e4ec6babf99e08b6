"""`gatectl printer`: state of the printers, and a test page that is never a valid ticket."""

from typing import Any

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.client import Daemon
from gatectl.cli.show import emit, sentence, table
from gatectl.domain.codes import Exit


@click.group()
def printer() -> None:
    """Printers: state, test page."""


@printer.command()
@json_option
@pass_places
@click.pass_context
def status(ctx: click.Context, places: Places, as_json: bool) -> None:
    """All printers. Exit 3 when one needs a person."""
    answer = Daemon(places.socket).get("printers")
    rows = answer["printers"]
    emit(answer) if as_json else click.echo(_table(rows) if rows else "This site has no printers.")
    ctx.exit(int(Exit.OK if all(row["state"] == "ok" for row in rows) else Exit.DEGRADED))


def _table(rows: list[dict[str, Any]]) -> str:
    return table(
        ("PRINTER", "STATE", "PAPER", "COVER", "MOUTH"),
        [
            (
                str(row["device"]),
                str(row["state"]),
                "out"
                if row.get("paper_out")
                else "low"
                if row.get("paper_low")
                else _word(row.get("paper_low"), "", "ok"),
                _word(row.get("cover_open"), "open", "closed"),
                _word(row.get("in_mouth"), "ticket waits", "empty"),
            )
            for row in rows
        ],
    )


def _word(value: object, if_true: str, if_false: str) -> str:
    return "-" if value is None else if_true if value else if_false


@printer.command()
@click.argument("device")
@json_option
@pass_places
def test(places: Places, device: str, as_json: bool) -> None:
    """Print a page marked TEST."""
    answer = Daemon(places.socket).post("printers", device, "test")
    emit(answer) if as_json else click.echo(sentence(answer["done"]))
