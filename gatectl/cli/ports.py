"""`gatectl ports`: what each port has counted, so that what was refused on a wire can be seen."""

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.client import Daemon
from gatectl.cli.show import emit


@click.command()
@json_option
@pass_places
def ports(places: Places, as_json: bool) -> None:
    """Every port, its devices, and what it has counted since the daemon started: timeouts, bad frames, refused messages."""
    answer = Daemon(places.socket).get("ports")
    if as_json:
        emit(answer)
        return
    for row in answer["ports"]:
        click.echo(f"{row['port']}  ({', '.join(row['devices'])})")
        for name, number in sorted(row["counters"].items()):
            click.echo(f"  {number:>10}  {name}")
