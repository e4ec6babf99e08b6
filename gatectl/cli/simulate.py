"""`gatectl simulate`: a site's days in minutes, on this machine, without hardware, disk or network."""

from pathlib import Path
from typing import Literal

import click
from click.core import ParameterSource

from gatectl.cli.base import json_option
from gatectl.cli.errors import CommandFailed

LANES_MAX = 100
DAYS_MAX = 3_660.0
MINUTES_MAX = DAYS_MAX * 1_440
FAULTS_PER_HOUR = 4.0
DEMANDS = ("hourly", "weekday", "saturday", "christmas", "over-capacity")
"""As `gatectl.world.demand` names them; `--help` loads nothing."""
OF_A_FILE = frozenset({"fault", "minutes", "speed", "plain"})
"""Options that belong to `--site FILE`."""
OF_A_SEED = frozenset(
    {"lanes", "only", "demand", "disk", "keep_faults", "skip_faults", "keep_drivers", "skip_drivers", "no_shrink"}
)
"""Options of the made-up site."""


@click.command()
@click.option("--site", type=click.Path(path_type=Path), metavar="FILE", help="Rehearse this site file.")
@click.option(
    "--fault",
    metavar="NAME[:WHAT][@LANE][@MINUTE]",
    multiple=True,
    help="With --site: this breaks; may be given again. `all`: each fault once.",
)
@click.option("--list-faults", is_flag=True, help="Every fault in one line.")
@click.option("--minutes", type=click.FloatRange(0.1, MINUTES_MAX), help="With --site: simulated minutes.")
@click.option("--speed", type=click.FloatRange(1, 3_600), default=20.0, show_default=True, help="Of the live view.")
@click.option("--plain", is_flag=True, help="Lines instead of the live view.")
@click.option("--seed", type=int, default=1, show_default=True, help="One seed is one run, and the same journal.")
@click.option("--days", type=click.FloatRange(0.01, DAYS_MAX), default=1.0, help="Simulated days.  [default: 1]")
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
    default=FAULTS_PER_HOUR,
    help=f"Faults that begin in an hour, on average.  [default: {FAULTS_PER_HOUR:g}; with --site 0]",
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
    site: Path | None,
    fault: tuple[str, ...],
    list_faults: bool,
    minutes: float | None,
    speed: float,
    plain: bool,
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
    """Rehearse a site with everything that breaks; fails when an invariant does not hold.

    \b
    gatectl simulate --site /etc/gatectl/gatectl.toml --fault printer:out@IN-1
                                              a real site's file, live on this terminal
    gatectl simulate --seed 7 --days 30       a made-up site's month, in a minute or two
    gatectl simulate --only power --faults 60 the power goes, once a minute
    """
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if list_faults:
        _list_faults()
        return
    wrong = sorted(given & (OF_A_SEED if site else OF_A_FILE))
    if wrong:
        why = "is for a made-up site, without --site" if site else "needs --site FILE"
        raise CommandFailed("E-USE-01", f"--{wrong[0].replace('_', '-')} {why}.")
    if site is None:
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
    if {"minutes", "days"} <= given:
        raise CommandFailed("E-USE-01", "--minutes and --days say the same thing.", action="Give one of them")
    from gatectl.cli.rehearse import Wish, rehearse

    per_hour = faults if "faults" in given else 0.0
    long = days * 1_440 if "days" in given else minutes
    ctx.exit(int(rehearse(Wish(site, fault, per_hour, oddity, seed, long, speed, plain, as_json))))


def _list_faults() -> None:
    from gatectl.world.named import described

    rows = list(described())
    wide = max(len(name) for name, _, _ in rows)
    for name, what, told in rows:
        click.echo(f"{name:<{wide}}  {what}" + (f" [{told}]" if told else ""))
