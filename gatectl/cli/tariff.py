"""`gatectl tariff`: is a tariff good, what does a stay cost and why, what does the price look like over time."""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit
from gatectl.cli.tariff_file import TariffFile, ms_of, read_tariffs, zone_of
from gatectl.domain.money import EXPONENTS, decimal_text, shown
from gatectl.domain.tariffs import WALL_MS_MAX, Tariff

HOURS_MAX = 24 * 366
F = TypeVar("F", bound=Callable[..., Any])

_COUNTED = re.compile(r"(\d{1,9})(?:%|/(\d{1,9}))?")


@click.group()
def tariff() -> None:
    """Tariffs: check a file, price a stay, plot a price."""


def _which(command: F) -> F:
    """What a price depends on beside the stay."""
    for option in (
        click.option("--timezone", metavar="NAME", help="IANA name, where the file says none."),
        click.option("--currency", metavar="CODE", help="ISO 4217, where the file says none."),
        click.option("--occupancy", metavar="TAKEN", help="How full the lot was at entry: 85, or 170/200 spots."),
        click.option("--spot-type", metavar="TYPE", help="The spot, such as ELECTRIC."),
        click.option("--vehicle", default="CAR", show_default=True, metavar="TYPE", help="The vehicle's type."),
        click.option("--tariff", "name", metavar="ID", default="", help="This one; else the one in force at entry."),
        click.argument("file", type=click.Path(path_type=Path), required=False),
    ):
        command = option(command)
    return command


@tariff.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@pass_places
@click.pass_context
def check(ctx: click.Context, places: Places, file: Path | None, as_json: bool) -> None:
    """Every mistake in the tariffs of FILE (the site file), and whether its examples cost what they say.

    FILE is TOML with [[tariffs]], with [[examples]] if you like, or one tariff as JSON, as the office takes it.
    """
    read = read_tariffs(file or places.config)
    if as_json:
        plain = [fault.plain() for fault in read.faults]
        names = [tariff.tariff for tariff in read.tariffs]
        answer = {"schema": "gatectl.tariff-check/1", "file": str(read.path), "ok": not read.faults, "faults": plain}
        emit({**answer, "tariffs": names, "examples": read.examples})
        ctx.exit(1 if read.faults else 0)
    if read.faults:
        raise _refused(read)
    told = f", {read.examples} examples cost what they say" if read.examples else ""
    click.echo(f"{read.path}: good. Tariffs: {', '.join(tariff.tariff for tariff in read.tariffs)}{told}.")


@tariff.command()
@_which
@click.option("--in", "entered", required=True, metavar="TIME", help="2026-06-11T12:00, local, or with an offset.")
@click.option("--out", "left", required=True, metavar="TIME", help="The same.")
@json_option
@pass_places
def quote(
    places: Places,
    file: Path | None,
    name: str,
    vehicle: str,
    spot_type: str | None,
    occupancy: str | None,
    currency: str | None,
    timezone: str | None,
    entered: str,
    left: str,
    as_json: bool,
) -> None:
    """What a stay costs, line by line, by the tariffs of FILE (the site file).

    \b
    gatectl tariff quote --in 2026-06-11T12:00 --out 2026-06-12T09:30
    gatectl tariff quote board.toml --in ... --out ... --vehicle MOTORCYCLE --occupancy 85
    """
    read = _read(file or places.config, currency, timezone)
    entered_ms, left_ms = _moment("--in", entered, read.zone), _moment("--out", left, read.zone)
    try:
        chosen, charged = read.charge(entered_ms, left_ms, name, vehicle, spot_type, _counted(occupancy))
    except LookupError as error:
        raise CommandFailed("E-NOT-01", str(error)) from None
    if as_json:
        emit(
            {
                "schema": "gatectl.tariff-quote/1",
                "tariff": chosen.tariff,
                "total_minor": charged.total_minor,
                "currency": read.currency,
                "lines": [[line.text, line.amount_minor] for line in charged.lines],
            }
        )
        return
    for line in charged.lines:
        click.echo(f"{line.text:<60} {decimal_text(line.amount_minor, read.currency):>12}")
    click.echo(f"{f'Tariff {chosen.tariff}':<56} {shown(charged.total_minor, read.currency):>16}")


@tariff.command()
@_which
@click.option("--in", "entered", metavar="TIME", help="When the stay begins; else when the tariff does.")
@click.option(
    "--hours", type=click.IntRange(1, HOURS_MAX), default=24, show_default=True, help="How long a stay at most."
)
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw into this file; needs gatectl[plot]."
)
@pass_places
def plot(
    places: Places,
    file: Path | None,
    name: str,
    vehicle: str,
    spot_type: str | None,
    occupancy: str | None,
    currency: str | None,
    timezone: str | None,
    entered: str | None,
    hours: int,
    png: Path | None,
) -> None:
    """The price of a stay over its duration, in the terminal or as a picture."""
    from gatectl.cli import tariff_plot

    read = _read(file or places.config, currency, timezone)
    begins_ms = _moment("--in", entered, read.zone) if entered else _first(read, name)
    counted = _counted(occupancy)

    def price(ms: int) -> tuple[Tariff, int]:
        chosen, charged = read.charge(begins_ms, begins_ms + ms, name, vehicle, spot_type, counted)
        return chosen, charged.total_minor

    chosen, _ = price(0)
    curve = tariff_plot.Curve(lambda ms: price(ms)[1], hours, f"{chosen.tariff}, {vehicle}", read.currency)
    if png is None:
        for line in tariff_plot.terminal(curve):
            click.echo(line)
        return
    try:
        tariff_plot.picture(curve, png)
    except ImportError:
        raise CommandFailed(
            "E-USE-01", "A picture needs Pillow.", action="pip install 'gatectl[plot]', or leave --png away"
        ) from None
    except OSError as error:
        raise CommandFailed("E-USE-01", f"{png}: {error.strerror or error}") from None
    click.echo(f"{png}")


def _read(path: Path, currency: str | None, timezone: str | None) -> TariffFile:
    read = read_tariffs(path)
    if read.faults:
        raise _refused(read)
    if currency is not None and currency not in EXPONENTS:
        raise CommandFailed("E-USE-01", f"--currency: {currency!r} is no ISO 4217 code, such as EUR")
    zone = read.zone if timezone is None else zone_of(timezone)
    if zone is None:
        raise CommandFailed("E-USE-01", f"--timezone: {timezone!r} is no IANA name, such as Europe/Amsterdam")
    read.currency, read.zone = currency or read.currency, zone
    return read


def _refused(read: TariffFile) -> CommandFailed:
    for fault in read.faults:
        click.echo(fault.text())
    many = f"{len(read.faults)} faults" if len(read.faults) > 1 else "1 fault"
    data = {"faults": [fault.plain() for fault in read.faults]}
    return CommandFailed("E-CFG-01", f"{read.path}: {many}.", "Each is listed with its place.", data=data)


def _moment(option: str, text: str, zone: tzinfo) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed("E-USE-01", f"{option}: {text!r} is no time such as 2026-06-11T12:00") from None
    at_ms = ms_of(at if at.tzinfo else at.replace(tzinfo=zone))
    if not 0 <= at_ms <= WALL_MS_MAX:
        raise CommandFailed("E-USE-01", f"{option}: {text!r} is not between 1970 and 9999")
    return at_ms


def _counted(text: str | None) -> tuple[int, int] | None:
    """`85`, `85%` -> 85 of 100; `170/200` as it says."""
    if text is None:
        return None
    found = _COUNTED.fullmatch(text.strip())
    taken, spots = (int(found[1]), int(found[2] or 100)) if found else (1, 0)
    if taken > spots:
        raise CommandFailed("E-USE-01", f"--occupancy: {text!r} is neither a percentage nor taken/spots")
    return taken, spots


def _first(read: TariffFile, name: str) -> int:
    return min((one.effective_from_ms for one in read.tariffs if name in ("", one.tariff)), default=0)
