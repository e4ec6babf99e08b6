"""`gatectl demo`: a real morning on simulated hardware, with a real office, broker and daemon. Ends when both ends agree."""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gatectl.cli.errors import CommandFailed
from gatectl.demo.hardware import SENSE_MS, Plant
from gatectl.demo.morning import morning
from gatectl.demo.people import People
from gatectl.demo.show import Show
from gatectl.demo.stage import SITE, Office, SiteDaemon, StageFailed
from gatectl.demo.traffic import Traffic
from gatectl.store.reading import Mirror
from gatectl.world.kernel import Kernel
from gatectl.world.lanes import LaneTruth
from gatectl.world.street import Pace, Street

SPOTS_A_LEVEL: Final = 120
LOOK_S: Final = 0.25
DRAIN_S_MAX: Final = 60.0
RUN_S_MAX: Final = 3_600.0
BOOM_STUCK: Final = (0.30, 0.38)
"""The part of the run during which IN-2's boom does not move."""
AWAY_FROM: Final = 0.45
"""The office goes away at this part of the run."""
ARM_TRAVEL_MS: Final = 2_500
_LANES: Final = (("IN-1", "entry"), ("IN-2", "entry"), ("IN-3", "entry"), ("OUT-1", "exit"), ("OUT-2", "exit"))


@dataclass(slots=True)
class Script:
    """What happens when, as parts (0..1) of the vehicles done; each thing once."""

    kills: list[float]
    away: tuple[float, float]
    done: set[str] = field(default_factory=set)

    def due(self, name: str, at: float, part: float) -> bool:
        if part < at or name in self.done:
            return False
        self.done.add(name)
        return True


class Demo:
    """One run. Everything that was started is stopped by `close`, in reverse order."""

    def __init__(self, folder: Path, vehicles: int, seed: int, speed: int, script: Script) -> None:
        rng = random.Random(seed)  # noqa: S311  # a demo must be repeatable
        self.folder, self.speed, self.script = folder, speed, script
        self.stack = ExitStack()
        self.kernel = Kernel()
        self.traffic = Traffic(self.kernel, speed)
        self.plant = Plant(folder / "plant", self._pulsed, self._presented)
        self.stack.callback(self.plant.close)
        self.lanes = {
            lane: LaneTruth(self.kernel, lane, kind, self.plant, has_reset=lane == "OUT-2", travel_ms=ARM_TRAVEL_MS)
            for lane, kind in _LANES
        }
        for truth in self.lanes.values():
            truth.begin()
        cars, self.squeezed = morning(vehicles, rng)
        self.office = Office(folder / "office")
        shows = int(datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0).timestamp() * 1000)
        self.site = SiteDaemon(folder, speed, int(time.time() * 1000), shows)
        self.people = People(self.site.client)
        self.street = Street(
            self.kernel,
            [self.lanes[lane] for lane, kind in _LANES if kind == "entry"],
            [self.lanes[lane] for lane, kind in _LANES if kind == "exit"],
            cars,
            Pace(SENSE_MS * speed),
            rng,
            cashier=self._cashier,
            help=lambda lane, why: self.people.open_by_hand(lane.lane, f"driver calls: {why}"),
        )

    # -- from the devices' threads ---------------------------------------------------------------------------------

    def _pulsed(self, lane: str, verb: str) -> None:
        self.traffic.tell(lambda: self.lanes[lane].pulsed(verb))

    def _presented(self, lane: str, holds: bool) -> None:
        self.traffic.tell(lambda: self.lanes[lane].mouth_changed(holds))

    def _cashier(self, code: str) -> None:
        number = self.plant.numbers.get(code)
        if number:
            self.people.pay_cash(number)

    # -- the run -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.office.start()
        self.stack.callback(self.office.stop)
        self.office.command("site", "add", SITE, "--name", "Demo Garage")
        code = self.office.command("site", "code", SITE)
        self.site.configure(self.plant.site_file(self.office.url_for_site, SPOTS_A_LEVEL))
        self.site.gatectl("sync", "enrol", "--office", self.office.url_for_site, "--code", code)
        self.site.start()
        self.stack.callback(self.site.stop)
        self.site.wait_ready()
        self.people.start()
        self.stack.callback(self.people.stop)
        self.traffic.start(self.street)
        self.stack.callback(self.traffic.stop)

    def run(self, show: Show) -> None:
        """Until the last vehicle is gone."""
        deadline_s = time.monotonic() + RUN_S_MAX
        while not self.street.done:
            if self.traffic.failed:
                raise StageFailed(f"the street failed: {self.traffic.failed}")
            if self.site.died() is not None:
                raise StageFailed(f"the daemon ended with {self.site.died()}; see {self.folder / 'daemon.log'}")
            if time.monotonic() > deadline_s:
                raise StageFailed(f"vehicles are still on their way after {RUN_S_MAX:.0f} s")
            self._happen(self._part())
            self._round(show.frame(self))
            time.sleep(LOOK_S)
        self.office.wire.mend()

    def _part(self) -> float:
        ends = ("gone", "turned-away")
        score = sum(
            2 if car.state in ends else 1 for car in self.street.vehicles if car.state not in ("coming", "queueing")
        )
        return score / (2 * len(self.street.vehicles))

    def _happen(self, part: float) -> None:
        stuck = BOOM_STUCK[0] <= part < BOOM_STUCK[1]
        if self.lanes["IN-2"].arm.stuck != stuck:
            self.traffic.tell(lambda: setattr(self.lanes["IN-2"].arm, "stuck", stuck))
        for number, at in enumerate(self.script.kills):
            if self.script.due(f"kill-{number}", at, part):
                self.site.kill()
        if self.script.due("away", self.script.away[0], part):
            self.office.wire.cut()
        if self.script.due("back", self.script.away[1], part):
            self.office.wire.mend()

    def _round(self, status: dict[str, Any] | None) -> None:
        """The technician looks at the status now and then, and mends what can be mended."""
        for row in status["lanes"] if status else ():
            truth = self.lanes[row["lane"]]
            if row["faults"] and row["phase"] in ("held-open", "out-of-service") and not truth.arm.stuck:
                self.people.mend(row["lane"])

    def reconcile(self, show: Show) -> dict[str, Any]:
        """Compare both ends until the office has everything; a device may still have something to say in between."""
        deadline_s = time.monotonic() + DRAIN_S_MAX
        while True:
            with Mirror(self.site.database) as mirror:
                waiting = mirror.backlog()["backlog"]
            late = time.monotonic() > deadline_s
            if waiting and not late:
                show.frame(self)
                time.sleep(LOOK_S)
                continue
            found = self.result()
            if found["ok"] or late:
                return found
            time.sleep(LOOK_S)

    def close(self) -> None:
        self.stack.close()

    # -- the result --------------------------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """Read back from SQLite and from PostgreSQL."""
        site = json.loads(self.site.gatectl("sync", "prove", "--json"))
        office = json.loads(self.office.command("prove", SITE))
        with Mirror(self.site.database) as mirror:
            counts = mirror.counts().get("main", {"entered": 0, "exited": 0})
            voided = mirror.number_of("void")
        found: dict[str, Any] = {"schema": "gatectl.demo/1", "ok": False}
        found |= {"entered": counts["entered"], "exited": counts["exited"], "voided": voided}
        for name in ("tickets", "payments", "paid_minor", "digest", "generation", "seq", "head"):
            found[f"{name}_site"], found[f"{name}_office"] = site[name], office[name]
        agree = all(
            site[name] == office[name] for name in ("tickets", "payments", "paid_minor", "digest", "seq", "head")
        )
        gone = sum(car.state == "gone" for car in self.street.vehicles)
        found |= {"vehicles": len(self.street.vehicles), "vehicles_gone": gone, "kills": self.site.kills}
        found |= {"helped_by_hand": self.people.helped, "street": self.street.counts}
        found["ok"] = agree and site.get("ok", True) and gone > 0
        return found


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        if (directory / "office").exists():
            raise CommandFailed("E-DEMO-01", f"{directory} holds an earlier run", action="name a folder of its own")
        directory.mkdir(parents=True, exist_ok=True)
        yield directory.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="gatectl-demo-"))
    try:
        yield made
    except BaseException:
        sys.stderr.write(f"what happened is in {made}\n")
        raise
    shutil.rmtree(made, ignore_errors=True)


def main(
    *, vehicles: int, seed: int, speed: int, kill: int, office_away: float, directory: Path | None, as_json: bool
) -> int:
    """Run the demo; 0 only if the site and the office agree on every ticket and payment. Raises CommandFailed."""
    script = Script(
        kills=[(number + 1) / (kill + 1) for number in range(kill)],
        away=(max(0.02, AWAY_FROM - office_away / 2), AWAY_FROM + office_away / 2) if office_away else (2.0, 2.0),
    )
    _stop_on_signal()
    with _folder(directory) as folder:
        demo = Demo(folder, vehicles, seed, speed, script)
        show = Show(as_json=as_json)
        try:
            show.say(f"starting an office, a broker and {len(_LANES)} lanes in {folder}")
            demo.start()
            show.begin(demo)
            demo.run(show)
            found = demo.reconcile(show)
        except StageFailed as failed:
            raise CommandFailed("E-DEMO-01", str(failed)) from None
        finally:
            show.end()
            demo.close()
    show.result(found)
    return 0 if found["ok"] else 1


def _stop_on_signal() -> None:
    def stop(signum: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(signum).name)

    signal.signal(signal.SIGTERM, stop)
