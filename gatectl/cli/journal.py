"""`gatectl journal`: is what lies on this disk what was written, and how it is made whole again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, now_ms
from gatectl.domain.codes import Exit

if TYPE_CHECKING:
    from gatectl.store.checking import Report
    from gatectl.store.repairing import Fetch, Repaired


@click.group()
def journal() -> None:
    """The journal on this disk: check it, repair it."""


@journal.command()
@json_option
@pass_places
@click.pass_context
def check(ctx: click.Context, places: Places, as_json: bool) -> None:
    """Read every page, compute every chain, compare the mirror. Changes nothing; also while the daemon runs. Exit 3: damaged."""
    report = _checked(places)
    if as_json:
        emit(_plain(report))
    else:
        for line in _lines(report):
            click.echo(line)
    ctx.exit(int(Exit.OK if report.ok else Exit.DEGRADED))


@journal.command()
@click.option(
    "--set-aside", is_flag=True, help="Also take out damaged records that lie only here; they are kept aside."
)
@json_option
@pass_places
def repair(places: Places, set_aside: bool, as_json: bool) -> None:
    """Make the journal and the mirror whole: what the office holds is fetched from it. All of it or nothing. Stop the daemon
    first."""
    from gatectl.store.database import StateLock, StoreRefused
    from gatectl.store.repairing import CannotRepair

    try:
        lock = StateLock(places.state_dir)
        try:
            report = _checked(places)
            only_here = [str(damage) for damage in report.damages if not damage.held and damage.what != "head"]
            if only_here and not set_aside:
                raise CommandFailed("E-JNL-03", f"{len(only_here)} damaged records lie only here: {only_here[0]} ...")
            done = None if report.ok else _repaired(places, report)
        finally:
            lock.release()
    except (StoreRefused, CannotRepair) as refused:
        raise CommandFailed("E-JNL-02", str(refused)) from None
    words = "nothing is damaged" if done is None else _told(done)
    answer = {"schema": "gatectl.repair/1", "done": words, "position": None, **_counts(done)}
    emit(answer) if as_json else click.echo(f"{words}. Now: systemctl start gatectl" if done else f"{words}.")


def _checked(places: Places) -> "Report":
    from gatectl.store.checking import check as check_file
    from gatectl.store.database import DATABASE_NAME

    path = places.state_dir / DATABASE_NAME
    if not path.exists():
        raise CommandFailed("E-CFG-02", f"{path}: there is no journal; the daemon makes it at its first start.")
    try:
        return check_file(path, offline.site_id(places))
    except sqlite3.Error as error:
        raise CommandFailed("E-JNL-02", f"{path} cannot be opened: {error}") from None


def _repaired(places: Places, report: "Report") -> "Repaired":
    import getpass
    import secrets

    from gatectl.domain.ids import Boot, Moment, TimeQuality
    from gatectl.store.database import DATABASE_NAME
    from gatectl.store.repairing import Repairer

    with _office(places) as fetch:
        repairer = Repairer(
            offline.site_id(places),
            fetch,
            getpass.getuser(),
            Boot(secrets.token_hex(8), "0000"),
            Moment(now_ms(), 0, TimeQuality.FREE_RUNNING),
        )
        return repairer.repair(places.state_dir / DATABASE_NAME, report)


@contextmanager
def _office(places: Places) -> "Iterator[Fetch]":
    """Asks the office for records; is not spoken to before one is needed."""
    from gatectl import __version__
    from gatectl.cli.sync import credential_path
    from gatectl.store.repairing import CannotRepair
    from sync.credential import CredentialRefused, read_credential
    from sync.fetching import NotFetched
    from sync.fetching import fetch as fetch_record
    from sync.records import Record
    from sync.transport import BadAddress, PlainHttpRefused, Transport

    opened: list[Transport] = []

    def fetch(generation: int, seq: int) -> Record:
        try:
            credential = read_credential(credential_path(places))
            if not opened:
                opened.append(
                    Transport(
                        credential.office,
                        credential=credential.credential,
                        ca_file=_ca_file(places),
                        software=f"gatectl/{__version__}",
                    )
                )
            return fetch_record(opened[0], credential.site, generation, seq)
        except (CredentialRefused, NotFetched, BadAddress, PlainHttpRefused, OSError) as error:
            raise CannotRepair(f"record {generation}/{seq} could not be fetched from the office: {error}") from error

    try:
        yield fetch
    finally:
        for transport in opened:
            transport.close()


def _ca_file(places: Places) -> Path | None:
    office = offline.site_table(places).get("office")
    name = office.get("ca") if isinstance(office, dict) else None
    return Path(str(name)) if name else None


# -- words -----------------------------------------------------------------------------------------------------------------


def _plain(report: "Report") -> dict[str, Any]:
    return {
        "schema": "gatectl.check/1",
        "ok": report.ok,
        "records": report.records,
        "pages": list(report.pages),
        "damaged": [
            {"generation": damage.generation, "seq": damage.seq, "what": damage.what.value, "held": damage.held}
            for damage in report.damages
        ],
        "mirror": list(report.mirror),
        "set_aside": report.set_aside,
    }


def _lines(report: "Report") -> Iterator[str]:
    yield f"{report.records} records"
    for page in report.pages:
        yield f"damaged file: {page}"
    for damage in report.damages:
        yield f"damaged: {damage}"
    for row in report.mirror:
        yield f"the mirror differs: {row}"
    if report.set_aside:
        yield f"{report.set_aside} records were set aside by earlier repairs; the mirror is not compared"
    if report.ok:
        yield "The journal is what was written."
    else:
        yield "Next: systemctl stop gatectl; gatectl journal repair; systemctl start gatectl"


def _told(done: "Repaired") -> str:
    parts = [f"{len(done.fetched)} records came back from the office", f"{len(done.lost)} were set aside"]
    if done.heads:
        parts.append(f"{len(done.heads)} heads were calculated again")
    if done.mirror:
        parts.append("the mirror was made again")
    if done.aside is not None:
        parts.append(f"the damaged file is kept as {done.aside.name}")
    return "; ".join(parts)


def _counts(done: "Repaired | None") -> dict[str, Any]:
    if done is None:
        return {"fetched": 0, "lost": []}
    return {"fetched": len(done.fetched), "lost": done.lost}
