"""Contacts and options of Modbus I/O modules under simulated time: every fault, no thread and no clock."""

import random

import pytest
from modbus_world import ADAM, ADAM_TIMED, LOOPS, PORT, WAVESHARE, World, device, inputs

from drivers.api import DeviceSpec, Health, Input, PortSpec, Quality, Result
from drivers.catalog import family as installed
from drivers.modbus_io import family
from drivers.modbus_line import LOST_AFTER_MISSES, PROBE_MS

# -- contacts ---------------------------------------------------------------------------------------------------------


def test_the_entry_point_names_this_family() -> None:
    """Built-ins come through the same door as everybody's."""
    assert installed("modbus-io") is family


def test_at_the_start_everything_is_read_and_told_once_and_nothing_moves() -> None:
    """The first thing said to a module is a question."""
    world = World().start()

    assert [Health("io", up=True)] == [s for s in world.signals if isinstance(s, Health)]
    for point in LOOPS:
        assert [(False, Quality.GOOD)] == inputs(world.signals, point)
    assert [] == world.writes()


@pytest.mark.parametrize("model", [WAVESHARE, ADAM])
def test_a_vehicle_is_seen_at_once_and_its_leaving_after_the_dwell(model: str) -> None:
    """Occupied after two samples; clear only after the dwell, so that a gap under a trailer is not the end of it."""
    world = World([device(model=model)]).start()
    world.module.inputs[1] = True
    came = world.run(60)
    world.module.inputs[1] = False
    gap = world.run(200)
    world.module.inputs[1] = True
    again = world.run(200)
    world.module.inputs[1] = False
    before = world.run(300)
    left = world.run(60)

    assert [(True, Quality.GOOD)] == inputs(came)
    assert [] == inputs(gap + again + before)
    assert [(False, Quality.GOOD)] == inputs(left)


def test_a_cut_wire_of_a_normally_closed_loop_reads_occupied() -> None:
    """The contact opens when a vehicle is there, when the detector fails, and when the wire breaks."""
    world = World().start()
    world.module.inputs[0] = False

    assert [(True, Quality.GOOD)] == inputs(world.run(60), "di0")


def test_one_sample_is_not_believed() -> None:
    """A spike that one reading sees is no vehicle."""
    world = World().start()
    module = world.module
    polls = len(world.line.heard)
    module.inputs[1] = True
    while len(world.line.heard) == polls:
        world.run(1)
    module.inputs[1] = False

    assert [] == inputs(world.run(500))


def test_a_pulse_as_long_as_configured_is_never_missed() -> None:
    """The shortest signal, at any moment of the cycle, while a pulse is given."""
    for shift in range(0, 40, 3):
        world = World().start()
        world.run(shift)
        world.pulse(width_ms=100)
        world.module.inputs[2] = True
        seen = world.run(150)
        world.module.inputs[2] = False
        seen += world.run(100)

        assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(seen, "di2"), f"shift {shift}"


def test_silence_makes_values_stale_then_the_device_lost_and_everything_is_told_again() -> None:
    """No reply is never "good"; after the reconnect every input is told once, changed or not."""
    world = World().start()
    world.module.mute = True
    silent = world.run(3_000)
    world.module.mute = False
    back = world.run(PROBE_MS + 1_000)

    assert [(False, Quality.STALE)] == inputs(silent)
    assert [Health("io", up=False, why="no answer")] == [s for s in silent if isinstance(s, Health)]
    assert [Health("io", up=True)] == [s for s in back if isinstance(s, Health)]
    assert [(False, Quality.GOOD)] == inputs(back)


def test_a_short_silence_is_stale_and_then_good_again_without_a_loss() -> None:
    """The module restarts in half a second."""
    world = World().start()
    world.module.mute = True
    stale = world.run(800)
    world.module.mute = False
    good = world.run(1_000)

    assert [(False, Quality.STALE)] == inputs(stale)
    assert [(False, Quality.GOOD)] == inputs(good)
    assert [] == [s for s in stale + good if isinstance(s, Health)]


def test_a_module_that_never_answers_is_lost_once() -> None:
    """It is reported, and asked again now and then."""
    world = World()
    world.module.mute = True
    world.start()
    world.run(10_000)

    assert [Health("io", up=False, why="no answer")] == world.signals


def test_a_babbling_line_makes_values_stale() -> None:
    """Something sends garbage without a pause: what cannot be read is not good, and nothing raises."""
    world = World().start()
    dice = random.Random(5)
    noise = {at: dice.randbytes(3) for at in range(world.now_ms, world.now_ms + 6_000)}
    world.module.mute = True
    heard = world.run(5_000, noise)

    assert [(False, Quality.STALE)] == inputs(heard)
    assert [False] == [s.up for s in heard if isinstance(s, Health)]


def test_noise_between_good_replies_does_no_harm() -> None:
    """Garbage before every reply is skipped and counted."""
    world = World().start()
    noise = dict.fromkeys(range(world.now_ms, world.now_ms + 2_000), b"\x01\x02")
    heard = world.run(1_500, noise)

    assert [] == heard
    assert world.engine.counters["late-bytes"] + world.engine.counters["skipped-bytes"] > 1_000


@pytest.mark.parametrize("fault", ["garbled", "late_ms", "refuses_with"])
def test_a_module_that_answers_wrongly_is_lost_with_a_reason(fault: str) -> None:
    """A wrong bit, an answer that comes when nobody waits any more, an exception."""
    world = World().start()
    setattr(world.module, fault, {"garbled": True, "late_ms": 150, "refuses_with": 2}[fault])
    lost = [s for s in world.run(4_000) if isinstance(s, Health)]
    setattr(world.module, fault, 0)
    back = [s for s in world.run(3_000) if isinstance(s, Health)]

    expected = "exception 2 (illegal data address)" if fault == "refuses_with" else "no answer"
    assert [Health("io", up=False, why=expected)] == lost
    assert [Health("io", up=True)] == back


def test_an_adapter_that_echoes_is_not_used() -> None:
    """It would confirm every write by itself: the module never comes up, and the reason is told."""
    world = World()
    world.line.echo = True
    world.start()
    world.run(3_000)
    order = world.pulse()
    world.run(100)

    assert [Health("io", up=False, why="the adapter repeats what is sent: switch its echo off")] == [
        s for s in world.signals if isinstance(s, Health)
    ]
    assert Result.REFUSED is world.result(order)


def test_a_dead_module_does_not_stop_the_others() -> None:
    """Of two modules one is dead: the other one's loop is seen in time, again and again."""
    world = World([device("dead", address=1), device("io", address=2)])
    world.line.modules[1].mute = True
    world.start()
    world.run(LOST_AFTER_MISSES * 500)
    for _ in range(20):
        world.run(50)
        world.line.modules[2].inputs[1] = True
        came = world.run(300)
        world.line.modules[2].inputs[1] = False
        left = world.run(600)

        assert [(True, Quality.GOOD)] == inputs(came)
        assert [(False, Quality.GOOD)] == inputs(left)


def test_what_was_not_read_in_time_is_stale_whoever_kept_the_line_busy() -> None:
    """Seven modules lose power at once: until they are given up, the eighth is read too seldom to be believed."""
    slow = {"di1": {"shortest_ms": 2_000}}
    world = World([device(f"io{n}", address=n, inputs=slow) for n in range(1, 9)]).start()
    for number in range(2, 9):
        world.line.modules[number].mute = True
    heard = [s for s in world.run(20_000) if isinstance(s, Input) and s.device == "io1" and s.point == "di1"]

    assert Quality.GOOD is heard[-1].quality
    assert Quality.STALE in [s.quality for s in heard]


def test_modules_are_polled_in_turn() -> None:
    """Three modules on one line get the same share of it."""
    world = World([device(f"io{n}", address=n) for n in (1, 2, 3)]).start()
    world.line.heard.clear()
    world.run(2_000)
    polls = [sum(request.address == n for request in world.line.heard) for n in (1, 2, 3)]

    assert max(polls) - min(polls) <= 1
    assert min(polls) > 50


# -- options ----------------------------------------------------------------------------------------------------------


def test_every_mistake_is_named_at_once_with_its_place() -> None:
    """Ten mistakes, ten lines."""
    port = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 9601})
    devices = [
        device(
            "a", inputs={"di0": {"polarity": "normaly-open"}, "di8": {}, "di1": {"mode": "pulse", "fail_safe": True}}
        ),
        device("b", model="waveshare-io-8h", address=2),
        device("c", address=1, outputs={"do0": {"width_ms_max": 5_000}}),
        DeviceSpec("d", "modbus-io", ADAM, "rs485", {"outputs": {}, "adress": 3}),
        device("e", address=4, host_timed_watchdog_ms=1_000),
    ]
    faults = {fault.where: fault for fault in family.check(port, devices)}

    assert {
        "ports.rs485.baud",
        "devices.a.inputs.di0.polarity",
        "devices.a.inputs.di8",
        "devices.a.inputs.di1.fail_safe",
        "devices.a.inputs.di1.shortest_ms",
        "devices.b.model",
        "devices.c.address",
        "devices.c.outputs.do0.width_ms_max",
        "devices.d.address",
        "devices.d.adress",
        "devices.d.host_timed_watchdog_ms",
        "devices.e.host_timed_watchdog_ms",
    } <= set(faults)
    assert "did you mean 'waveshare-io-8ch'?" == faults["devices.b.model"].hint
    assert "did you mean 'address'?" == faults["devices.d.adress"].hint


def test_a_poll_cycle_too_long_for_the_shortest_signal_is_refused_with_the_figures() -> None:
    """Three modules at 9600 baud cannot see a pulse of 50 ms; one at 115200 can."""
    inputs_ = {"di0": {"mode": "pulse", "shortest_ms": 50}}
    slow = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 9600})
    fast = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 115200})
    faults = family.check(slow, [device(f"io{n}", address=n, inputs=inputs_) for n in (1, 2, 3)])

    assert 3 == len(faults)
    assert "a signal of 50 ms can be missed: a poll cycle of 3 module(s) at 9600 baud takes 112 ms" in faults[0].what
    assert [] == family.check(fast, [device(inputs=inputs_, poll_ms=5)])


def test_capabilities_say_what_may_guard_an_arm() -> None:
    """A contact that is not fail-safe, and a pulse, never have "safety"."""
    spec = device(
        inputs={**LOOPS, "di3": {"fail_safe": True}, "di4": {"polarity": "normally-closed", "fail_safe": False}}
    )

    assert {
        "di0": frozenset({"presence", "safety"}),
        "di1": frozenset({"presence"}),
        "di2": frozenset({"pulse-input"}),
        "di3": frozenset({"presence", "safety"}),
        "di4": frozenset({"presence"}),
        **{f"do{number}": frozenset({"pulse"}) for number in range(8)},
    } == family.capabilities(spec)


def test_a_model_that_cannot_end_a_pulse_has_none_without_a_watchdog() -> None:
    """The lane's configuration is refused before anything is connected."""
    assert not [point for point in family.capabilities(device(model=ADAM)) if point.startswith("do")]
    assert frozenset({"pulse"}) == family.capabilities(device(model=ADAM, **ADAM_TIMED))["do1"]


def test_a_watchdog_shorter_than_a_lost_answer_is_refused() -> None:
    """It would end pulses, and lanes, that are well."""
    tight = {**ADAM_TIMED, "host_timed_watchdog_ms": 500, "reply_ms": 200}
    faults = family.check(PORT, [device(model=ADAM, **tight)])

    assert ["devices.io.host_timed_watchdog_ms"] == [fault.where for fault in faults]
