"""The daemon and the demo: the two commands that load everything."""

from pathlib import Path

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed


@click.command()
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]))
@click.option("--speed", type=click.IntRange(1, 1000), hidden=True, help="The demo's: scales the lanes' time.")
@click.pass_context
def run(ctx: click.Context, log_level: str | None, log_format: str | None, speed: int | None) -> None:
    """Run the daemon in the foreground until it is told to stop."""
    from config.faults import SiteFileRefused
    from config.settings import Settings
    from gatectl.app import run as run_daemon
    from gatectl.runtime.control import AlreadyServed
    from gatectl.runtime.keys import KeysRefused
    from gatectl.store.database import StoreRefused

    assert ctx.parent is not None
    given = ctx.parent.params
    try:
        settings = Settings.load(**given, log_level=log_level, log_format=log_format, speed=speed)
        code = run_daemon(settings)
    except SiteFileRefused as refused:
        data = {"faults": [fault.plain() for fault in refused.faults]}
        raise CommandFailed("E-CFG-01", str(refused), data=data) from None
    except (StoreRefused, KeysRefused, AlreadyServed) as refused:
        raise CommandFailed("E-CFG-02", str(refused)) from None
    ctx.exit(code)


@click.command()
@click.option("--vehicles", type=click.IntRange(1, 100_000), default=60, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--speed", type=click.IntRange(1, 1000), default=20, show_default=True, help="World time to real time.")
@click.option("--kill", type=click.IntRange(0, 1000), default=0, help="Kill the daemon with -9 so often.")
@click.option(
    "--office-away",
    type=click.FloatRange(0, 0.9),
    default=0.15,
    show_default=True,
    help="Part of the run during which the office is away.",
)
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Keep everything there.")
@json_option
@pass_places
@click.pass_context
def demo(
    ctx: click.Context,
    places: Places,  # the demo makes its own
    vehicles: int,
    seed: int,
    speed: int,
    kill: int,
    office_away: float,
    directory: Path | None,
    as_json: bool,
) -> None:
    """A real morning on simulated hardware: a site, its office, a broker. Ends when both ends agree."""
    try:
        from gatectl.demo.main import main
    except ModuleNotFoundError as missing:
        raise CommandFailed("E-DEMO-01", f"{missing.name} is not installed") from None
    ctx.exit(
        main(
            vehicles=vehicles,
            seed=seed,
            speed=speed,
            kill=kill,
            office_away=office_away,
            directory=directory,
            as_json=as_json,
        )
    )
