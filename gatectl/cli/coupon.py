"""`gatectl coupon` and `gatectl validate`: what is taken off a stay's price, by codes, paper and merchants."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, money, table


@click.group()
def coupon() -> None:
    """Put coupons on tickets; make, sign, list them."""


def _gives(command: Any) -> Any:
    """The options that say what a coupon gives; one of them is needed."""
    for option in (
        click.option("--percent", type=click.IntRange(1, 100), help="So much of the parking."),
        click.option("--amount", metavar="AMOUNT", help="So much money."),
        click.option("--minutes", type=click.IntRange(1), help="The first minutes of the stay."),
        click.option("--flat", metavar="AMOUNT", help="The parking costs at most this."),
    ):
        command = option(command)
    return command


def _given(places: Places, amount: str | None, flat: str | None) -> dict[str, int | None]:
    """Amounts in minor units, under the verbs' names."""
    return {
        "amount_minor": None if amount is None else verbs.amount(places, amount),
        "flat_minor": None if flat is None else verbs.amount(places, flat),
    }


@coupon.command("apply")
@click.argument("code", metavar="COUPON")
@click.argument("ticket", metavar="TICKET")
@json_option
@pass_places
def apply(places: Places, code: str, ticket: str, as_json: bool) -> None:
    """Put COUPON (a code, or what is in its QR) on TICKET. An exit where the ticket waits asks for what is left."""
    _told(places, verbs.ask(places, "coupon-apply", as_json, coupon=code, ticket=ticket), as_json)


@coupon.command("void")
@click.argument("validation", metavar="VALIDATION")
@click.option("--reason", metavar="TEXT", required=True, help="Why; it is recorded.")
@json_option
@pass_places
def void(places: Places, validation: str, reason: str, as_json: bool) -> None:
    """Take a coupon or validation off its ticket, before it is paid with."""
    _told(places, verbs.ask(places, "validation-void", as_json, validation=validation, reason=reason), as_json)


def _told(places: Places, answer: dict[str, Any], as_json: bool) -> None:
    if not as_json:
        click.echo(f"Due now: {money(answer['due_minor'], answer['currency'])}")


@coupon.command("add")
@click.argument("code", metavar="COUPON")
@_gives
@click.option("--from", "from_", metavar="TIME", help="Good from, as 2026-12-01T00:00 local time.")
@click.option("--until", metavar="TIME", help="Good until.")
@click.option("--hours", metavar="TEXT", help='As in "mon-fri 18:00-23:00; sun 00:00-24:00". [always]')
@click.option("--uses", type=click.IntRange(1), help="How many stays may have it. [1]")
@click.option("--unlimited", is_flag=True, help="As many stays as like.")
@click.option("--per-day", "uses_per_day", type=click.IntRange(1), help="How many a day.")
@click.option("--exclusive", is_flag=True, help="It stands alone on a ticket.")
@click.option("--tariffs", metavar="NAMES", help="Only for these tariffs.")
@click.option("--vehicle-types", metavar="TYPES", help="Only for these vehicles.")
@click.option("--merchant", metavar="NAME", help="Whose limits it counts against.")
@json_option
@pass_places
def add(
    places: Places,
    /,
    code: str,
    amount: str | None,
    flat: str | None,
    from_: str | None,
    until: str | None,
    unlimited: bool,
    exclusive: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Make the code COUPON known here: 4 to 24 capitals, digits and dashes, with a letter among them."""
    flags = {"unlimited": unlimited or None, "exclusive": exclusive or None}
    times = {"from_ms": verbs.moment(from_), "until_ms": verbs.moment(until)}
    verbs.ask(places, "coupon-add", as_json, coupon=code, **_given(places, amount, flat), **flags, **times, **terms)


@coupon.command("remove")
@click.argument("code", metavar="COUPON")
@json_option
@pass_places
def remove(places: Places, code: str, as_json: bool) -> None:
    """Make a code unknown that was made here. Tickets that have it keep it."""
    verbs.ask(places, "coupon-remove", as_json, coupon=code)


@coupon.command("sign")
@_gives
@click.option("--days", type=click.IntRange(1), required=True, help="Good for so long from now on.")
@click.option("--count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many.")
@click.option("--exclusive", is_flag=True, help="They stand alone on a ticket.")
@json_option
@pass_places
def sign(
    places: Places,
    /,
    amount: str | None,
    flat: str | None,
    exclusive: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Sign coupons for paper: a name and the text for the QR, each good for one stay at this site."""
    given = _given(places, amount, flat)
    answer = verbs.ask(places, "coupon-sign", as_json, exclusive=exclusive or None, **given, **terms)
    if not as_json:
        click.echo("\n".join(f"{name}  {code}" for name, code in answer["coupons"]))


@coupon.command("on")
@click.argument("ticket", metavar="TICKET")
@utc_option
@json_option
@pass_places
def on(places: Places, ticket: str, utc: bool, as_json: bool) -> None:
    """What was put on TICKET, by its number as printed."""
    answer = verbs.rows(places, "validations", "ticket", ticket)
    emit(answer) if as_json else click.echo(_validations(answer["rows"], places, utc))


@coupon.command("show")
@click.argument("code", metavar="COUPON")
@utc_option
@json_option
@pass_places
def show(places: Places, code: str, utc: bool, as_json: bool) -> None:
    """A coupon's terms, how often it was used, and on which tickets. For signed ones: by name, as Q-K7QF-00012."""
    name = code.upper()
    found = [row for row in verbs.rows(places, "coupons", "coupon", name)["rows"] if not row["removed"]]
    uses = verbs.rows(places, "coupon_uses", "coupon", name)["rows"]
    given = verbs.rows(places, "validations", "coupon", name)["rows"]
    if not (found or uses):
        raise CommandFailed("E-CPN-01", f"No coupon {name} is known here.", action="gatectl coupon list")
    if as_json:
        emit({"schema": "gatectl.coupon/1", "coupon": found[0] if found else None, "used": _used(uses), "on": given})
        return
    told = _lines(found[0], places, utc) if found else [f"Coupon {name}, signed"]
    click.echo("\n".join([*told, f"Used    {_used(uses)} times", _validations(given, places, utc)]))


def _used(uses: list[dict[str, Any]]) -> int:
    return int(uses[0]["used"]) if uses else 0


def _lines(row: dict[str, Any], places: Places, utc: bool) -> list[str]:
    day = f", {row['day_max']} a day" if row["day_max"] else ""
    times = f"{clock(row['from_ms'], utc)} to {clock(row['until_ms'], utc)}"
    only = " ".join(filter(None, (row["tariffs"], row["vehicle_types"])))
    return [
        f"Coupon {row['coupon']}, by {row['source']}",
        f"Gives   {_value(row, places)}{', alone on a ticket' if row['exclusive'] else ''}",
        f"Good    {times if row['from_ms'] or row['until_ms'] else 'until it is removed'}, {row['hours'] or 'at all hours'}",
        f"For     {row['uses_max'] or 'any number of'} stays{day}{', only ' + only if only else ''}",
    ]


def _value(row: dict[str, Any], places: Places) -> str:
    gives, value = row["gives"], row["value"]
    if gives == "minutes":
        return f"{value} min"
    if gives == "percent":
        return f"{value} %"
    if gives == "whole":
        return "all parking"
    told = money(value, verbs.currency(places))
    return f"{told} off" if gives == "amount" else f"at most {told}"


def _validations(rows: list[dict[str, Any]], places: Places, utc: bool) -> str:
    if not rows:
        return "On no ticket."
    head = ("VALIDATION", "TICKET", "WHAT", "GIVES", "REASON", "BY", "WHEN", "STATE")
    return table(
        head,
        [
            (
                row["validation"],
                row["ticket"],
                row["label"],
                _value(row, places),
                row["reason"] or "-",
                row["given_by"],
                clock(row["applied_ms"], utc),
                row["state"],
            )
            for row in rows
        ],
    )


@coupon.command("list")
@json_option
@pass_places
def list_coupons(places: Places, as_json: bool) -> None:
    """Codes that are known here; signed coupons need not be known."""
    answer = verbs.rows(places, "coupons")
    rows = [row for row in answer["rows"] if not row["removed"]]
    if as_json:
        emit(answer)
    elif not rows:
        click.echo("No coupon is known here. Make one with: gatectl coupon add COUPON --percent 20")
    else:
        head = ("COUPON", "GIVES", "USES", "A DAY", "ALONE", "BY")
        click.echo(table(head, [_coupon_line(row, places) for row in rows]))


def _coupon_line(row: dict[str, Any], places: Places) -> tuple[str, ...]:
    limits = (str(row["uses_max"] or "-"), str(row["day_max"] or "-"))
    return (row["coupon"], _value(row, places), *limits, "yes" if row["exclusive"] else "no", row["source"])


@coupon.command("merchants")
@json_option
@pass_places
def merchants(places: Places, as_json: bool) -> None:
    """Who may validate, what, and how often they did."""
    answer = verbs.rows(places, "merchants")
    uses = {row["merchant"]: row for row in verbs.rows(places, "merchant_uses")["rows"]}
    rows = [row for row in answer["rows"] if not row["removed"]]
    if as_json:
        emit(answer)
    elif not rows:
        click.echo("No merchant is known here: [[merchants]] in the site file, or the office's feed.")
    else:
        head = ("MERCHANT", "NAME", "MAY GIVE", "A DAY", "A MONTH", "LAST DAY", "GAVE", "REASONS")
        click.echo(table(head, [_merchant_line(row, uses.get(row["merchant"]), places) for row in rows]))


def _merchant_line(row: dict[str, Any], used: dict[str, Any] | None, places: Places) -> tuple[str, ...]:
    amount = money(row["amount_minor_max"], verbs.currency(places)) if row["amount_minor_max"] else ""
    minutes = f"{row['minutes_max']} min" if row["minutes_max"] else ""
    return (
        row["merchant"],
        row["name"],
        ", ".join(filter(None, (minutes, amount, "all" if row["whole"] else ""))),
        str(row["day_max"] or "-"),
        str(row["month_max"] or "-"),
        used["day"] if used else "-",
        str(used["day_used"]) if used else "-",
        ", ".join(row["reasons"].split("\n")) or "any",
    )


@click.command()
@click.argument("ticket", metavar="TICKET")
@click.option("--merchant", metavar="NAME", required=True, help="Who gives it; see gatectl coupon merchants.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, as the merchant's terms know it.")
@click.option("--minutes", type=click.IntRange(1), help="The first minutes of the stay.")
@click.option("--amount", metavar="AMOUNT", help="So much money.")
@click.option("--whole-stay", is_flag=True, help="All of the parking.")
@click.option("--key", metavar="TEXT", help="The device's own name for it: the same again is the same validation.")
@json_option
@pass_places
def validate(
    places: Places,
    /,
    ticket: str,
    amount: str | None,
    whole_stay: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """A merchant validates TICKET: minutes, an amount, or the whole stay."""
    minor = None if amount is None else verbs.amount(places, amount)
    words = {"ticket": ticket, "amount_minor": minor, "whole_stay": whole_stay or None, **said}
    _told(places, verbs.ask(places, "validation-add", as_json, **words), as_json)
