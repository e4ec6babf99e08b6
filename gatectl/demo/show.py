"""The demo on a terminal: the site live while it runs, one plain line now and then without a terminal."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gatectl.cli.errors import CommandFailed
from gatectl.domain.money import shown

if TYPE_CHECKING:
    from gatectl.demo.main import Demo

FRAME_S: Final = 0.5
PLAIN_S: Final = 5.0


class Show:
    """`frame` may be called often; it draws when it is time to."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._live = sys.stderr.isatty() and not as_json
        self._next_s = 0.0
        self._screen: Any = None

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def begin(self, demo: "Demo") -> None:
        self.say(f"office page: {demo.office.url}/  (operator token: demo)")
        self.say(
            f"the morning of 26 November 2016 in Birmingham, {demo.squeezed:.0f} times squeezed, at speed {demo.speed}"
        )
        if self._live:
            self._screen = Live(auto_refresh=False, transient=True)
            self._screen.start()

    def frame(self, demo: "Demo") -> dict[str, Any] | None:
        """Draw, if it is time to; returns the status that was drawn."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return None
        self._next_s = now_s + (FRAME_S if self._live else PLAIN_S)
        try:
            status = demo.site.client.get("status")
        except (CommandFailed, OSError):
            status = None
        if self._screen is not None:
            self._screen.update(_table(demo, status), refresh=True)
        else:
            self.say(_line(demo, status))
        return status

    def end(self) -> None:
        if self._screen is not None:
            self._screen.stop()
            self._screen = None

    def result(self, found: dict[str, Any]) -> None:
        if not self._json:
            self.say(_verdict(found))
        print(json.dumps(found, separators=(",", ":")), flush=True)


def _states(demo: "Demo") -> dict[str, int]:
    counted: dict[str, int] = {}
    for car in demo.street.vehicles:
        counted[car.state] = counted.get(car.state, 0) + 1
    return counted


def _line(demo: "Demo", status: dict[str, Any] | None) -> str:
    cars = _states(demo)
    inside, gone, coming = cars.get("inside", 0), cars.get("gone", 0), cars.get("coming", 0) + cars.get("queueing", 0)
    if status is None:
        return f"{coming} coming, {inside} inside, {gone} gone; the daemon does not answer"
    lanes = " ".join(f"{row['lane']}:{row['phase']}" for row in status["lanes"])
    return f"{coming} coming, {inside} inside, {gone} gone | {lanes} | backlog {status['sync']['backlog']}"


def _table(demo: "Demo", status: dict[str, Any] | None) -> Any:
    lanes = Table("lane", "phase", "arm", "arming", "closing", "queue", "last", expand=True)
    for row in status["lanes"] if status else []:
        truth = demo.lanes[row["lane"]]
        last = row["last"]["text"] if row["last"] else ""
        style = "red" if row["faults"] else None
        queued = str(len(truth.queue))
        lanes.add_row(row["lane"], row["phase"], row["arm"], row["arming"], row["closing"], queued, last, style=style)
    cars = _states(demo)
    counted = "  ".join(f"{name} {number}" for name, number in sorted(cars.items()))
    if status is None:
        return Group(Text(f"gatectl demo   {counted}"), Text("the daemon does not answer", style="red"))
    free = "  ".join(f"{area['area']}: {area['free']}/{area['total']} free" for area in status["areas"])
    sync = status["sync"]
    link = Text(
        f"office {sync['state']}, {sync['backlog']} records waiting",
        style="yellow" if sync["backlog"] > 50 else "green",
    )
    head = Text(f"gatectl demo   {counted}   {free}   kills {demo.site.kills}")
    return Group(head, lanes, link, Text(status["verdict"]), Text(f"office page {demo.office.url}/"))


def _verdict(found: dict[str, Any]) -> str:
    money = shown(found["paid_minor_site"], "GBP")
    same = "agree" if found["ok"] else "DO NOT AGREE"
    return (
        f"site and office {same}: {found['tickets_site']} tickets, {found['payments_site']} payments, {money}; "
        f"{found['entered']} entered, {found['exited']} exited, {found['voided']} void; "
        f"head {found['head_site'][:12]} at record {found['seq_site']}"
    )
