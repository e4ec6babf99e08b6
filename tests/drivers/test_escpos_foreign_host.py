"""The simulated printer, driven by a host that is not ours: receiptio 2.1.2 (npm, Apache-2.0).

Installed by `.ci/tools-npm DIR`; the tests look for it in the folder that GATECTL_NPM_TOOLS names. It only speaks to
port 9100, so every test takes a loopback address of its own.
"""

import contextlib
import os
import random
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.sim.escpos import SimulatedPrinter

PORT = 9_100
TURN_S = 0.005
HOST_S_MAX = 60
BIND_TRIES_MAX = 20

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def receiptio() -> list[str]:
    """How to start it."""
    node, tools = shutil.which("node"), os.environ.get("GATECTL_NPM_TOOLS")
    if node is None:
        pytest.skip("no node on this machine")
    if tools is None:
        pytest.skip("GATECTL_NPM_TOOLS names no folder; see .ci/tools-npm")
    cli = Path(tools, "node_modules", "receiptio", "bin", "cli.js")
    assert cli.is_file(), f"{cli} is missing"
    return [node, str(cli)]


def _listen() -> socket.socket:
    chance = random.SystemRandom()
    for _ in range(BIND_TRIES_MAX):
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((f"127.{chance.randint(1, 254)}.{chance.randint(0, 254)}.{chance.randint(1, 254)}", PORT))
        except OSError:
            server.close()
            continue
        server.listen()
        return server
    pytest.fail("no free loopback address")


def _serve(server: socket.socket, printer: SimulatedPrinter, done: threading.Event) -> None:
    """Stand between a socket and the printer until `done`."""
    client: socket.socket | None = None
    while not done.is_set():
        readable, _, _ = select.select([client or server], [], [], TURN_S)
        now_ms = time.monotonic_ns() // 1_000_000
        if readable and client is None:
            client = server.accept()[0]
        elif readable and client is not None:
            try:
                data = client.recv(4_096)
            except ConnectionError:
                data = b""
            printer.received(data, now_ms)
            if not data:
                client.close()
                client = None
        reply, _ = printer.poll(now_ms)
        if reply and client is not None:
            with contextlib.suppress(OSError):
                client.sendall(reply)
    if client is not None:
        client.close()


@contextlib.contextmanager
def _online(printer: SimulatedPrinter) -> Iterator[str]:
    server, done = _listen(), threading.Event()
    thread = threading.Thread(target=_serve, args=(server, printer, done))
    thread.start()
    try:
        yield server.getsockname()[0]
    finally:
        done.set()
        thread.join()
        server.close()


def _run(receiptio: list[str], printer: SimulatedPrinter, *options: str, text: str = "") -> str:
    """What it says came of it; it says so on the error output."""
    with _online(printer) as address:
        command = [*receiptio, "-p", "escpos", "-d", address, *options]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=HOST_S_MAX, check=False)
    return done.stderr.strip()


STATES: list[tuple[str, Callable[[SimulatedPrinter], None]]] = [
    ("online", lambda printer: None),
    ("coveropen", lambda printer: setattr(printer, "cover_open", True)),
    ("paperempty", lambda printer: setattr(printer, "paper_out", True)),
    ("error", lambda printer: setattr(printer, "broken", True)),
]


@pytest.mark.parametrize(("answer", "put"), STATES, ids=[answer for answer, _ in STATES])
def test_it_reads_our_status(receiptio: list[str], answer: str, put: Callable[[SimulatedPrinter], None]) -> None:
    """DLE EOT 2, and DLE ENQ 2 at an error."""
    printer = SimulatedPrinter()
    put(printer)

    assert answer == _run(receiptio, printer, "-q")


def test_it_prints_on_our_printer(receiptio: list[str]) -> None:
    """Automatic status, text with attributes and a code page, an image (its QR code), cut, and GS r at the end."""
    printer = SimulatedPrinter()
    text = '^^^"TICKET"\n\nEntry |10:15\n\n{code:K7QF-000123;option:qrcode,6,m}\n\nAfter the image\n'

    answer = _run(receiptio, printer, "-c", "42", "-l", "de", text=text)

    (document,) = printer.printed
    assert "success" == answer
    assert 0 == printer.unknown_commands
    (title,) = [line for line in document.lines if "TICKET" in line.text]
    assert (True, True) == (title.bold, title.big)
    assert "Entry" in document.text
    assert "10:15" in document.text
    assert "After the image" in document.text


def test_it_prints_umlauts_and_the_euro_sign(receiptio: list[str]) -> None:
    """It chooses the code pages by its own tables."""
    printer = SimulatedPrinter()

    assert "success" == _run(receiptio, printer, "-c", "42", "-l", "de", text="Ausfahrt Süd 2,50 €\n")
    assert "Ausfahrt Süd 2,50 €" in printer.printed[0].text


def test_it_hears_that_the_paper_has_run_out(receiptio: list[str]) -> None:
    """In the middle of its job, by automatic status: it is not told that the rest was printed."""
    printer = SimulatedPrinter(paper_lines_left=2)

    answer = _run(receiptio, printer, "-c", "42", text="one\ntwo\nthree\nfour\nfive\nsix\n")

    assert ("paperempty", 0) == (answer, len(printer.printed))


def test_it_hears_that_the_cutter_has_failed(receiptio: list[str]) -> None:
    """The last command before the end fails."""
    printer = SimulatedPrinter(cutter_blocked=True)

    assert "error" == _run(receiptio, printer, "-c", "42", text="one\ntwo\n")
