"""`gatectl fiscal`: the journal of receipts that the law wants: look, hand over, check."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from config.places import Places
from gatectl.cli import offline, verbs
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, money, table
from gatectl.domain import fiscal_pt, fiscal_rksv
from gatectl.domain.fiscal import RKSV

PAGE = 1_000
"""Entries read at a time."""


@click.group()
def fiscal() -> None:
    """The chained journal of receipts: list, export, verify; zero and training receipts."""


@fiscal.command("list")
@utc_option
@json_option
@pass_places
def list_series(places: Places, utc: bool, as_json: bool) -> None:
    """The series, how far each is, and what waits to be signed."""
    answer = verbs.rows(places, "fiscal_series")
    if as_json:
        emit(answer)
    elif not answer["rows"]:
        click.echo("No fiscal journal is kept here.")
    else:
        head = ("SERIES", "REGISTERED AS", "ENTRIES", "NOT SIGNED", "TURNOVER", "LAST", "UNIT")
        click.echo(table(head, [_line(row, utc, verbs.currency(places)) for row in answer["rows"]]))


def _line(row: dict[str, Any], utc: bool, currency: str) -> tuple[str, ...]:
    waiting, unit = str(row["number"] - row["signed"]), "FAILS" if row["failing"] else "signs"
    turnover = money(row["turnover_minor"], currency)
    return row["series"], row["name"], str(row["number"]), waiting, turnover, clock(row["entered_ms"], utc), unit


@fiscal.command()
@click.argument("series")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
@click.option(
    "--certificate", type=click.Path(exists=True, path_type=Path), help="RKSV: the signature certificate, DER."
)
@pass_places
def export(places: Places, series: str, file: Any, certificate: Path | None) -> None:
    """Write a SERIES for the authority: RKSV as its data collection protocol, else its documents as JSON."""
    row, entries = _read(places, series)
    signed = [entry for entry in entries if entry["code"] is not None]
    told: object = {"schema": "gatectl.fiscal/1", "series": row, "entries": signed}
    if row["regime"] == RKSV:
        der = "" if certificate is None else _base64(certificate.read_bytes())
        told = fiscal_rksv.export([(der, [entry["code"] for entry in signed])])
    json.dump(told, file, ensure_ascii=False, indent=1)
    file.write("\n")


def _base64(raw: bytes) -> str:
    import base64

    return base64.b64encode(raw).decode()


@fiscal.command()
@click.argument("series")
@click.option("--key", type=click.Path(exists=True, path_type=Path), required=True, help="The public key, PEM.")
@json_option
@pass_places
def verify(places: Places, series: str, key: Path, as_json: bool) -> None:
    """Check a SERIES from its start: numbers, chain, signatures."""
    row, entries = _read(places, series)
    signed = [entry for entry in entries if entry["code"] is not None]
    wrong = _wrong_rksv(row, signed, key) if row["regime"] == RKSV else _wrong_pt(places, row, signed, key)
    if wrong:
        raise CommandFailed("E-FISC-01", f"{series}: {wrong}")
    answer = {"schema": "gatectl.fiscal-verified/1", "series": series, "entries": len(signed)}
    emit(answer) if as_json else click.echo(f"{series}: {len(signed)} entries, chained and signed from the first.")


def _wrong_rksv(row: dict[str, Any], entries: list[dict[str, Any]], key: Path) -> str:
    from gatectl.runtime import fiscal_keys

    verified = fiscal_keys.es256_by(key.read_bytes())
    return fiscal_rksv.first_wrong([entry["code"] for entry in entries], row["name"], verified)


def _wrong_pt(places: Places, row: dict[str, Any], entries: list[dict[str, Any]], key: Path) -> str:
    from gatectl.runtime import fiscal_keys

    zone = ZoneInfo(str(offline.site_table(places)["site"]["timezone"]))
    pairs, before = [], ""
    for entry in entries:
        gross = abs(entry["amount_minor"])
        text = fiscal_pt.message(row["series"], entry["number"], entry["entered_ms"], zone, gross, before)
        before = entry["code"]
        pairs.append((text, before))
    return fiscal_pt.first_wrong(pairs, fiscal_keys.rsa_sha1_by(key.read_bytes()))


def _read(places: Places, series: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = verbs.rows(places, "fiscal_series", "series", series)["rows"]
    if not found:
        raise CommandFailed("E-NOT-01", f"there is no fiscal series {series}")
    entries = verbs.rows(places, "fiscal_entries", "series", series)["rows"]
    if len(entries) < found[0]["number"]:
        raise CommandFailed("E-USE-01", f"{series} has {found[0]['number']} entries, {PAGE} are read at a time")
    return found[0], entries


@fiscal.command("null")
@click.argument("series")
@json_option
@pass_places
def null_receipt(places: Places, series: str, as_json: bool) -> None:
    """Make a zero receipt (RKSV), as an inspector asks for one."""
    verbs.ask(places, "fiscal-null", as_json, series=series)


@fiscal.command()
@click.argument("series")
@click.argument("amount")
@json_option
@pass_places
def training(places: Places, series: str, amount: str, as_json: bool) -> None:
    """Make a receipt for training (RKSV): marked as such, not in the turnover."""
    verbs.ask(places, "fiscal-training", as_json, series=series, amount_minor=verbs.amount(places, amount))
