"""The wired world: production drivers under virtual time, with cables and links that break. `simulate_cabled` runs more of it."""

from functools import cache
from typing import Any

import pytest

from drivers.api import Input
from drivers.codecs import modbus_rtu
from drivers.escpos_engine import EscposEngine
from drivers.modbus_line import ModbusLine
from drivers.modbus_module import Module, Step
from gatectl.world.cabled import KINDS, CabledWorld, options
from gatectl.world.simulation import Result

MINUTES = 2.0
FAULTS_PER_HOUR = 600.0
SEEDS = (1, 2, 3, 4)
"""Odd seeds have Shellys on a broker, even ones Modbus lines; all have printer, reader, terminal and pay station."""


@cache
def run(seed: int) -> Result:
    return CabledWorld(options(seed, MINUTES, FAULTS_PER_HOUR, lanes=2)).run()


def caught(minutes: float = 3.0, kinds: tuple[str, ...] = KINDS, seeds: range = range(2, 14, 2)) -> str:
    """What the first run that finds something says of it; empty when none does."""
    for seed in seeds:
        world = CabledWorld(options(seed, minutes, FAULTS_PER_HOUR, lanes=2, kinds=kinds))
        world.attempt(lambda world=world: (world.begin(), world.go_on(int(minutes * 60_000))))  # type: ignore[misc]  # binds the value of the loop
        if world.broken:
            return world.broken
    return ""


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_holds_over_bad_cables(seed: int) -> None:
    """Something breaks every six seconds; then everything is back, and every lane serves, within its named time."""
    result = run(seed)

    assert "" == result.broken, f"CabledWorld(options({seed}, {MINUTES}, {FAULTS_PER_HOUR}, lanes=2)).run()"
    assert result.faults > 10
    assert result.entered > 0


def test_the_runs_have_harmed_something() -> None:
    """Bytes were lost, turned and doubled, devices went and came back, orders were refused and in doubt."""
    seen = {what for seed in SEEDS for what in run(seed).seen}

    assert {"cable doubled", "cable flipped", "cable garbage", "device back", "device lost", "reading stale"} <= seen
    assert {"open confirmed", "print confirmed"} <= seen


def test_the_same_seed_is_the_same_run() -> None:
    again = CabledWorld(options(2, MINUTES, FAULTS_PER_HOUR, lanes=2)).run()

    assert run(2).head == again.head
    assert run(2).seen == again.seen


def test_with_good_cables_the_count_is_the_truth() -> None:
    """Nothing breaks and nobody does anything odd: no order is in doubt, no reading ever stale."""
    world = CabledWorld(options(2, 3.0, faults_per_hour=0, lanes=2))
    result = world.run()

    assert "" == result.broken
    assert result.entered > 2
    assert not {"reading stale", "open unknown", "print unknown", "paper without a code"} & set(result.seen)


# -- teeth: each of these is planted in a driver, and a run finds it -------------------------------------------------------


def test_a_crc_that_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and function are right: what else could it be but the answer?"""
    reply_at = modbus_rtu._reply_at

    def careless(request: modbus_rtu.Request, data: bytes) -> Any:
        length = request.reply_bytes
        if len(data) >= length and data[:2] == bytes((request.address, request.function)):
            data = modbus_rtu.sealed(data[: length - 2]) + data[length:]
        return reply_at(request, data)

    monkeypatch.setattr(modbus_rtu, "_reply_at", careless)

    assert caught(kinds=("cable-flips", "cable-skews")).startswith(
        ("no reading is made up", "what is confirmed has acted", "a good reading is true")
    )


def test_a_reading_that_stays_good_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It said "clear" last, and nothing has been heard since."""

    def trusting(self: Module) -> list[Input]:
        return []

    monkeypatch.setattr(Module, "doubted", trusting)

    assert caught(kinds=("cable-mute", "cable-silent", "cable-unplugged")).startswith("a good reading is true")


def test_an_order_that_is_sent_again_when_its_answer_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As libraries do it by default: no answer, so once more."""
    failed = ModbusLine._step_failed

    def stubborn(self: ModbusLine, module: Module, step: Step, why: str, now_ms: int) -> None:
        if step is Step.ON_SENT and module.running is not None:
            self._waiting.appendleft((module, module.running.pulse))
            self._over(module, now_ms)
        else:
            failed(self, module, step, why, now_ms)

    monkeypatch.setattr(ModbusLine, "_step_failed", stubborn)

    assert caught(4.0, ("arm-answer", "cable-ambush")).startswith(
        ("an order is sent once", "an arm moves once for one order", "what is refused did not act")
    )


def test_a_ticket_that_is_said_to_be_printed_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are on their way: what can go wrong now?"""
    send = EscposEngine._send

    def hasty(self: EscposEngine, now_ms: int) -> None:
        send(self, now_ms)
        if self._job is not None and self._job.kind == "print" and not self._job.pieces:
            self._printed(self._job)

    monkeypatch.setattr(EscposEngine, "_send", hasty)

    assert caught().startswith("what is confirmed is on paper")
