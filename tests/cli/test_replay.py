"""`gatectl replay` and what it refuses. The file is a small one, made without a daemon."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from site_stories import site_plan

from gatectl import __version__
from gatectl.cli.main import app
from gatectl.domain import codec, events
from gatectl.domain.books import Books
from gatectl.domain.ids import Boot, Moment
from gatectl.domain.site import Site
from gatectl.domain.spots import SpotIndex
from gatectl.domain.turns import Recorder, SiteState, Started, Turn, decided, state_lines, turn_line
from gatectl.runtime.incident import IncidentWriter, Wanted, created
from sync import chain
from sync.records import Record

BOOT = Boot("ab" * 8, "K7QF")
AT_MS = 1_795_000_000_000


class Lines(Recorder):
    """A capture in memory."""

    wants_state = False

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.facts: list[Any] = []

    def state(self, state: SiteState) -> None:
        self.lines += [line + b"\n" for line in state_lines(state, 0)]

    def turn(self, turn: Turn) -> None:
        self.lines.append(turn_line(len(self.facts) + 1, turn) + b"\n")
        self.facts += [(turn.now, fact) for fact in turn.facts]


def made(path: Path) -> Path:
    """A start and three corrections of the count, with their journal."""
    plan = site_plan()
    books = Books(SpotIndex(plan.spots, plan.compatible), {lane.lane: lane.area for lane in plan.lanes})
    site, told, facts_made = Site(plan, books, BOOT), Lines(), 0
    asked = [events.CountCorrected("r", "main", n, "mia", "recount") for n in (1, 2, 3)]  # type: ignore[arg-type]  # NewTypes of str
    for n, what in enumerate([Started(None, True), *asked]):
        facts_made += len(decided(site, what, Moment(AT_MS + n, n), told, facts_made).facts)
    with created(path) as out:
        writer = IncidentWriter(out, plan.keyring, plan.site, plan.keyring.keys)
        writer.open("0.1.0", Wanted((), "a test"), AT_MS, ())
        writer.segment(BOOT.boot_id, 0, told.lines, None)
        head = chain.genesis(plan.site, 1)
        for seq, (at, fact) in enumerate(told.facts, 1):
            fact_id = f"{BOOT.boot_id}{seq:08x}"
            body = codec.encode(fact)
            record = Record(seq, fact_id, at.wall_ms, "synced", BOOT.boot_id, at.mono_ms, fact.kind, fact.version, body)
            head = chain.link(head, record.header(), record.body)
            writer.record(1, record, head)
        writer.close()
    return path


def sealed(lines: list[bytes]) -> bytes:
    """The lines with an end that fits them: whoever edits a file with skill."""
    body = b"".join(lines[:-1])
    end = json.loads(lines[-1])
    return body + json.dumps({**end, "sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["replay", *words])


def refused(path: Path) -> str:
    result = run(str(path), "--json")
    assert 8 == result.exit_code, result.output
    return str(json.loads(result.stderr)["code"])


@pytest.mark.parametrize("name", ["gate.jsonl", "gate.zst"])
def test_what_was_recorded_comes_out_again(tmp_path: Path, name: str) -> None:
    """In words and as JSON; packed or not."""
    file = made(tmp_path / name)

    words, answer = run(str(file)), json.loads(run(str(file), "--json").stdout)

    assert 0 == words.exit_code
    assert "4 turns" in words.stdout
    assert "no divergence" in words.stdout
    assert ("gatectl.replay/1", True, 4, None) == tuple(answer[key] for key in ("schema", "ok", "turns", "divergence"))
    assert answer["facts"] == answer["durable"]


def test_until_stops_early(tmp_path: Path) -> None:
    """For whoever looks for something with a debugger."""
    assert 2 == json.loads(run(str(made(tmp_path / "a")), "--until", "2", "--json").stdout)["turns"]


def test_a_divergence_is_told(tmp_path: Path) -> None:
    """The count goes up by two and the file says by five: which turn, what was recorded, what comes out here."""
    file = made(tmp_path / "a")
    lines = [
        line.replace(b'"delta":2,"reason"', b'"delta":5,"reason"')
        for line in file.read_bytes().splitlines(keepends=True)
    ]
    file.write_bytes(sealed(lines))

    result = run(str(file))
    answer = json.loads(run(str(file), "--json").stdout)

    assert 1 == result.exit_code
    assert "Divergence at turn 3" in result.stdout
    assert (3, "facts") == (answer["divergence"]["turn"], answer["divergence"]["what"])
    assert "facts[0] count.adjusted.delta: recorded 5, here 2" in result.stdout


def test_a_journal_that_says_something_else_is_a_divergence(tmp_path: Path) -> None:
    """Captured, decided again just so, and not what is durable."""
    file = made(tmp_path / "a")
    lines = [
        line.replace(b'\\"delta\\":2', b'\\"delta\\":4') if b'"record"' in line else line
        for line in file.read_bytes().splitlines(keepends=True)
    ]
    file.write_bytes(sealed(lines))

    answer = json.loads(run(str(file), "--json").stdout)

    assert "chain" == answer["divergence"]["what"]


def test_a_hole_in_the_journal_is_a_divergence(tmp_path: Path) -> None:
    """Facts before and after it are durable, so this one ought to be."""
    file = made(tmp_path / "a")
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if b'\\"delta\\":2' not in line]
    file.write_bytes(sealed(lines))

    answer = json.loads(run(str(file), "--json").stdout)

    assert "journal" == answer["divergence"]["what"]
    assert "no record" in answer["divergence"]["here"]


def test_another_version_is_said_and_replayed(tmp_path: Path) -> None:
    """That is what it is for."""
    result = run(str(made(tmp_path / "a")))

    assert 0 == result.exit_code
    assert f"Recorded by version {site_plan().software}, replayed by {__version__}." in result.stdout


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda raw: raw[: len(raw) // 2], "E-INC-01"),
        (lambda raw: raw[:-1], "E-INC-01"),
        (lambda raw: raw.replace(b'"mia"', b'"eve"', 1), "E-INC-01"),
        (lambda raw: raw + b"{}\n", "E-INC-01"),
        (lambda raw: b"", "E-INC-02"),
        (lambda raw: b"\x89PNG\r\n\x1a\n", "E-INC-02"),
        (lambda raw: b'{"schema":"gatectl.demo/1"}\n', "E-INC-02"),
        (lambda raw: raw.replace(b"gatectl.incident/1", b"gatectl.incident/2"), "E-INC-02"),
        (lambda raw: b"\x28\xb5\x2f\xfd" + raw, "E-INC-01"),
        (lambda raw: sealed([line.replace(b"CountCorrected", b"CountGuessed") for line in raw.splitlines(True)]), "E-INC-02"),
        (lambda raw: sealed([line for line in raw.splitlines(True) if b'"schema":"gatectl.capture' not in line]), "E-INC-01"),
        (lambda raw: sealed([line.replace(b'"then"', b'"thence"') for line in raw.splitlines(True)]), "E-INC-01"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path: Path, spoil: Any, code: str) -> None:
    """Cut off, edited, continued, another kind of file, a newer one, an event of a newer version, lines that make no sense."""
    file = made(tmp_path / "a")
    file.write_bytes(spoil(file.read_bytes()))

    assert code == refused(file)


def test_a_code_in_a_reason_is_signed_anew_too(tmp_path: Path) -> None:
    """Somebody scanned a ticket into the question for a reason, in a reader's lower case: the chain there is taken as given."""
    from gatectl.domain.tickets import sign

    plan = site_plan()
    code = sign(plan.keyring, plan.site, counter=7, tag="K7QF", issued_s=AT_MS // 1000, vehicle_type="CAR").lower()
    writer = IncidentWriter((tmp_path / "x").open("wb"), plan.keyring, plan.site, ())

    line = writer.without_codes(f'{{"why":"x{code}y","other":"{"a" * 60}"}}'.encode())
    writer._out.close()

    assert code.encode() not in line
    assert f'"other":"{"a" * 60}"'.encode() in line
    assert code[:27] in line.decode()
