"""`gatectl simulate --site FILE`: real files with every fault, what is refused, what is shown."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rehearsal_sites import Shape, site_file

from gatectl.cli import rehearse_view as view
from gatectl.cli.main import app
from gatectl.cli.screen import fit, width_of
from gatectl.domain.codes import code_of
from gatectl.runtime.site_check import load_checked
from gatectl.world.named import CHOICES, described, fitting, names
from gatectl.world.rehearsal import Rehearsal

EXAMPLES = sorted(Path(str(files("config") / "examples")).glob("*.toml"))
ESCPOS = next(path for path in EXAMPLES if path.name == "modbus-escpos.toml")
DEADLINE_S = 60.0

SHAPES = {
    "two-areas-and-vans": site_file(
        {"main": 20, "yard": 5},
        Shape("A", "entry", "three-loop"),
        Shape("B", "exit", "three-loop", terminal=True),
        Shape("V", "entry", "no-limits", "yard", "VAN", closes=False, printer="epson-tm-t88"),
        Shape("W", "exit", "no-limits", "yard", "VAN", closes=False, extra=False),
    ),
    "entries-only": site_file({"main": 200}, Shape("A", "entry"), Shape("B", "entry", "three-loop")),
    "exits-only": site_file({"main": 20}, Shape("A", "exit"), Shape("B", "exit", "no-limits", closes=False)),
    "two-spots": site_file({"main": 1}, Shape("A", "entry"), Shape("B", "exit")),
}


def simulate(*words: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, words)])


def told(*words: object) -> dict[str, Any]:
    """The result of a rehearsal that succeeded."""
    result = simulate(*words, "--json")
    assert 0 == result.exit_code, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def rehearsal(path: Path, *faults: str, seed: int = 1) -> Rehearsal:
    return Rehearsal(load_checked(path), faults, seed, oddity=0.15, per_hour=0)


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "gatectl.toml"
    path.write_text(SHAPES[request.param])
    return path


# -- real files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_holds_under_every_fault(path: Path) -> None:
    """Whoever starts from an example has a site that serves again, whatever breaks."""
    result = told("--site", path, "--fault", "all")
    world = rehearsal(path)
    possible = [name for name in names() if fitting(name, list(world.devices.values()), world.has_office)]

    assert (True, "gatectl.simulate/1", world.plan.site) == (result["ok"], result["schema"], result["site"])
    assert sorted(possible) == sorted(met["name"] for met in result["met"])
    assert all(met["ended_ms"] is not None and met["served_ms"] is not None for met in result["met"])
    assert all(lane["served"] > 10 for lane in result["lanes"])


def test_a_site_of_any_shape_holds_under_every_fault(shape: Path) -> None:
    """Lanes of one kind, of several areas, for several vehicles, with and without limits, closing, terminals, spots."""
    result = told("--site", shape, "--fault", "all", "--faults", "6", "--minutes", "300")

    assert (True, "shape-01", "") == (result["ok"], result["site"], result["broken"])
    assert all(lane["served"] > 10 for lane in result["lanes"])


def test_nothing_of_the_site_but_its_file_is_used(tmp_path: Path) -> None:
    """On the technician's own machine there are no keys, no ports, no state directory; afterwards neither."""
    places = ["--state-dir", str(tmp_path / "state"), "--runtime-dir", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*places, "simulate", "--site", str(ESCPOS), "--minutes", "5", "--json"])

    assert (0, []) == (result.exit_code, list(tmp_path.iterdir()))


def test_who_watches_changes_nothing() -> None:
    """In slices with every event told, and in one go: the same journal. Another seed is another one."""
    words = ("--site", ESCPOS, "--fault", "power@3", "--fault", "loop@OUT-1@4", "--minutes", "40")
    lines = simulate(*words, "--plain").stdout
    head = told(*words)["head"]

    assert f"Journal head {head[:16]}," in lines.splitlines()[-1]
    assert head != told(*words, "--seed", "2")["head"]


def test_lines_say_what_happens_and_what_to_do() -> None:
    """Without a terminal: the events of `gatectl events`, the faults, and the action of `gatectl status` at the moment."""
    lines = simulate("--site", ESCPOS, "--fault", "printer:out@IN-1@2", "--minutes", "30").stdout.splitlines()
    begins = next(n for n, line in enumerate(lines) if line == "07:02:00  fault: printer (out) at IN-1 begins")
    action = "needs a person: E-PRN-02 IN-1: Ticket paper is out. Do: Put in a new roll; the lane goes on by itself."

    assert any(line.endswith(action) for line in lines[begins : begins + 3])
    assert any("IN-1: vehicle entered on 000001-" in line for line in lines[:begins])
    assert "Every invariant held, and every lane served again." in lines


# -- faults by name -----------------------------------------------------------------------------------------------------


def test_every_fault_is_explained_in_a_line() -> None:
    """`--list-faults` leaves nobody guessing."""
    listed = simulate("--list-faults").stdout.splitlines()

    assert len(names()) == len(listed)
    assert all(what and len(what) < 110 for _, what, _ in described())


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, known in CHOICES.items() for what in known])
def test_a_fault_draws_what_it_is_told(name: str, what: str, tmp_path: Path) -> None:
    """`printer:out` is the paper out and not low: what may be told is what the fault really chooses from."""
    path = tmp_path / "gatectl.toml"
    office = '\n[office]\nurl = "https://office.example:8443"\n'
    path.write_text(SHAPES["two-areas-and-vans"] + office)
    world = rehearsal(path, f"{name}:{what}@0")
    world.attempt(world.begin)
    world.advance(1_000)

    assert "" == world.broken
    assert what in world.met[0].what.split()


def test_a_device_is_lost_by_its_name() -> None:
    """What hangs on it is lost at every lane it serves, and told by the name in the site file."""
    world = rehearsal(ESCPOS, "device:io-out1@1")
    world.attempt(world.begin)
    world.advance(61_000)

    assert ("OUT-1", ["io-out1"]) == (world.met[0].lane, list(world.daemon.site.books.devices_lost))  # type: ignore[union-attr]  # it runs


def test_a_contact_that_is_not_wired_says_nothing() -> None:
    """The example has no breakaway contact: the boom is off, and the site does not know it."""
    world = rehearsal(ESCPOS, "boom@IN-1@1")
    world.attempt(world.begin)
    world.advance(61_000)
    lane = world.sight().lanes[0]

    assert ("broken", []) == (lane.arm, lane.known["faults"] if lane.known else None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fault", "powr"], "no fault is named 'powr'"),
        (["--fault", "loop@IN-9"], "the site's lanes: IN-1, OUT-1"),
        (["--fault", "loop@-1"], "minute -1 is not one of the rehearsal"),
        (["--fault", "printer:burning"], "one of: jam, low, out"),
        (["--fault", "device:io-9"], "one of: io-in1, printer-in1"),
        (["--fault", "terminal"], "'terminal' fits no lane here"),
        (["--fault", "print-job@OUT-1"], "it fits: IN-1"),
        (["--fault", "power@IN-1"], "'power' is the whole site's"),
        (["--fault", "anything"], "no fault is named 'anything'"),
        (["--lanes", "3"], "--lanes is for a made-up site"),
        (["--minutes", "5", "--days", "1"], "--minutes and --days say the same thing"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_by_name(words: list[str], says: str) -> None:
    """A typing mistake does not become a rehearsal of something else."""
    result = simulate("--site", ESCPOS, *words)

    assert 2 == result.exit_code
    assert says in result.stderr


def test_options_of_a_site_file_need_one() -> None:
    """`--fault` without `--site` is not silently forgotten."""
    result = simulate("--fault", "power")

    assert (2, True) == (result.exit_code, "--fault needs --site FILE" in result.stderr)


def test_mistakes_are_told_as_by_config_check(tmp_path: Path) -> None:
    """The same lines, the same code: whoever rehearses has checked."""
    path = tmp_path / "gatectl.toml"
    path.write_text(ESCPOS.read_text().replace('layout = "two-loop"', 'layout = "two-lop"').replace("EUR", "EURO"))
    check = CliRunner().invoke(app, ["--config", str(path), "config", "check"])
    result = simulate("--site", path)

    assert (1, check.stdout) == (result.exit_code, result.stdout)
    assert check.stderr == result.stderr


# -- the view -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 16), (200, 60)])
def test_a_frame_fits_and_nothing_jumps(width: int, height: int) -> None:
    """Through a morning of faults every part stays where it is, in as many lines and columns as there are."""
    world = rehearsal(ESCPOS, "all")
    head = view.Head(world.plan.site, world.plan.name, world.plan.zone, 60, 20, paused=False)
    world.attempt(world.begin)
    places = set()
    for _ in range(60):
        world.advance(60_000)
        lines = view.frame(head, world.sight(), tuple(world.told), width, height)
        titles = ("NEEDS A PERSON", "BROKEN BY", "EVENTS", "q end")
        places.add(tuple(n for n, (text, _) in enumerate(lines) if text.startswith(titles)))
        assert height == len(lines)
        assert width >= max(width_of(text) for text, _ in lines)

    assert ("", 1) == (world.broken, len(places))


def test_a_frame_says_what_is_known_and_what_is_true() -> None:
    """A closing loop that lies: the lane's row shows both, the problem its action, the fault its end; not by colour alone."""
    world = rehearsal(ESCPOS, "loop:closing:stuck@OUT-1@1", "printer:out@IN-1@1")
    head = view.Head(world.plan.site, world.plan.name, world.plan.zone, 60, 20, paused=False)
    world.attempt(world.begin)
    world.advance(70_000)
    lines = [text for text, _ in view.frame(head, world.sight(), tuple(world.told), 80, 24)]
    text = "\n".join(lines)

    assert any(
        line.startswith(" OUT-1   idle           down             free             occupied ≠ free") for line in lines
    )
    assert any(line.startswith("!IN-1") for line in lines)
    assert "! E-PRN-02  IN-1: Ticket paper is out.\n  do:       Put in a new roll; the lane goes on by itself." in text
    assert "  loop (closing stuck) at OUT-1: " in text


def test_what_to_do_is_never_cut() -> None:
    """The machine is off: the way to start it again is longer than a line of 80 columns, and is all there."""
    world = rehearsal(ESCPOS)
    head = view.Head(world.plan.site, world.plan.name, world.plan.zone, 60, 20, paused=False)
    text = " ".join(text for text, _ in view.frame(head, world.sight(), (), 80, 24))

    assert " ".join(code_of("E-CON-01").action.split()) in " ".join(text.split())
    assert "!IN-1    off" in text


def test_words_of_any_script_fit() -> None:
    """A wide letter fills two cells, in a name as in a table."""
    assert ("停车~ ", 6) == (fit("停车场场", 6), width_of("停车场"))
    assert "IN-1  " == fit("IN-1", 6)


# -- a real terminal ----------------------------------------------------------------------------------------------------

_ON_A_TTY = """
import os, sys
tty = os.open(sys.argv[1], os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(tty, number)
from gatectl.cli.main import app
app(sys.argv[2:])
"""


class Terminal:
    """A pty with a session of its own on it, so that Ctrl-C is the terminal's."""

    def __init__(self, *words: str) -> None:
        self.ours, self.its = pty.openpty()
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.its)
        command = [sys.executable, "-c", _ON_A_TTY, os.ttyname(self.its), "simulate", *words]
        self.process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "TERM": "xterm"})
        self.seen = b""

    def until(self, text: bytes) -> None:
        """Read until a text has come."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; this did: {self.seen[-2000:]!r}"
            self.seen += os.read(self.ours, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    tty = Terminal(*words)
    try:
        yield tty
    finally:
        tty.process.kill()
        tty.process.wait()
        os.close(tty.ours)
        os.close(tty.its)


@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"q", 0)], ids=["Ctrl-C", "q"])
def test_the_terminal_is_as_it_was(key: bytes, code: int) -> None:
    """Whoever leaves the live view has a summary, a cursor, an echo, and the screen from before."""
    with terminal("--site", str(ESCPOS), "--fault", "printer:out@IN-1@0", "--speed", "60", "--minutes", "600") as tty:
        tty.until(b"E-PRN-02")
        raw = termios.tcgetattr(tty.its)
        tty.type(b"+")
        tty.until(b"120x")
        tty.type(key)
        tty.until(b"every lane served again.")
        tty.until(b", seed 1.")

        assert code == tty.process.wait(DEADLINE_S)
        assert tty.before == termios.tcgetattr(tty.its)
        assert tty.before != raw
        assert tty.seen.count(b"\x1b[?1049h") == tty.seen.count(b"\x1b[?1049l") == 1
        assert b"\x1b[?25h" in tty.seen[tty.seen.index(b"\x1b[?25l") :]
