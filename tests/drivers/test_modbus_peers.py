"""Modbus on real ptys with the real link: the contract of every driver, and peers that share no code with us.

libmodbus is one (through `mbpoll` as a master, and a small slave compiled here), pymodbus's server another.
"""

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.api import DeviceSpec, Health, Input, Order, PortSpec, Pulse, Quality, Result
from drivers.links.monotonic import Monotonic
from drivers.links.serial_link import SerialBus
from drivers.modbus_io import family, profiles
from drivers.options import line_of
from drivers.sim.contract import CASES, Subject, Witness
from drivers.sim.modbus_io import SimulatedLine, SimulatedModule
from drivers.sim.pty import PtyPeer, SimulatedSerialDevice

WAIT_S_MAX = 20.0
WAVESHARE = profiles()["waveshare-io-8ch"]
ADAM = profiles()["advantech-adam-4055"]
LINE: dict[str, object] = {"baud": 38400}


def only(device: SimulatedSerialDevice) -> SimulatedModule:
    assert isinstance(device, SimulatedLine)
    return next(iter(device.modules.values()))


def toggle(device: SimulatedSerialDevice) -> None:
    module = only(device)
    module.inputs[0] = not module.inputs[0]


def pulse(order: str, deadline_ms: int) -> Order:
    return Pulse(order, "do0", 100, deadline_ms)


def subject(model: str, seed: int = 1) -> Subject:
    options: dict[str, Any] = {"address": 7, "inputs": {"di0": {"clear_after_ms": 0}}}
    watchdog_ms = None
    if model == "advantech-adam-4055":
        watchdog_ms = 2_000
        options |= {"host_timed_watchdog_ms": watchdog_ms, "outputs": {"do0": {}}}
    return Subject(
        family=family,
        options=LINE,
        device=DeviceSpec("io", "modbus-io", model, "", options),
        simulate=lambda: SimulatedLine([SimulatedModule(profiles()[model], 7, watchdog_ms=watchdog_ms)], seed),
        order=pulse,
        acted=lambda device: only(device).pulses,
        provoke=toggle,
        heard=lambda signal: isinstance(signal, Input) and signal.point == "di0" and signal.quality is Quality.GOOD,
        seed=seed,
    )


@pytest.mark.parametrize("model", sorted(profiles()))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_contract(case: Callable[[Subject, Path], None], model: str, tmp_path: Path) -> None:
    """What every serial driver must survive, for both ways of timing a pulse."""
    case(subject(model), tmp_path)


# -- a cable between two programs -------------------------------------------------------------------------------------


@contextlib.contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two terminals, joined: what goes into one comes out of the other."""
    pairs = [os.openpty(), os.openpty()]
    for _, slave in pairs:
        tty.setraw(slave)
    (left, _), (right, _) = pairs
    stop_read, stop_write = os.pipe()

    def pump() -> None:
        while True:
            ready, _, _ = select.select([left, right, stop_read], [], [], WAIT_S_MAX)
            if stop_read in ready:
                return
            for end in ready:
                os.write(right if end == left else left, os.read(end, 4096))

    thread = threading.Thread(target=pump, name="cable")
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(stop_write, b"!")
        thread.join(WAIT_S_MAX)
        for descriptor in (*pairs[0], *pairs[1], stop_read, stop_write):
            os.close(descriptor)


@contextlib.contextmanager
def our_master(path: str, model: str, **options: Any) -> Iterator[tuple[SerialBus, Witness]]:
    inputs = {f"di{number}": {"clear_after_ms": 0} for number in range(8)}
    port = PortSpec("rs485", "serial", {"path": path, "baud": 9600})
    device = DeviceSpec("io", "modbus-io", model, "rs485", {"address": 7, "inputs": inputs, **options})
    assert [] == family.check(port, [device])
    bus = SerialBus("rs485", line_of(port), family.engine(port, [device]), ["io"])
    seen = Witness()
    bus.start(seen)
    try:
        yield bus, seen
    finally:
        bus.close()
    assert "" == bus.failed


def wait_for_inputs(seen: Witness, expected: dict[str, bool]) -> None:
    def told(signals: Any) -> bool:
        return {s.point: s.on for s in signals if isinstance(s, Input) and s.point in expected} == expected

    seen.wait_for(f"inputs {expected}", told)


EIGHT_INPUTS_THIRD_CLOSED = {f"di{number}": number == 2 for number in range(8)}


# -- libmodbus as slave -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libmodbus_slave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    if not Path("/usr/include/modbus/modbus.h").exists():
        pytest.skip("libmodbus-dev is not installed")
    program = tmp_path_factory.mktemp("libmodbus") / "slave"
    source = Path(__file__).parent / "tools" / "slave.c"
    built = subprocess.run(
        ["gcc", "-Wall", "-Werror", "-I/usr/include/modbus", "-o", program, source, "-lmodbus"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.tools
def test_our_master_works_a_libmodbus_slave(libmodbus_slave: Path) -> None:
    """Its inputs are read; a pulse is given, confirmed by its reply, and is what we ordered."""
    with cable() as (ours, theirs):
        slave = subprocess.Popen(
            [libmodbus_slave, theirs, "9600", "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with slave:
            assert slave.stdout is not None
            assert slave.stdin is not None
            assert slave.stdout.readline() == "ready\n"
            with our_master(ours, "waveshare-io-8ch") as (bus, seen):
                wait_for_inputs(seen, EIGHT_INPUTS_THIRD_CLOSED)
                bus.order("io", Pulse("o1", "do5", 700, Monotonic().monotonic_ms() + 10_000))
                result = seen.answered("o1")
                counters = dict(bus.counters())
            slave.stdin.close()
            told = slave.stdout.read()

    assert Result.CONFIRMED is result
    assert "on 5 7\n" == told
    assert 0 == counters.get("exceptions", 0)


# -- pymodbus as slave ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def pymodbus_slave(path: str) -> Iterator[list[tuple[int, Any]]]:
    """Inputs as coils 0-7, of which the third is closed, outputs as coils 16-23, a watchdog at register 214.

    Yields the list of the coil writes that it was asked for.
    """
    writes: list[tuple[int, Any]] = []
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def note(function: int, _start: int, address: int, _count: int, _now: list[int], values: Any) -> None:
        if values is not None:
            writes.append((address, list(values)))

    async def serve() -> None:
        bits = [number == 2 for number in range(24)]
        device = SimDevice(
            7,
            simdata=(
                [SimData(0, values=bits, datatype=DataType.BITS)],
                [SimData(0, values=[False] * 8, datatype=DataType.BITS)],
                [SimData(214, values=[1, 0], datatype=DataType.REGISTERS)],
                [SimData(0, values=0, datatype=DataType.REGISTERS)],
            ),
            action=note,
        )
        server = ModbusSerialServer(device, port=path, baudrate=9600)
        await server.serve_forever(background=True)
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        ready.set()
        await over.wait()
        await server.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="pymodbus")
    thread.start()
    try:
        assert ready.wait(WAIT_S_MAX), "pymodbus did not start"
        yield writes
    finally:
        for call in stop:
            call()
        thread.join(WAIT_S_MAX)


def test_our_master_works_a_pymodbus_slave() -> None:
    """As an ADAM-4055 it is read by coils, its watchdog is read back, and a pulse is written on and off."""
    with (
        cable() as (ours, theirs),
        pymodbus_slave(theirs) as writes,
        our_master(ours, "advantech-adam-4055", host_timed_watchdog_ms=2_000, outputs={"do1": {}}) as (bus, seen),
    ):
        wait_for_inputs(seen, EIGHT_INPUTS_THIRD_CLOSED)
        bus.order("io", Pulse("o1", "do1", 300, Monotonic().monotonic_ms() + 10_000))
        result = seen.answered("o1")
        bus.order("io", Pulse("o2", "do1", 100, Monotonic().monotonic_ms() + 10_000))
        # It is begun when the first one has been ended.
        second = seen.answered("o2")

    assert [Result.CONFIRMED, Result.CONFIRMED] == [result, second]
    assert [(17, [True]), (17, [False]), (17, [True])] == writes[:3]
    assert [Health("io", up=True)] == [s for s in seen.signals if isinstance(s, Health)][:1]


# -- libmodbus as master ----------------------------------------------------------------------------------------------


def mbpoll(path: Path, *options: str, value: str = "") -> tuple[int, list[str]]:
    """Ask once, or write `value`; returns the exit status and the lines that hold values or errors."""
    if not shutil.which("mbpoll"):
        pytest.skip("mbpoll is not installed")
    line = ["-m", "rtu", "-a", "7", "-b", "9600", "-P", "none", "-0", "-1"]
    asked = subprocess.run(
        ["mbpoll", *line, *options, path, *([value] if value else [])],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S_MAX,
    )
    lines = (asked.stdout + asked.stderr).splitlines()
    return asked.returncode, [line for line in lines if line.startswith(("[", "Written")) or "failed" in line]


@pytest.mark.tools
def test_mbpoll_reads_and_writes_our_simulator(tmp_path: Path) -> None:
    """Inputs by FC02, a coil by FC05, the coils back by FC01."""
    module = SimulatedModule(WAVESHARE, 7)
    module.inputs[2] = True
    with PtyPeer(SimulatedLine([module]), tmp_path / "port") as peer:
        read = mbpoll(peer.path, "-t", "1", "-r", "0", "-c", "8")
        written = mbpoll(peer.path, "-t", "0", "-r", "3", value="1")
        back = mbpoll(peer.path, "-t", "0", "-r", "0", "-c", "8")

    assert (0, [f"[{number}]: \t{int(number == 2)}" for number in range(8)]) == read
    assert (0, ["Written 1 references."]) == written
    assert (0, [f"[{number}]: \t{int(number == 3)}" for number in range(8)]) == back
    assert [False, False, False, True, False, False, False, False] == module.outputs


@pytest.mark.tools
def test_mbpoll_reads_the_registers_and_hears_the_exceptions_of_our_simulator(tmp_path: Path) -> None:
    """The watchdog's registers of an ADAM, and an address that is not there."""
    with PtyPeer(SimulatedLine([SimulatedModule(ADAM, 7, watchdog_ms=1_000)]), tmp_path / "port") as peer:
        registers = mbpoll(peer.path, "-t", "4", "-r", "214", "-c", "2")
        status, refused = mbpoll(peer.path, "-t", "0", "-r", "99", "-c", "8")

    assert (0, ["[214]: \t1", "[215]: \t0"]) == registers
    assert status != 0
    assert "Illegal data address" in refused[0]


@pytest.mark.tools
def test_mbpoll_gets_no_answer_from_a_mute_module(tmp_path: Path) -> None:
    """The fault switch is what a real master takes for a dead module."""
    module = SimulatedModule(WAVESHARE, 7, mute=True)
    with PtyPeer(SimulatedLine([module]), tmp_path / "port") as peer:
        status, refused = mbpoll(peer.path, "-t", "1", "-r", "0", "-c", "8", "-o", "0.2")

    assert status != 0
    assert "timed out" in refused[0]
