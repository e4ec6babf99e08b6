"""The composition root: the only file that knows every concrete class. Builds a site's daemon, runs it, takes it down.

Order of a start: lock the state directory, open and check the store, load the books, decide SiteStarted (with the dark interval
and what is in doubt) before anything else can be decided, open the ports, then let the writer and the core run. Nothing moves
because of a start; what its first batch asks of a device (a payment in doubt) finds the ports open.
"""

import contextlib
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy import Connection

from config.settings import Settings
from config.site import Site as SiteFile
from drivers.api import Bus, Signal
from gatectl import __version__
from gatectl.domain.effects import Reply
from gatectl.domain.events import StopAsked
from gatectl.domain.ids import Boot, LaneId
from gatectl.domain.site import Site
from gatectl.runtime.buses import build_buses, devices_of
from gatectl.runtime.capture import FOLDER, Capture
from gatectl.runtime.clock import Origin, SystemClock
from gatectl.runtime.control import ControlServer
from gatectl.runtime.core import Core, CoreStopped
from gatectl.runtime.effects import Effects
from gatectl.runtime.fiscal import Signing, load_unit
from gatectl.runtime.keys import KEYS_FILE, load_keyring
from gatectl.runtime.link import Link, News, build_link
from gatectl.runtime.logs import configure_logs
from gatectl.runtime.notify import notify
from gatectl.runtime.plan import announcers, charger_points, lane_wires, site_plan
from gatectl.runtime.requests import Requests
from gatectl.runtime.signs import Signs
from gatectl.runtime.site_check import load_checked
from gatectl.runtime.site_desk import SiteDesk
from gatectl.runtime.supervisor import Supervisor
from gatectl.runtime.watchers import Watchers
from gatectl.runtime.wiring import Wiring
from gatectl.store.ballast import keep_room
from gatectl.store.database import StateLock, StoreRefused, begin_run, mark, open_database, set_mark, transaction
from gatectl.store.journal import Tip, last_recorded
from gatectl.store.starting import begin
from gatectl.store.syncing import SyncJournal
from gatectl.store.writer import Commit, Writer
from sync.credential import CredentialRefused, read_credential
from sync.records import Vitals

log = structlog.get_logger()

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EXIT_FAILED = 70
"""sysexits.h EX_SOFTWARE: the process could not keep its promises; systemd starts it again."""


def new_boot() -> Boot:
    """This run's identity; its tag keeps a restored counter from printing a number twice."""
    return Boot(secrets.token_hex(8), "".join(secrets.choice(_BASE32) for _ in range(4)))


class App:
    """One site's daemon, built and not yet started."""

    def __init__(self, settings: Settings, file: SiteFile, connection: Connection, disk_low: str = "") -> None:
        self.settings = settings
        self.file = file
        self.boot = new_boot()
        self._connection = connection
        last_ms, self._clean = last_recorded(connection), mark(connection, "clean") != "0"
        self._dark_from_ms = last_ms
        origin = Origin(settings.speed_shows_ms, settings.speed_since_ms) if settings.speed > 1 else None
        self.clock = SystemClock(settings.speed, origin, last_ms)
        keyring = load_keyring(settings.credential(KEYS_FILE))
        self.plan = site_plan(file, keyring, __version__)
        found = begin(connection, settings.database, self.plan)
        self.site = Site(self.plan, found.books, self.boot)
        self.supervisor = Supervisor({})
        self.requests = Requests()
        wires = tuple(lane_wires(lane) for lane in file.lanes)
        points = charger_points(file)
        wiring = Wiring(wires, {station.device: station.id for station in file.stations}, points)
        self.writer = Writer(connection, self.plan.site, self.boot, self._committed, self.supervisor.fatal)
        self._capture = Capture(settings.state_dir / FOLDER)
        self.core = Core(
            self.site, self.clock, wiring.translate, self.writer.submit, self.supervisor.fatal, self._capture
        )
        self.buses: dict[str, Bus] = build_buses(file)
        carriers = devices_of(file, self.buses)
        self._signs = Signs(announcers(file), carriers, self.clock.monotonic_ms)
        law = self.plan.money.fiscal
        self.signing = Signing(None if law is None else load_unit(law, settings.credential), self.core.post)
        self._effects = Effects(
            site_name=self.plan.name,
            zone=self.plan.zone,
            clock=self.clock,
            wires={LaneId(lane.lane): lane for lane in wires},
            buses=carriers,
            answer=self.core.post,
            replied=self._replied,
            signs=self._signs,
            sign=self.signing.ask,
            way_is_clear=self.core.way_is_clear,
            chargers=points,
        )
        self._told_failed: set[str] = set()
        self.reader = SyncJournal(settings.database, self.plan.site)
        self.link = self._build_link()
        self.signals, self.commits = Watchers(), Watchers()
        self.desk = SiteDesk(
            database=settings.database,
            core=self.core,
            clock=self.clock,
            wiring=wiring,
            buses=self._effects.buses,
            requests=self.requests,
            signals=self.signals,
            commits=self.commits,
            office=file.office.url if file.office else None,
            link=lambda: self.link,
            started_ms=self.clock.monotonic_ms(),
            damaged=found.damaged,
            disk_low=disk_low,
        )
        self.control = ControlServer(settings.socket, self.desk)

    def start(self) -> None:
        """Everything in its order."""
        begin_run(self._connection, self.boot.boot_id)
        self.core.begin(self._dark_from_ms, self._clean)
        for bus in self.buses.values():
            bus.start(self._heard)
        self.writer.start()
        self._capture.start()
        self.signing.start()
        self.core.start()
        if self.link:
            self.link.start()
            self._news().again(self.reader.feed_rows)
        self.control.start()
        self.supervisor.turns = {
            "core": lambda: self.core.turns,
            "writer": lambda: self.writer.turns,
            **{name: (lambda bus=bus: bus.turns) for name, bus in self.buses.items()},  # type: ignore[misc]  # a default binds the loop's value
        }
        notify("READY=1")
        log.info("ready", site=self.plan.site, lanes=len(self.plan.lanes), boot=self.boot.boot_id)

    def stop(self) -> None:
        """Take it down in reverse; what was decided is written."""
        notify("STOPPING=1")
        self.control.close()
        if self.link:
            self.link.stop()
        if not self.supervisor.failed:
            self.core.post(StopAsked(self.supervisor.reason))
        done = self.core.stop()
        self._capture.stop()
        self.signing.stop()
        done = self.writer.stop() and done
        for bus in self.buses.values():
            bus.close()
        if done and not self.supervisor.failed:
            with transaction(self._connection):
                set_mark(self._connection, "clean", "1")
        self.reader.close()
        log.info("stopped", why=self.supervisor.reason)

    def look(self) -> None:
        """Now and then, from the supervisor: is the office there, has a port's thread met a bug?"""
        for name, bus in self.buses.items():
            if bus.failed and name not in self._told_failed:
                self._told_failed.add(name)
                log.error("port stopped by a bug, the watchdog will restart us", port=name, trace=bus.failed)
        if self.link:
            self.link.watch(self.core.post)

    def _news(self) -> News:
        return News(self.core.post, self.clock, self._caught_up)

    def _caught_up(self) -> None:
        with contextlib.suppress(CoreStopped):
            self.core.ask(lambda site: site.boot)

    def _build_link(self) -> Link | None:
        office = self.file.office
        if office is None:
            return None
        try:
            credential = read_credential(self.settings.credential(office.credential))
        except CredentialRefused as refused:
            log.warning("not enrolled at the office", why=str(refused), action="gatectl sync enrol")
            return None
        ca_file = Path(office.ca) if office.ca else None
        return build_link(
            credential,
            ca_file,
            self.writer,
            self.reader,
            self._news(),
            self._vitals,
            lambda error: self.supervisor.fatal(f"sync failed: {error!r}"),
            self.boot.boot_id,
        )

    def _vitals(self) -> Vitals:
        return self.desk.vitals()

    def _committed(self, commits: tuple[Commit, ...], tip: Tip) -> None:
        """On the writer's thread: what these batches allowed may now be done."""
        for commit in commits:
            for effect in commit.effects:
                self._effects.perform(effect)
        if any(commit.facts for commit in commits):
            self.commits.tell(tip.position)
            if self.link:
                self.link.uploader.notify(tip.seq)

    def _replied(self, reply: Reply) -> None:
        self.requests.answer(reply)

    def _heard(self, signal: Signal) -> None:
        """On a port's thread."""
        self.core.post(signal)
        self._signs.heard(signal)
        self.signals.tell(signal)


@contextlib.contextmanager
def opened_store(settings: Settings) -> Iterator[tuple[Connection, str]]:
    """The state directory, locked, and its database, checked; and what is to be said of the disk. Raises StoreRefused."""
    try:
        settings.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreRefused(f"{settings.state_dir}: {error.strerror}") from error
    lock = StateLock(settings.state_dir)
    try:
        disk_low = keep_room(settings.state_dir)
        connection = open_database(settings.database)
        try:
            yield connection, disk_low
        finally:
            connection.close()
    finally:
        lock.release()


def run(settings: Settings) -> int:
    """Run the daemon until it is told to stop; returns the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    file = load_checked(settings.config)
    with opened_store(settings) as (connection, disk_low):
        app = App(settings, file, connection, disk_low)
        for number in (signal.SIGTERM, signal.SIGINT):
            if threading.current_thread() is threading.main_thread():
                signal.signal(number, lambda signum, _: app.supervisor.stop(signal.Signals(signum).name))
        try:
            app.start()
            app.supervisor.run(app.look)
        except BaseException as error:
            app.supervisor.fatal(f"{type(error).__name__}: {error}")
            raise
        finally:
            app.stop()
        return EXIT_FAILED if app.supervisor.failed else 0
