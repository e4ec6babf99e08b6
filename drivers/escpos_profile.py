"""The models of ESC/POS printers, and what their status bytes mean together."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from drivers.api import PrinterStatus
from drivers.codecs import escpos
from drivers.codecs.escpos import FullStatus, Style

BUFFER_SPARE_BYTES: Final = 64
"""Left free in the printer's receive buffer by the longest job: it never comes near "buffer full" (16 bytes)."""
EJECTOR: Final = -1
"""Stands among the requests of a status round for GS e 6, as n stands for DLE EOT n."""
_HEX: Final = frozenset({"auto_status_off", "cut", "clear", "present", "retract"})


@dataclass(frozen=True, slots=True)
class Profile:
    """A model, as `profiles/escpos.toml` describes it."""

    columns: int
    code_page: str
    code_pages: Mapping[str, int]
    requests: tuple[int, ...]
    """The n of DLE EOT n that make up a status round."""
    qr_ecc_m: int
    qr_m: int
    auto_status_off: bytes
    cut: bytes
    buffer_bytes: int
    print_ms_max: int
    """From the last byte of a job to its in-order reply."""
    clear: bytes
    """Empties the printer's buffers; executed at once."""
    clear_ms: int
    mouth: bool
    present: bytes = b""
    retract: bytes = b""
    retract_ms_max: int = 0

    def style(self, options: Mapping[str, Any]) -> Style:
        """How to print with a device's options, which were checked."""
        codec = str(options.get("code_page", self.code_page))
        return Style(
            columns=int(options.get("columns", self.columns)),
            codec=codec,
            code_page=self.code_pages[codec],
            qr_ecc_m=self.qr_ecc_m,
            qr_m=self.qr_m,
            job_bytes_max=self.buffer_bytes - BUFFER_SPARE_BYTES,
            before=self.auto_status_off,
            after=self.cut + self.present,
        )


@cache
def profiles() -> Mapping[str, Profile]:
    """All models by name."""
    text = files("drivers").joinpath("profiles", "escpos.toml").read_text("utf-8")
    return {model: _profile(table) for model, table in tomllib.loads(text).items()}


def _profile(table: Mapping[str, Any]) -> Profile:
    values: dict[str, Any] = {key: bytes.fromhex(value) if key in _HEX else value for key, value in table.items()}
    values["requests"] = tuple(table["requests"])
    return Profile(**values)


def read_status(device: str, readings: Mapping[int, int | FullStatus], ejector: int) -> PrinterStatus:
    """What the answers of one round say together, by n; `ejector` is the last answer to GS e 6, 0 if there is none.

    Bits of DLE EOT 1-4: Epson TM-T88III specification. Of the full status: Custom KPM210/216 manual for paper and user,
    VKP80III command manual for the errors. Of the ejector: KPM210/216 manual, GS e.
    """
    printer, offline, error, roll = (_byte(readings.get(n)) for n in (1, 2, 3, 4))
    low, out, cover = bool(roll & 0x0C), bool(roll & 0x60 or offline & 0x20), bool(offline & 0x04)
    cutter, broken, mouth = bool(error & 0x08), bool(offline & 0x40 or error & 0x60), None
    full = readings.get(escpos.FULL_STATUS)
    if isinstance(full, FullStatus):
        low, out, cover = bool(full.paper & 0x04), bool(full.paper & 0x01), bool(full.user & 0x02)
        cutter, mouth = bool(full.unrecoverable & 0x03), bool(full.paper & 0x20)
        head_up, hot_or_supply_or_jam = full.user & 0x01, full.recoverable & 0x49
        memory_or_ejector, ejector_error_or_jam = full.unrecoverable & 0x8C, ejector & 0xC0
        broken = bool(head_up or hot_or_supply_or_jam or memory_or_ejector or ejector_error_or_jam)
    return PrinterStatus(
        device,
        online=not printer & 0x08,
        paper_low=None if cover else low,  # with the cover open the sensors see anything
        paper_out=None if cover else out,
        cover_open=cover,
        cutter_error=cutter,
        error=broken,
        in_mouth=mouth,
    )


def _byte(reading: int | FullStatus | None) -> int:
    return reading if isinstance(reading, int) else 0


def not_ready(status: PrinterStatus | None) -> str:
    """Why a printer in this state cannot print; empty if it can."""
    if status is None:
        return "status unknown"
    reasons = (
        ("cover open", status.cover_open),
        ("paper out", status.paper_out),
        ("cutter error", status.cutter_error),
        ("printer error", status.error),
        ("offline", not status.online),
    )
    return next((why for why, holds in reasons if holds), "")
