"""`gatectl sync`: the link to the office, and the proof that nothing is missing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, sentence, span
from gatectl.cli.status import sync_line
from gatectl.domain.codes import Exit

if TYPE_CHECKING:
    from gatectl.store.reading import Mirror

HEALTHY = frozenset({"online", "no-office"})


@click.group()
def sync() -> None:
    """The link to the office; proof that nothing is missing."""


@sync.command()
@json_option
@pass_places
@click.pass_context
def status(ctx: click.Context, places: Places, as_json: bool) -> None:
    """How many records wait, how old the oldest is, what the last error was. Exit 3 when the office is away."""

    def from_mirror(mirror: "Mirror") -> dict[str, Any]:
        return {"schema": "gatectl.sync/1", "state": "unknown", **mirror.backlog()}

    answer = offline.ask(places, lambda daemon: daemon.get("sync"), from_mirror)
    if as_json:
        emit(answer)
    else:
        click.echo(f"office:     {answer.get('office') or '-'}\nstate:      {sync_line(answer)}")
        click.echo(
            f"journal:    generation {answer['generation']}, record {answer['seq']}, acknowledged {answer['acked']}"
        )
        if answer.get("last_contact_age_ms") is not None:
            click.echo(f"last word:  {span(answer['last_contact_age_ms'])} ago")
    if answer.get("daemon") is False:
        ctx.exit(int(Exit.NOT_RUNNING))
    ctx.exit(int(Exit.OK if answer["state"] in HEALTHY else Exit.DEGRADED))


@sync.command()
@json_option
@pass_places
def now(places: Places, as_json: bool) -> None:
    """Do not wait for the next try."""
    answer = Daemon(places.socket).post("sync", "now")
    emit(answer) if as_json else click.echo(sentence(answer["done"]))


@sync.command()
@json_option
@pass_places
@click.pass_context
def prove(ctx: click.Context, places: Places, as_json: bool) -> None:
    """Compute the journal's chain again. The office prints the same with: gatectl-central prove SITE"""
    answer = offline.ask(
        places, lambda daemon: daemon.get("sync", "prove"), lambda mirror: mirror.prove(offline.site_id(places))
    )
    if as_json:
        emit(answer)
    else:
        click.echo(
            f"site {answer['site']}  generation {answer['generation']}  seq {answer['seq']}\nhead {answer['head']}"
        )
        click.echo(f"tickets {answer['tickets']}  payments {answer['payments']}  paid_minor {answer['paid_minor']}")
        click.echo(f"digest {answer['digest']}")
    if not answer.get("ok", True):
        message = f"The record {answer['broken_at']} of generation {answer['generation']} is not what was written."
        raise CommandFailed(
            "E-SYNC-03", message, action="Do not restart. Save the state directory and call the office."
        )
    ctx.exit(0)


@sync.command()
@click.option("--office", required=True, metavar="URL", help="https://office.example:8443")
@click.option("--code", required=True, help="The one-time code that the office made.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The office's CA certificate.")
@click.option("--replace", is_flag=True, help="This site is enrolled already; replace its credential.")
@json_option
@pass_places
def enrol(places: Places, office: str, code: str, ca: Path | None, replace: bool, as_json: bool) -> None:
    """Buy this site's credential with a one-time code from the office."""
    from gatectl import __version__
    from sync.credential import CredentialRefused
    from sync.enrol import EnrolmentFailed
    from sync.enrol import enrol as enrol_site
    from sync.transport import BadAddress, PlainHttpRefused, Transport

    site, path = offline.site_id(places), credential_path(places)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    transport = None
    try:
        transport = Transport(office, ca_file=ca, software=f"gatectl/{__version__}")
        made = enrol_site(
            transport, address=office, site=site, code=code, software=__version__, path=path, replace=replace
        )
    except EnrolmentFailed as failed:
        code_name = "E-SYNC-01" if failed.name == "unreachable" else "E-SYNC-02"
        raise CommandFailed(
            code_name, str(failed), action="Check the address; ask the office for a new code."
        ) from None
    except (CredentialRefused, BadAddress, PlainHttpRefused, OSError) as error:
        raise CommandFailed("E-SYNC-02", str(error), action="Mend what the message says, then try again.") from None
    finally:
        if transport is not None:
            transport.close()
    done = f"{site} is enrolled at {made.office}. The credential is in {path}."
    if as_json:
        emit({"schema": "gatectl.done/1", "done": done, "position": None, "generation": made.generation})
    else:
        click.echo(f"{done} Now: systemctl restart gatectl")


def credential_path(places: Places) -> Path:
    """Where the daemon will look for the credential, by the site file's own name for it."""
    office = offline.site_table(places).get("office")
    name = office.get("credential", "office.json") if isinstance(office, dict) else "office.json"
    return places.state_dir / "credentials" / str(name)
