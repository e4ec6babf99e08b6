"""`gatectl simulate`: a site's days in minutes, on this machine, without hardware, disk or network."""

import json

import click

from gatectl.cli.base import json_option
from gatectl.cli.errors import CommandFailed
from gatectl.domain.codes import Exit

LANES_MAX = 100
DAYS_MAX = 3_660.0


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="One seed is one run, and the same journal.")
@click.option("--days", type=click.FloatRange(0.01, DAYS_MAX), default=1.0, show_default=True, help="Simulated days.")
@click.option(
    "--lanes", type=click.IntRange(2, LANES_MAX), default=4, show_default=True, help="Entries and exits by turns."
)
@click.option(
    "--oddity",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    help="The share of drivers who do something unusual.",
)
@click.option(
    "--faults",
    type=click.FloatRange(0, 120),
    default=4.0,
    show_default=True,
    help="Faults that begin in an hour, on average.",
)
@click.option("--only", metavar="FAULT", multiple=True, help="Only this kind of fault; may be given again.")
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    seed: int,
    days: float,
    lanes: int,
    oddity: float,
    faults: float,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rehearse a made-up site with everything that breaks; fails when an invariant does not hold.

    \b
    gatectl simulate --seed 7 --days 30       a month, in a minute or two
    gatectl simulate --faults 0 --oddity 0    nobody does anything odd, nothing breaks
    gatectl simulate --only power --faults 60 the power goes, once a minute
    """
    from gatectl.world.faults import FAULTS
    from gatectl.world.simulation import Options, World

    unknown = sorted(set(only) - set(FAULTS))
    if unknown:
        raise CommandFailed("E-USE-01", f"no fault is named {unknown[0]}", action=f"Name some of: {', '.join(FAULTS)}")
    result = World(Options(seed, days, lanes, oddity, faults, only or tuple(FAULTS))).run()
    if not as_json:
        _tell(result.seen, result.broken)
    click.echo(json.dumps(result.plain()))
    ctx.exit(int(Exit.OK if result.ok else Exit.FAILED))


def _tell(seen: dict[str, int], broken: str) -> None:
    """What was met, most often first; what broke, if anything."""
    for what, times in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0])):
        click.echo(f"{times:8d}  {what}")
    click.echo(f"BROKEN: {broken}" if broken else "Every invariant held.")
