"""A terminal that is looked at for a while: lines that change in place, keys without Enter, and everything as it was afterwards.

Only lines that differ from the last frame are written, so that nothing flickers. Standard library only.
"""

import os
import select
import shutil
import signal
import sys
import termios
import unicodedata
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Final, Self

Line = tuple[str, str]
"""Text, and a style of `STYLES`."""

STYLES: Final = {
    "": "",
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "red": "\x1b[1;31m",
    "yellow": "\x1b[33m",
    "green": "\x1b[32m",
}
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
KEYS_READ_MAX: Final = 64
"""Bytes of typing taken at once; the first one counts."""


def width_of(text: str) -> int:
    """Cells that a text fills: wide letters fill two, marks that combine none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int) -> str:
    """Exactly so many cells: filled up with blanks, or cut with a mark at the end."""
    cells = width_of(text)
    if cells <= width:
        return text + " " * (width - cells)
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return fit(f"{text}~"[: max(0, width)], width) if width > 0 else ""


class Screen:
    """A context manager. Ctrl-C sets `interrupted` and breaks nothing off; Ctrl-Z is not heeded meanwhile."""

    def __init__(self, colour: bool) -> None:
        self.interrupted = False
        self._colour = colour
        self._before: list[str] = []
        self._size = (0, 0)
        self._in = sys.stdin.fileno()
        self._was: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._was = termios.tcgetattr(self._in)
        raw = termios.tcgetattr(self._in)
        raw[3] &= ~(termios.ICANON | termios.ECHO)
        raw[6][termios.VSUSP] = b"\x00"  # stopped, it would leave the terminal to the shell as it is now
        self._handlers = {number: signal.signal(number, _end) for number in _SIGNALS}
        self._handlers[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        termios.tcsetattr(self._in, termios.TCSADRAIN, raw)
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write(_LEAVE)
        finally:
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._was)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True

    @staticmethod
    def size() -> tuple[int, int]:
        """Columns and rows."""
        columns, rows = shutil.get_terminal_size()
        return max(20, columns), max(5, rows)

    def paint(self, lines: Sequence[Line], size: tuple[int, int]) -> None:
        """Show the lines, as many as there are rows."""
        parts: list[str] = []
        if size != self._size:
            self._size, self._before = size, []
            parts.append("\x1b[2J")
        shown = [self._styled(fit(text, size[0]).rstrip(), style) for text, style in lines[: size[1]]]
        shown += [""] * (size[1] - len(shown))
        for row, text in enumerate(shown):
            if row >= len(self._before) or self._before[row] != text:
                parts.append(f"\x1b[{row + 1};1H{text}\x1b[K")
        self._before = shown
        if parts:
            self._write("".join(parts))

    def _styled(self, text: str, style: str) -> str:
        return f"{STYLES[style]}{text}\x1b[0m" if self._colour and STYLES[style] else text

    def _write(self, text: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()

    def key(self, timeout_s: float) -> str:
        """The key that is pressed within the time, or "". At the end of the input, as if `q` were."""
        ready, _, _ = select.select([self._in], [], [], timeout_s)
        if not ready:
            return ""
        typed = os.read(self._in, KEYS_READ_MAX)
        return typed[:1].decode("latin-1") if typed else "q"


def _end(number: int, frame: FrameType | None) -> None:
    """Leave in good order, with the exit code that a shell gives a program that a signal ended."""
    raise SystemExit(128 + number)
