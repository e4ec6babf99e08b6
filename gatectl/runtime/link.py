"""The site's half of the sync, wired to the store and the core."""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatectl import __version__
from gatectl.domain.business.registry import FEEDS
from gatectl.domain.events import (
    Event,
    HistoryStands,
    OfficeCommanded,
    OfficeWent,
    Received,
    ReceivedWhole,
    TariffReceived,
)
from gatectl.domain.ids import LaneId
from gatectl.domain.lane import Hand
from gatectl.runtime.clock import SystemClock
from gatectl.store.syncing import SyncJournal, SyncWrites
from gatectl.store.writer import Writer
from sync.credential import Credential
from sync.pull import PullerMachine
from sync.puller import Puller
from sync.records import Command, FeedRow, Vitals
from sync.status import LinkState, LinkStatus, link_status
from sync.transport import Transport
from sync.upload import Identity, UploaderMachine
from sync.uploader import Uploader
from sync.vitals import VitalsSender

OFFICE_LOST_MS: Final = 30_000
"""Without word for so long, the office counts as lost (and the journal says so)."""
STOP_S_MAX: Final = 5.0
FEED_BURST_MAX: Final = 500
"""Rows of the feed handed to the core before it is waited for: lanes are served between them, and its inbox never fills."""


class RealTime:
    """Satisfies sync.ports.Clock: the wire's time, never sped up."""

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)


class News:
    """Satisfies sync.ports.FeedSink: what the office sends, as events for the core."""

    def __init__(self, post: Callable[[Event], None], clock: SystemClock, caught_up: Callable[[], None]) -> None:
        """`caught_up` waits until the core has heard all that was posted before."""
        self._post = post
        self._clock = clock
        self._caught_up = caught_up
        self._burst = 0

    def applied(self, rows: Sequence[FeedRow], *, whole: bool) -> None:
        """A tariff once known stays known. Of a kind that this version does not know, only the feed's table keeps the rows."""
        for row in rows:
            if row.kind == "tariff":
                if row.body is not None:
                    self.tariff(row.key, row.body)
            elif row.kind in FEEDS:
                self._row(row.kind, row.key, row.body)
        if whole:
            for kind in FEEDS:
                there = tuple(row.key for row in rows if row.kind == kind and row.body is not None)
                self._post(ReceivedWhole(kind, there, "office"))

    def again(self, feed_rows: Callable[[str], Sequence[tuple[str, Mapping[str, Any]]]]) -> None:
        """What the feed's table holds, at a start: the core may have died before it took a row in."""
        for key, body in feed_rows("tariff"):
            self.tariff(key, body)
        for kind in FEEDS:
            rows = feed_rows(kind)
            for key, body in rows:
                self._row(kind, key, body)
            self._post(ReceivedWhole(kind, tuple(key for key, _ in rows), "office"))

    def tariff(self, key: str, body: Mapping[str, Any]) -> None:
        """Hand a tariff to the core, which judges it."""
        self._post(TariffReceived(key, _canonical(body), "office"))

    def _row(self, kind: str, key: str, body: Mapping[str, Any] | None) -> None:
        self._post(Received(kind, key, None if body is None else _canonical(body), "office"))
        self._burst += 1
        if self._burst >= FEED_BURST_MAX:
            self._burst = 0
            self._caught_up()

    def command(self, command: Command, expires_at_ms: int) -> None:
        verb = command.verb.removeprefix("lane.")
        left_ms = expires_at_ms - self._clock.monotonic_ms()
        deadline = self._clock.now().mono_ms + left_ms
        known = verb in {hand.value for hand in Hand}
        self._post(
            OfficeCommanded(
                command=command.id,
                lane=LaneId(command.args.get("lane", "")) if known else LaneId(""),
                hand=Hand(verb) if known else Hand.CLOSE,
                who=f"office:{command.by}",
                why=command.reason,
                deadline_mono_ms=deadline,
            )
        )


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(slots=True)
class Link:
    """The uploader and the puller of one site, or nothing at all when the site has no office."""

    uploader: Uploader
    puller: Puller
    reader: SyncJournal
    _up: bool | None = None
    _since_ms: int = 0
    _stands: HistoryStands | None = None

    def start(self) -> None:
        self.uploader.start()
        self.puller.start()

    def stop(self) -> None:
        """Break off what is under way; twice is once."""
        self.uploader.stop(STOP_S_MAX)
        self.puller.stop(STOP_S_MAX)

    def status(self) -> LinkStatus:
        return link_status(self.uploader.status, self.puller.status, RealTime().monotonic_ms())

    def watch(self, post: Callable[[Event], None]) -> None:
        """Tell the core when the office has been gone for OFFICE_LOST_MS, and when it is back. Called now and then."""
        status = self.status()
        now_ms = RealTime().monotonic_ms()
        up = status.state is LinkState.ONLINE
        if up:
            self._since_ms = now_ms
        stands = HistoryStands(status.generation, status.begun_for, status.history_gone)
        if stands != self._stands:
            self._stands = stands
            post(stands)
        gone = not up and now_ms - self._since_ms >= OFFICE_LOST_MS
        if up and self._up is not True:
            self._up = True
            post(OfficeWent(True, ""))
        elif gone and self._up is not False:
            self._up = False
            post(OfficeWent(False, status.last_error or status.reason or "no answer"))


def build_link(
    credential: Credential,
    ca_file: Path | None,
    store_writer: Writer,
    reader: SyncJournal,
    news: News,
    vitals: Callable[[], Vitals],
    crashed: Callable[[Exception], None],
    boot_id: str,
) -> Link:
    """Connect the sync to this site's store and core. Raises what sync.transport.Transport raises."""
    clock = RealTime()
    writes = SyncWrites(store_writer, reader, credential.site)
    software = f"gatectl/{__version__}"

    def transport() -> Transport:
        return Transport(credential.office, credential=credential.credential, ca_file=ca_file, software=software)

    identity = Identity(credential.site, credential.installation, credential.generation, boot_id, software)
    polling = transport()
    pulling = PullerMachine(credential.site, reader.feed_cursor(), random.Random())  # noqa: S311  # spreads retries
    puller = Puller(pulling, polling, writes, news, clock, on_crash=crashed, vitals=VitalsSender(polling, vitals))
    machine = UploaderMachine(identity, reader, random.Random(), wall_ms=lambda: time.time_ns() // 1_000_000)  # noqa: S311  # spreads retries
    uploader = Uploader(machine, transport(), writes, clock, on_crash=crashed, on_office_restored=puller.resnapshot)
    return Link(uploader, puller, reader, None, clock.monotonic_ms())
