"""`gatectl simulate` as a person and as a script call it."""

import json

import pytest

from gatectl.cli.main import app
from gatectl.world.simulation import World


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], str]:
    with pytest.raises(SystemExit) as ended:
        app.main(["simulate", "--seed", "4", "--days", "0.05", "--lanes", "2", *words])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out.splitlines(), told.err


def test_the_last_line_is_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    """A script reads one line; a person reads what happened above it. The head is the same."""
    code, lines, _ = called(capsys, "--json")
    _, more, _ = called(capsys)
    result = json.loads(lines[-1])

    assert (0, 1, True, "gatectl.simulate/1") == (code, len(lines), result["ok"], result["schema"])
    assert {"head", "entered", "exited", "faults", "speed"} <= set(result)
    assert result["head"] == json.loads(more[-1])["head"]
    assert "Every invariant held." == more[-2]


def test_a_broken_promise_is_an_exit_code(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the core raises, the run ends with a line that says where, and fails."""

    def breaks(self: World) -> None:
        raise KeyError("000001-K7QF")

    monkeypatch.setattr(World, "_live", breaks)
    code, lines, _ = called(capsys, "--json")

    assert 1 == code
    assert json.loads(lines[-1])["broken"].startswith("nothing stops the daemon: KeyError: '000001-K7QF' in test_")


def test_a_fault_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake does not become a run without faults."""
    code, _, told = called(capsys, "--only", "powr")

    assert 2 == code
    assert "power" in told
