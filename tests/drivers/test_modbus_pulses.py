"""Pulses through Modbus I/O modules under simulated time: every fault, no thread and no clock."""

import random

import pytest
from modbus_world import ADAM, ADAM_TIMED, World, adam, device, inputs

from drivers.api import Health, Pulse, Quality, Result, Show
from drivers.codecs.modbus_rtu import WriteCoil


def test_a_pulse_is_timed_by_the_module() -> None:
    """One write, of the maker's flash-on, and the output is on for that time."""
    world = World().start()
    order = world.pulse("do3", width_ms=700)
    world.run(1_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 0x0203, 7)] == world.writes()
    (on_ms, *on), (off_ms, *off) = world.outputs
    assert [[3, True], [3, False], 700] == [on, off, off_ms - on_ms]


def test_a_width_between_units_is_rounded_up() -> None:
    """Units are 100 ms: a barrier that wants 250 gets 300."""
    world = World().start()
    world.pulse(width_ms=250)
    world.run(500)

    assert [WriteCoil(1, 0x0200, 3)] == world.writes()


def test_an_order_goes_before_the_polls() -> None:
    """It waits for the request that is outstanding at most."""
    world = World([device(f"io{n}", address=n) for n in (1, 2, 3)]).start()
    world.pulse(name="io3")
    world.run(10)

    assert 1 == len(world.writes())


def test_outputs_of_one_module_exclude_each_other() -> None:
    """Open and close at the same time would fight: the second waits for the end of the first and the dead time."""
    world = World().start()
    world.pulse("do0", width_ms=500)
    world.pulse("do1", width_ms=500)
    world.run(2_000)

    (_, *a), (off_ms, *b), (on_ms, *c), (_, *d) = world.outputs
    assert [[0, True], [0, False], [1, True], [1, False]] == [a, b, c, d]
    assert on_ms - off_ms >= 100


def test_outputs_of_two_modules_do_not_wait_for_each_other() -> None:
    """Two lanes open at once."""
    world = World([device("io1", address=1), device("io2", address=2)]).start()
    world.pulse(name="io1")
    world.pulse(name="io2")
    world.run(100)

    assert [True, True] == [on for _, _, on in world.outputs]


def test_a_pulse_that_waits_too_long_is_refused_and_not_given() -> None:
    """The deadline passes while another output is on."""
    world = World().start()
    world.pulse("do0", width_ms=2_000)
    order = world.pulse("do1", in_ms=1_000)
    world.run(5_000)

    assert [(Result.REFUSED, "expired: another output was on until just now")] == world.outcomes(order)
    assert 1 == len(world.writes())


def test_a_lost_reply_is_read_back_and_the_pulse_is_not_given_again() -> None:
    """The module acted and its answer was lost: the output is seen on, and there is one write."""
    world = World().start()
    world.module.silent_writes = 1
    order = world.pulse(width_ms=1_000)
    world.run(3_000)

    assert [(Result.CONFIRMED, "the answer was lost, the output was read back")] == world.outcomes(order)
    assert 1 == len(world.writes()) == world.module.pulses


def test_a_short_pulse_whose_reply_is_lost_is_unknown() -> None:
    """It was over before it could be read back: nobody can say."""
    world = World().start()
    world.module.silent_writes = 1
    order = world.pulse(width_ms=100)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert 1 == len(world.writes()) == world.module.pulses


def test_a_write_that_did_not_arrive_is_unknown_and_not_repeated() -> None:
    """From here it looks the same as one that came and went."""
    world = World().start()
    world.module.deaf_writes = 1
    order = world.pulse(width_ms=1_000)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert 1 == len(world.writes())
    assert 0 == world.module.pulses


def test_a_module_that_dies_during_a_pulse_leaves_it_unknown() -> None:
    """Neither answer nor output can be read; the next pulse waits as if the first one had acted."""
    world = World().start()
    world.module.mute = True
    order = world.pulse(width_ms=1_000)
    waiting = world.pulse("do1", in_ms=60_000)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert Result.REFUSED is world.result(waiting)
    assert 1 == len(world.writes())


def test_a_module_that_refuses_a_pulse_has_not_acted() -> None:
    """An exception reply is a clear no."""
    world = World().start()
    world.module.refuses_with = 3
    order = world.pulse()
    world.run(200)

    assert [(Result.REFUSED, "exception 3 (illegal data value)")] == world.outcomes(order)


def test_the_port_vanishes_during_a_pulse() -> None:
    """What was sent is unknown, what waited is refused, and nothing is sent when the port is back."""
    world = World().start()
    world.module.silent_writes = 1
    sent = world.pulse(width_ms=3_000, in_ms=60_000)
    waiting = world.pulse("do1", in_ms=60_000)
    world.run(3)
    world.engine.lost(world.now_ms, "unplugged")
    gone = world.run(100)
    world.engine.opened(world.now_ms)
    back = world.run(6_000)

    assert Result.UNKNOWN is world.result(sent)
    assert Result.REFUSED is world.result(waiting)
    assert 1 == len(world.writes())
    assert [(False, Quality.STALE)] == inputs(gone)
    assert [(False, Quality.GOOD)] == inputs(back)
    assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(back, "do0"), (
        "its own pulse, found on and seen to end"
    )


def test_a_coil_found_on_is_reported_and_not_switched_and_holds_pulses_back() -> None:
    """Somebody left the opening contact on: a person must know, and closing against it is not done."""
    world = World()
    world.module.outputs[0] = True
    world.start()
    order = world.pulse("do1", in_ms=500)
    world.run(1_000)
    world.module.outputs[0] = False
    off = world.run(1_500)
    free = world.pulse("do1")
    world.run(1_000)

    assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(world.signals, "do0")
    assert [(False, Quality.GOOD)] == inputs(off, "do0")
    assert 1 == world.engine.counters["coils-found-on"]
    assert [(Result.REFUSED, "expired: do0 is on")] == world.outcomes(order)
    assert Result.CONFIRMED is world.result(free)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Pulse("o", "do8", 500, 99_999), "no output 'do8'"),
        (Pulse("o", "di0", 500, 99_999), "no output 'di0'"),
        (Pulse("o", "do0", 99, 99_999), "a pulse of 99 ms is not between 100 and 3000 ms"),
        (Pulse("o", "do0", 3_001, 99_999), "a pulse of 3001 ms is not between 100 and 3000 ms"),
        (Pulse("o", "do0", 500, 0), "expired"),
        (Show("o", "hello", 99_999), "an I/O module takes no Show"),
    ],
    ids=repr,
)
def test_an_impossible_order_is_refused_by_name(order: Pulse | Show, why: str) -> None:
    """Nothing is written for it."""
    world = World().start()
    world.engine.order("io", order, world.now_ms)
    world.run(100)

    assert [(Result.REFUSED, why)] == world.outcomes("o")
    assert [] == world.writes()


def test_a_pulse_before_the_module_was_read_is_refused() -> None:
    """Nothing moves before the outputs are known."""
    world = World()
    world.engine.opened(world.now_ms)
    order = world.pulse()
    world.run(100)

    assert Result.REFUSED is world.result(order)


# -- host-timed pulses ------------------------------------------------------------------------------------------------


def test_a_host_timed_pulse_is_switched_on_and_off() -> None:
    """ADAM-4055: outputs are coils 16-23, and we end the pulse."""
    world = adam().start()
    order = world.pulse("do1", width_ms=400)
    world.run(1_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 17, 0xFF00), WriteCoil(1, 17, 0x0000)] == world.writes()
    (on_ms, *_), (off_ms, *_) = world.outputs
    assert 400 <= off_ms - on_ms <= 420


def test_a_host_timed_pulse_needs_the_modules_watchdog() -> None:
    """The site says that it is set; the module says that it is not: refused."""
    world = adam()
    world.module.watchdog_ms = None
    world.start()
    order = world.pulse("do1")
    world.run(100)

    assert [(Result.REFUSED, "the module's communication watchdog is off")] == world.outcomes(order)
    assert [] == world.writes()


def test_the_lost_reply_of_a_host_timed_pulse_is_read_back_and_it_is_ended() -> None:
    """One "on", one "off"."""
    world = adam().start()
    world.module.silent_writes = 1
    order = world.pulse("do1", width_ms=1_000)
    world.run(2_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 17, 0xFF00), WriteCoil(1, 17, 0x0000)] == world.writes()


def test_a_lost_off_is_written_again_only_after_reading_that_it_is_on() -> None:
    """It did not arrive: seen on, so written again. It arrived and its reply was lost: seen off, so not."""
    arrived, lost = adam().start(), adam().start()
    for world in (arrived, lost):
        world.pulse("do1", width_ms=400)
        world.run(100)
    arrived.module.silent_writes = 1
    lost.module.deaf_writes = 1
    arrived.run(2_000)
    lost.run(2_000)

    assert [0xFF00, 0x0000] == [write.value for write in arrived.writes()]
    assert [0xFF00, 0x0000, 0x0000] == [write.value for write in lost.writes()]
    assert not any(lost.module.outputs)


def test_an_output_that_will_not_go_off_is_reported_as_a_fault() -> None:
    """The writes get lost, each time; a person must come, and no other output is switched meanwhile."""
    world = adam().start()
    world.pulse("do1", width_ms=400)
    world.run(100)
    world.module.deaf_writes = 100
    told = world.run(5_000)
    order = world.pulse("do0", in_ms=500)
    world.run(1_000)

    assert [(True, Quality.FAULT)] == inputs(told, "do1")
    assert [(Result.REFUSED, "expired: do1 is on")] == world.outcomes(order)


def test_the_watchdog_ends_a_pulse_that_we_cannot_end() -> None:
    """The port vanishes while the output is on: the module switches off, and on our return nothing is written."""
    world = adam().start()
    world.pulse("do1", width_ms=3_000)
    world.run(100)
    world.engine.lost(world.now_ms, "unplugged")
    world.run(1_500)
    world.engine.opened(world.now_ms)
    world.run(1_000)

    assert not any(world.module.outputs)
    assert [0xFF00] == [write.value for write in world.writes()]
    assert 1 == world.engine.counters["watchdogs-tripped"]


def test_a_pulse_cut_short_by_a_blink_of_the_port_is_ended() -> None:
    """Too short for the watchdog: the output is ours, it is read to be on, and switched off when its time is over."""
    world = adam().start()
    world.pulse("do1", width_ms=3_000)
    world.run(100)
    world.engine.lost(world.now_ms, "unplugged")
    world.run(100)
    world.engine.opened(world.now_ms)
    world.run(4_000)

    assert [0xFF00, 0x0000] == [write.value for write in world.writes()]
    assert not any(world.module.outputs)


def test_a_host_timed_pulse_of_a_run_before_is_left_to_the_watchdog() -> None:
    """We were killed during a pulse and start again: polling would keep the watchdog from ending it, so we do not."""
    world = adam()
    world.module.outputs[1] = True
    world.module._heard_at_ms = world.now_ms
    world.start()
    held_back = [s for s in world.signals if isinstance(s, Health)]
    world.run(2_000)

    assert [] == held_back
    assert [Health("io", up=True)] == [s for s in world.signals if isinstance(s, Health)]
    assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(world.signals, "do1")
    assert [] == world.writes()


def test_a_module_left_alone_in_vain_is_read_again_and_its_output_watched() -> None:
    """The output is held on by something else: the inputs are worth more than waiting."""
    world = adam()
    world.module.outputs[1] = True
    world.module.watchdog_ms = None
    world.start()
    world.run(2_000)

    assert [Health("io", up=True)] == [s for s in world.signals if isinstance(s, Health)]
    assert [] == world.writes()


# -- any order of faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_each_order_is_answered_once_and_none_acts_twice(seed: int) -> None:
    """Faults, losses and orders at random; afterwards the line is good and all is well."""
    dice = random.Random(seed)
    host = dice.random() < 0.5
    world = World([device(model=ADAM, **ADAM_TIMED) if host else device()]).start()
    orders: list[str] = []
    for _ in range(60):
        module = world.module
        module.mute = dice.random() < 0.1
        module.garbled = dice.random() < 0.1
        module.late_ms = dice.choice([0, 0, 0, 50, 150])
        module.silent_writes = dice.choice([0, 0, 0, 1])
        module.deaf_writes = dice.choice([0, 0, 0, 1])
        module.inputs[1] = dice.random() < 0.5
        if dice.random() < 0.1:
            world.engine.lost(world.now_ms, "unplugged")
            world.run(dice.randrange(100))
            world.engine.opened(world.now_ms)
        if dice.random() < 0.5:
            orders.append(world.pulse(dice.choice(["do0", "do1"]), dice.choice([100, 300, 1_000])))
        noise = {world.now_ms + dice.randrange(500): dice.randbytes(4) for _ in range(dice.randrange(3))}
        world.run(dice.randrange(10, 700), noise)
        on_now = [output for output, on in enumerate(module.outputs) if on]
        assert len(on_now) <= 1, f"seed {seed}: {on_now} at once"
    world.module.mute = world.module.garbled = False
    world.module.late_ms = world.module.silent_writes = world.module.deaf_writes = 0
    world.module.inputs[1] = True
    world.run(10_000)

    results = [world.result(order) for order in orders]
    sent = sum(write.value != 0 for write in world.writes())
    assert results.count(Result.CONFIRMED) <= world.module.pulses <= sent, f"seed {seed}"
    assert sent <= len(results) - results.count(Result.REFUSED) + world.engine.counters.get("exceptions", 0)
    assert (True, Quality.GOOD) == inputs(world.signals)[-1], f"seed {seed}"
    assert not any(world.module.outputs)


def test_nothing_is_switched_on_through_an_adapter_that_began_to_echo() -> None:
    """Found by wired seed 2: until the module counted as lost, an order was confirmed by its own echo."""
    world = World().start()
    world.module.mute = world.line.echo = True
    world.run(60)
    order = world.pulse()
    world.run(200)

    assert Result.REFUSED is world.result(order)
    assert [] == world.writes()

    world.module.mute = world.line.echo = False
    world.run(3_000)

    again = world.pulse()
    world.run(500)
    assert Result.CONFIRMED is world.result(again)
