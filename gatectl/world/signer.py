"""The signature unit of the fiscal journal: slow, away at times, and with a signature that anybody here can check."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain import fiscal_rksv
from gatectl.domain.effects import SignEntry
from gatectl.domain.events import Event
from gatectl.runtime.fiscal import UnitFailed, answered
from gatectl.world.kernel import Kernel

ANSWER_MS: Final = (20, 900)
FAILS: Final = 0.01
"""How often a signing begins an outage."""
OUTAGE_MS: Final = (60_000, 1_800_000)
_KEY: Final = b"a key of nobody"


def signature_of(message: bytes) -> bytes:
    return hashlib.sha512(_KEY + message).digest()


def verify_rksv(message: bytes, signature: bytes) -> bool:
    return signature_of(message) == signature


def verify_pt(message: bytes, signature: str) -> bool:
    return base64.b64encode(signature_of(message)).decode() == signature


@dataclass(slots=True)
class Signer:
    """Satisfies gatectl.runtime.fiscal.SignatureUnit.

    `post` is unheard while the daemon is down; so are answers to an earlier life.
    """

    kernel: Kernel
    rng: Random
    post: Callable[[Event], None]
    life: Callable[[], int]
    away_until_ms: int = 0
    outages: int = field(default=0)

    def ask(self, order: SignEntry) -> None:
        life = self.life()
        self.kernel.after(self.rng.randint(*ANSWER_MS), lambda: self._answer(order, life))

    def _answer(self, order: SignEntry, life: int) -> None:
        if life == self.life():
            self.post(answered(self, order))

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(hashlib.sha256(_KEY + block).digest(), plain, strict=False))

    def sign(self, message: bytes) -> bytes:
        if self.kernel.now_ms >= self.away_until_ms and self.rng.random() < FAILS:
            self.away_until_ms = self.kernel.now_ms + self.rng.randint(*OUTAGE_MS)
            self.outages += 1
        if self.kernel.now_ms < self.away_until_ms:
            raise UnitFailed("no answer")
        return signature_of(message)


def turnover_of(cashbox: str, number: int, hidden: str) -> int:
    """What an encrypted turnover says, for who checks."""
    block = fiscal_rksv.counter_block(cashbox, number)
    plain = bytes(a ^ b for a, b in zip(hashlib.sha256(_KEY + block).digest(), base64.b64decode(hidden), strict=False))
    return int.from_bytes(plain, signed=True)
