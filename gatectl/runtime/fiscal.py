"""The thread that has entries of the fiscal journal signed, behind their commit: no lane waits for a signature unit.

Rule 1: an order is answered once, with a signature or with why there is none; one that is dropped is asked for again by the core.
Rule 2: the unit is called from this thread alone; whatever it raises is its answer.
Rule 3: keys are files of mode 0600 among the credentials, made with the operator's certificate, never here, and never in a
record.
"""

import base64
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from gatectl.domain import fiscal_rksv
from gatectl.domain.effects import SignEntry
from gatectl.domain.events import EntrySigned
from gatectl.domain.fiscal import PT, RKSV, FiscalPlan
from gatectl.runtime.keys import KeysRefused

log = structlog.get_logger()

WAITING_MAX: Final = 256
"""Orders that wait for the unit; what comes beyond is dropped, and asked for again."""
STOP_S_MAX: Final = 5.0
TURNOVER_KEY_FILE: Final = "fiscal-turnover.key"
SIGNING_KEY_FILE: Final = "fiscal-signing.pem"
TURNOVER_KEY_BYTES: Final = 32


class UnitFailed(RuntimeError):
    """Raised by a unit that cannot sign now; the message says why."""


class SignatureUnit(Protocol):
    """Who holds the keys."""

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        """AES-256 in counter mode from a counter block. RKSV only."""

    def sign(self, message: bytes) -> bytes:
        """RKSV: ES256, r and s, 64 bytes. PT: RSA with SHA-1. Raises UnitFailed."""


def load_unit(plan: FiscalPlan, file_of: Callable[[str], Path]) -> SignatureUnit:
    """The unit of a closed system: keys in files. Raises KeysRefused."""
    try:
        from gatectl.runtime import fiscal_keys  # noqa: PLC0415  # a site without a fiscal journal need not have the library
    except ImportError as missing:
        raise KeysRefused("a fiscal journal needs the cryptography library: pip install 'gatectl[fiscal]'") from missing
    signing = _secret(file_of(SIGNING_KEY_FILE))
    if plan.regime == PT:
        return fiscal_keys.rsa_unit(signing)
    turnover = _secret(file_of(TURNOVER_KEY_FILE))
    try:
        key = base64.b64decode(turnover, validate=False)
    except ValueError as error:
        raise KeysRefused(f"{TURNOVER_KEY_FILE} is not base64") from error
    if len(key) != TURNOVER_KEY_BYTES:
        raise KeysRefused(f"{TURNOVER_KEY_FILE} has {len(key)} bytes, not {TURNOVER_KEY_BYTES}")
    return fiscal_keys.ecdsa_unit(signing, key)


def _secret(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except OSError as error:
        raise KeysRefused(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeysRefused(f"{path} has mode {mode:04o}: others can read it. Type: chmod 600 {path}")
    return text


def answered(unit: SignatureUnit, order: SignEntry) -> EntrySigned:
    """What a unit makes of an order."""
    text, why, signature = order.text, "", b""
    try:
        if order.regime == RKSV and fiscal_rksv.COUNTER in text:
            block = fiscal_rksv.counter_block(order.cashbox, order.number)
            hidden = unit.encrypt(block, fiscal_rksv.counter_bytes(order.turnover_minor))
            text = text.replace(fiscal_rksv.COUNTER, base64.b64encode(hidden).decode())
        if order.mark:
            raise UnitFailed("the unit has failed, and has not signed a zero receipt since")
        signature = unit.sign(fiscal_rksv.signing_input(text) if order.regime == RKSV else text.encode())
    except Exception as error:  # noqa: BLE001  # a unit may fail in any way, and money goes on
        why = str(error)[:200] or type(error).__name__
    told = signature.hex() if order.regime == RKSV else base64.b64encode(signature).decode()
    return EntrySigned(order.series, order.number, text, told, why)


class Signing:
    """`ask` never waits. Without a unit nothing is ever asked."""

    def __init__(self, unit: SignatureUnit | None, tell: Callable[[EntrySigned], None]) -> None:
        self._unit, self._tell = unit, tell
        self._waiting: queue.Queue[SignEntry | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="fiscal", daemon=True)
        self._failing = False
        self.dropped = 0

    def start(self) -> None:
        if self._unit is not None:
            self._thread.start()

    def ask(self, order: SignEntry) -> None:
        try:
            self._waiting.put_nowait(order)
        except queue.Full:
            self.dropped += 1

    def stop(self) -> None:
        if self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=STOP_S_MAX)
            except queue.Full:
                log.warning("the signature unit does not answer; left behind")
                return
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        assert self._unit is not None
        while (order := self._waiting.get()) is not None:
            answer = answered(self._unit, order)
            failing = bool(answer.why) and not order.mark
            if failing != self._failing and not order.mark:
                self._failing = failing
                if failing:
                    log.warning("signature unit fails", series=order.series, why=answer.why)
                else:
                    log.info("signature unit signs again", series=order.series)
            self._tell(answer)
