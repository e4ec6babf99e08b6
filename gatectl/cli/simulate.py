"""`gatectl simulate`: a site's days in minutes, on this machine, without hardware, disk or network."""

from typing import Literal

import click

from gatectl.cli.base import json_option

LANES_MAX = 100
DAYS_MAX = 3_660.0
DEMANDS = ("hourly", "weekday", "saturday", "christmas", "over-capacity")
"""As `gatectl.world.demand` names them; `--help` loads nothing."""


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
@click.option("--demand", type=click.Choice(DEMANDS), help="When vehicles come.  [default: as the seed draws]")
@click.option(
    "--disk",
    type=click.Choice(("memory", "store")),
    default="memory",
    help="store: the real one, on a made-up platter.",
)
@click.option("--keep-faults", metavar="NUMBERS", help="Only these of the seed's faults: 3,7-9.")
@click.option("--skip-faults", metavar="NUMBERS", help="All but these of the seed's faults.")
@click.option("--keep-drivers", metavar="NUMBERS", help="Only these of the seed's drivers.")
@click.option("--skip-drivers", metavar="NUMBERS", help="All but these of the seed's drivers.")
@click.option("--no-shrink", is_flag=True, help="Do not look for the smallest run that breaks the same.")
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
    demand: str | None,
    disk: Literal["memory", "store"],
    keep_faults: str | None,
    skip_faults: str | None,
    keep_drivers: str | None,
    skip_drivers: str | None,
    no_shrink: bool,
    as_json: bool,
) -> None:
    """Rehearse a made-up site with everything that breaks; fails when an invariant does not hold.

    \b
    gatectl simulate --seed 7 --days 30       a month, in a minute or two
    gatectl simulate --faults 0 --oddity 0    nobody does anything odd, nothing breaks
    gatectl simulate --only power --faults 60 the power goes, once a minute
    """
    from gatectl.cli import made_up
    from gatectl.world.simulation import Options

    wanted = Options(
        seed,
        days,
        lanes,
        oddity,
        faults,
        made_up.kinds(only),
        made_up.chosen(keep_faults, skip_faults, "keep-faults"),
        made_up.chosen(keep_drivers, skip_drivers, "keep-drivers"),
        demand or "",
        disk=disk,
    )
    ctx.exit(int(made_up.run(wanted, as_json=as_json, shrinks=not no_shrink)))
