"""`gatectl-central`: the office's commands. Exit codes: 0 done, 1 no (the message says why), 2 wrong use."""

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from central.db import alarms, chains, feed, reading, sites
from central.db.engine import UnfitError, check_server, make_engine
from central.db.migrate import current, migrate, newest
from central.db.projection import rebuild as rebuild_site
from central.db.refusal import Refused
from central.embedded import EmbeddedError, EmbeddedServer
from gatectl.domain.business.registry import FEEDS
from gatectl.domain.tariff_reading import TariffRefused
from gatectl.domain.tariffs import from_body
from sync.records import Malformed, plain

PROVE_SCHEMA: Final = "gatectl.prove/1"
TARIFF_BYTES_MAX: Final = 65_536
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _seconds(most_s: int) -> Callable[[click.Context, click.Parameter, str], int]:
    """Reads `90s`, `30m`, `1h`, `7d` as whole seconds, at most `most_s`."""

    def read(ctx: click.Context, param: click.Parameter, value: str) -> int:
        said = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", value)
        if said is None:
            raise click.BadParameter(f"{value!r}: write a number and s, m, h or d, as in 30m", ctx, param)
        seconds = int(said[1]) * _UNITS[said[2]]
        if seconds > most_s:
            raise click.BadParameter(f"{value}: at most {most_s} s", ctx, param)
        return seconds

    return read


@click.group()
@click.option("--dsn", envvar="GATECTL_CENTRAL_DSN", help="PostgreSQL 14 or newer, as a libpq connection string.")
@click.option(
    "--embedded",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run a PostgreSQL of our own with its data in this directory instead.",
)
@click.version_option(package_name="gatectl", prog_name="gatectl-central")
@click.pass_context
def app(ctx: click.Context, dsn: str | None, embedded: Path | None) -> None:
    """The office of gatectl: takes what the sites send, keeps it for ever, and shows it."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    ctx.obj = _Place(dsn, embedded)


class _Place:
    """Where the records are; opened by the command that needs them."""

    def __init__(self, dsn: str | None, embedded: Path | None) -> None:
        self.dsn, self.embedded = dsn, embedded

    def use(self, dsn: str | None, embedded: Path | None) -> None:
        """What the command itself was told goes before what the group was told."""
        if dsn or embedded:
            self.dsn, self.embedded = dsn, embedded

    @contextmanager
    def database(self) -> Iterator[str]:
        """A DSN; the embedded server runs as long as this is open."""
        if (self.dsn is None) == (self.embedded is None):
            raise click.UsageError("say where the records are: either --dsn DSN or --embedded DIR")
        if self.embedded is None:
            assert self.dsn is not None
            yield self.dsn
            return
        server = EmbeddedServer(self.embedded)
        running = server.dsn_if_running()
        if running is not None:
            yield running
            return
        with server:
            yield server.dsn

    @contextmanager
    def connection(self, *, migrated: bool = True) -> Iterator[Connection]:
        """One transaction, committed at the end. Database trouble becomes a message."""
        with _explained(), self.database() as dsn:
            engine = make_engine(dsn, patient=True)
            try:
                with engine.begin() as connection:
                    if migrated and current(connection) != newest():
                        raise click.ClickException("this database is not at our schema: run `gatectl-central migrate`")
                    yield connection
            finally:
                engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise click.ClickException(f"{refused.name}: {refused.detail}") from refused
    except (EmbeddedError, UnfitError) as error:
        raise click.ClickException(str(error)) from error
    except OperationalError as error:
        raise click.ClickException(f"the database does not answer: {error.orig}") from error


def _say(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, separators=(",", ":"), ensure_ascii=False))


@app.command()
@click.option("--dsn", envvar="GATECTL_CENTRAL_DSN")
@click.option("--embedded", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0: a free one.")
@click.option("--tls-cert", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--tls-key", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 32))
@click.option(
    "--token-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The operator's token."
)
@click.option("--dev-token", help="The operator's token, on loopback alone.")
@click.option("--no-migrate", is_flag=True, help="Leave the schema as it is.")
@click.option("--ready-fd", type=click.IntRange(3), help="Write the ready line here, too, and close it.")
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the ready line here, too.")
@click.pass_obj
def serve(
    place: _Place,
    dsn: str | None,
    embedded: Path | None,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    workers: int,
    token_file: Path | None,
    dev_token: str | None,
    no_migrate: bool,
    ready_fd: int | None,
    ready_file: Path | None,
) -> None:
    """Run the office: the sites' endpoints, the reading endpoints, the page.

    One JSON line on standard output names the address once it accepts.
    """
    from central.serving import Serving, is_loopback  # noqa: PLC0415  # the other commands need no server
    from central.serving import serve as run  # noqa: PLC0415  # as above

    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    loopback = is_loopback(host)
    if not loopback and tls_cert is None:
        raise click.UsageError(
            f"{host} is not loopback, credentials would travel in the clear: give --tls-cert and --tls-key"
        )
    token = _operator_token(host, loopback, token_file, dev_token)

    def announce(line: str) -> None:
        click.echo(line)
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.part")
            part.write_text(line + "\n")
            part.rename(ready_file)
        if ready_fd is not None:
            os.write(ready_fd, line.encode() + b"\n")
            os.close(ready_fd)

    place.use(dsn, embedded)
    # The web server ends by raising the signal again that ended it: not to die of it is what stops the database, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _explained(), place.database() as found:
        engine = make_engine(found, patient=True)
        try:
            check_server(engine)
            if not no_migrate:
                migrate(engine)
        finally:
            engine.dispose()
        run(Serving(found, host, port, workers, tls_cert, tls_key, token, loopback and token_file is None), announce)


def _operator_token(host: str, loopback: bool, token_file: Path | None, dev_token: str | None) -> str | None:
    if not loopback and token_file is None:
        raise click.UsageError(f"{host} is not loopback: give --token-file for those who read; --dev-token will not do")
    if token_file is None:
        return dev_token
    if dev_token is not None:
        raise click.UsageError("either --dev-token or --token-file")
    token = token_file.read_text().strip()
    if not token:
        raise click.UsageError(f"{token_file} is empty")
    return token


@app.command("migrate")
@click.pass_obj
def migrate_(place: _Place) -> None:
    """Bring the database to this build's schema."""
    with _explained(), place.database() as dsn:
        engine = make_engine(dsn, patient=True)
        try:
            check_server(engine)
            _say({"schema": "gatectl-central.migrate/1", "revision": migrate(engine)})
        finally:
            engine.dispose()


@app.group()
def site() -> None:
    """Sites: add, enrol, show, take their credentials away."""


@site.command("add")
@click.argument("name_of_site", metavar="SITE")
@click.option("--name", default="", help="What people call it.")
@click.pass_obj
def site_add(place: _Place, name_of_site: str, name: str) -> None:
    """Add a site. It can enrol once it has a code."""
    with place.connection() as connection:
        sites.add(connection, name_of_site, name)


@site.command("list")
@click.pass_obj
def site_list(place: _Place) -> None:
    """All sites, one JSON line each."""
    with place.connection() as connection:
        after = ""
        while found := reading.overview(connection, after):
            for one in found:
                _say(_shown(one))
            after = found[-1].site


@site.command("show")
@click.argument("name_of_site", metavar="SITE")
@click.pass_obj
def site_show(place: _Place, name_of_site: str) -> None:
    """One site."""
    with place.connection() as connection:
        _say(_shown(reading.one(connection, name_of_site)))


@site.command("code")
@click.argument("name_of_site", metavar="SITE")
@click.option("--valid", callback=_seconds(sites.CODE_VALID_S_MAX), default="1h", show_default=True)
@click.pass_obj
def site_code(place: _Place, name_of_site: str, valid: int) -> None:
    """Print a one-time enrolment code; it is not shown again."""
    with place.connection() as connection:
        click.echo(sites.code(connection, name_of_site, timedelta(seconds=valid)))


@site.command("revoke")
@click.argument("name_of_site", metavar="SITE")
@click.pass_obj
def site_revoke(place: _Place, name_of_site: str) -> None:
    """End the site's credential now: a stolen machine. The site goes on working and must enrol again to send."""
    with place.connection() as connection:
        sites.find(connection, name_of_site)
        click.echo(f"{sites.revoke(connection, name_of_site)} credential(s) revoked")


@site.command("rotate")
@click.argument("name_of_site", metavar="SITE")
@click.option("--valid", callback=_seconds(sites.CODE_VALID_S_MAX), default="1d", show_default=True)
@click.pass_obj
def site_rotate(place: _Place, name_of_site: str, valid: int) -> None:
    """Have the credential replaced without an outage.

    The site is told at its next hello that a new one is wanted, and goes on with the old one meanwhile. Enrol it with the
    code printed here: that makes the new credential and ends the old one.
    """
    with place.connection() as connection:
        sites.rotate(connection, name_of_site)
        click.echo(sites.code(connection, name_of_site, timedelta(seconds=valid)))


@site.command("settle")
@click.argument("name_of_site", metavar="SITE")
@click.argument("code")
@click.pass_obj
def site_settle(place: _Place, name_of_site: str, code: str) -> None:
    """Close an alarm of the office's own (fork, fenced, conflict ...) after it was looked into."""
    with place.connection() as connection:
        sites.find(connection, name_of_site)
        if not alarms.settle_sync(connection, name_of_site, code):
            raise click.ClickException(f"no open alarm {code!r} of the office at {name_of_site}")


@app.command()
@click.argument("name_of_site", metavar="SITE")
@click.pass_obj
def prove(place: _Place, name_of_site: str) -> None:
    """Recompute the site's chains from the stored bytes and print where they end; exit 1 if one does not hold.

    Site, generation, seq, head, totals and digest are those of `gatectl sync prove` at a site with nothing left to send.
    """
    with place.connection() as connection:
        seen = reading.one(connection, name_of_site)
        broken = chains.verify(connection, name_of_site)
        totals = asdict(reading.totals(connection, name_of_site))
        where = {"site": seen.site, "generation": seen.generation, "seq": seen.seq, "head": seen.head.hex()}
    _say({"schema": PROVE_SCHEMA, **where, **totals})
    if seen.parked:
        click.echo(f"note: {seen.parked} record(s) are parked and not in the totals", err=True)
    if broken is not None:
        raise click.ClickException(f"generation {broken.generation}, record {broken.seq}: {broken.why}")


@app.group()
def row() -> None:
    """Reference data for the sites: passes, contracts, reservations, quotas and what else they take in."""


_KIND: Final = click.Choice(sorted(FEEDS))


@row.command("put")
@click.argument("name_of_site", metavar="SITE")
@click.argument("kind", type=_KIND)
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def row_put(place: _Place, name_of_site: str, kind: str, key: str, file: Path) -> None:
    """Send a row to a site: FILE is a JSON object as docs/business tells it. The site judges it, and says so if it refuses."""
    if file.stat().st_size > TARIFF_BYTES_MAX:
        raise click.ClickException(f"{file}: more than {TARIFF_BYTES_MAX} bytes")
    try:
        body = plain(file.read_bytes())
    except Malformed as error:
        raise click.ClickException(f"{file}: {error}") from error
    with place.connection() as connection:
        seq = feed.put(connection, name_of_site, kind, key, body)
    _say({"schema": "gatectl-central.row/1", "site": name_of_site, "kind": kind, "key": key, "feed_seq": seq})


@row.command("remove")
@click.argument("name_of_site", metavar="SITE")
@click.argument("kind", type=_KIND)
@click.argument("key")
@click.pass_obj
def row_remove(place: _Place, name_of_site: str, kind: str, key: str) -> None:
    """Take a row away from a site: a pass is withdrawn, a reservation cancelled that nobody has used."""
    with place.connection() as connection:
        seq = feed.put(connection, name_of_site, kind, key, None)
    _say({"schema": "gatectl-central.row/1", "site": name_of_site, "kind": kind, "key": key, "feed_seq": seq})


@app.group()
def tariff() -> None:
    """Tariffs for the sites."""


@tariff.command("put")
@click.argument("name_of_site", metavar="SITE")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--from", "from_", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="In force from, UTC; else as the file says."
)
@click.pass_obj
def tariff_put(place: _Place, name_of_site: str, file: Path, from_: datetime | None) -> None:
    """Send a tariff to a site: a JSON object as in docs/tariffs.md, times in milliseconds. A known `id` keeps its prices."""
    if file.stat().st_size > TARIFF_BYTES_MAX:
        raise click.ClickException(f"{file}: more than {TARIFF_BYTES_MAX} bytes")
    try:
        body = plain(file.read_bytes())
    except Malformed as error:
        raise click.ClickException(f"{file}: {error}") from error
    if from_ is not None:
        body["effective_from_ms"] = int(from_.replace(tzinfo=UTC).timestamp()) * 1000
    elif "effective_from_ms" not in body:
        raise click.ClickException(f"{file}: `effective_from_ms` is missing; write it there or give --from")
    try:
        key = from_body(json.dumps(body)).tariff
    except TariffRefused as refused:
        told = [f"{fault.key}: {fault.what} ({fault.hint})" for fault in refused.faults]
        raise click.ClickException("\n".join([f"{file}: a site would refuse it", *told])) from refused
    with place.connection() as connection:
        seq = feed.put(connection, name_of_site, "tariff", key, body)
    _say({"schema": "gatectl-central.tariff/1", "site": name_of_site, "tariff": key, "feed_seq": seq})


@app.command()
@click.argument("name_of_site", metavar="SITE")
@click.argument("noun", type=click.Choice(["lane"]))
@click.argument("verb", type=click.Choice(["open"]))
@click.argument("lane")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--by", required=True, help="Who; it is recorded.")
@click.option("--valid", callback=_seconds(feed.COMMAND_VALID_S_MAX), default="30s", show_default=True)
@click.pass_obj
def command(
    place: _Place, name_of_site: str, noun: str, verb: str, lane: str, reason: str, by: str, valid: int
) -> None:
    """Ask a site for something now. It is done within --valid or not at all."""
    if not reason.strip() or not by.strip():
        raise click.UsageError("--reason and --by must not be empty")
    with place.connection() as connection:
        order = {"lane": lane}
        made = feed.request_command(connection, name_of_site, f"{noun}.{verb}", order, by, reason, valid)
    _say({"schema": "gatectl-central.command/1", "site": name_of_site, "command": made, "state": "requested"})


@app.command()
@click.argument("name_of_site", metavar="SITE")
@click.pass_obj
def rebuild(place: _Place, name_of_site: str) -> None:
    """Make the site's tickets, payments, counts and alarms again from its journal. Uploads of the site wait meanwhile."""
    with place.connection() as connection:
        sites.hold(connection, name_of_site)
        read = rebuild_site(connection, name_of_site)
        waiting = reading.one(connection, name_of_site).parked
    _say({"schema": "gatectl-central.rebuild/1", "site": name_of_site, "records": read, "parked": waiting})


def _shown(one: reading.Overview) -> dict[str, Any]:
    contact = None if one.contact_at is None else one.contact_at.isoformat(timespec="seconds")
    return {"schema": "gatectl-central.site/1", **asdict(one), "head": one.head.hex(), "contact_at": contact}
