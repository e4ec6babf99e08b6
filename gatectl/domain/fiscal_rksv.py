"""Austria: the chained receipts of the Registrierkassensicherheitsverordnung (RKSV), suite R1-AT1. Bytes and texts, no keys.

The data of a receipt, its parts joined by "_" (RKSV, Anlage "Detailspezifikation", 4 and 5):

    _R1-AT1_cash box_number_local time_normal_reduced 1_reduced 2_zero_special_turnover_certificate_chain

Rule 1: `chain` is the first 8 bytes of SHA-256 over the whole receipt before, as a JWS in compact form; over the id of the cash
box for the first one, the start receipt, which is zero.
Rule 2: `turnover` is the sum of all receipts so far, in cents, 8 bytes of two's complement, AES-256 in counter mode; the
counter block begins as the first 16 bytes of SHA-256 over cash box and number. A receipt that takes back has "STO" in its place
and lowers the sum, one for training has "TRA" and leaves it.
Rule 3: a receipt that could not be signed carries the words FAILED_WORDS as its signature, and the chain goes on over it.
Rule 4: the signature is ES256 over header and data as a JWS (RFC 7515); the paper shows data, "_" and the signature in base64.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final

SUITE: Final = "R1-AT1"
HEADER: Final = "eyJhbGciOiJFUzI1NiJ9"
"""{"alg":"ES256"}"""
FAILED_WORDS: Final = b"Sicherheitseinrichtung ausgefallen"
CHAIN_BYTES: Final = 8
COUNTER_BYTES: Final = 8
COUNTER: Final = "<turnover>"
"""Stands in a receipt's data for the turnover until it is encrypted."""
START, SALE, REFUND, TRAINING, MONTH, COLLECTIVE = "start", "sale", "refund", "training", "month", "collective"
"""What a receipt is: "collective" is the zero receipt with which signing begins again after it had failed."""
_INSTEAD: Final = {REFUND: base64.b64encode(b"STO").decode(), TRAINING: base64.b64encode(b"TRA").decode()}

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature (64 bytes, r and s) is that of a message."""


def chain_value(before: str) -> str:
    """`before`: the JWS of the receipt before, or the cash box's id for the first."""
    return base64.b64encode(hashlib.sha256(before.encode()).digest()[:CHAIN_BYTES]).decode()


def counter_block(cashbox: str, number: int) -> bytes:
    """Where AES counts from for one receipt: 16 bytes."""
    return hashlib.sha256(f"{cashbox}{number}".encode()).digest()[:16]


def counter_bytes(turnover_minor: int) -> bytes:
    return turnover_minor.to_bytes(COUNTER_BYTES, signed=True)


def data(
    cashbox: str, number: int, what: str, at_ms: int, zone: tzinfo, amount_minor: int, certificate: str, before: str
) -> str:
    """What is signed. COUNTER is in it where the encrypted turnover belongs, unless the receipt has a word there."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    amounts = "_".join((_decimal(amount_minor), *["0,00"] * 4))
    turnover = _INSTEAD.get(what, COUNTER)
    chain = chain_value(before)
    return f"_{SUITE}_{cashbox}_{number}_{local:%Y-%m-%dT%H:%M:%S}_{amounts}_{turnover}_{certificate}_{chain}"


def _decimal(minor: int) -> str:
    whole, part = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole},{part:02d}"


def signing_input(text: str) -> bytes:
    return f"{HEADER}.{_url(text.encode())}".encode()


def jws(text: str, signature: bytes) -> str:
    """The compact form: what is stored, exported, and chained over."""
    return f"{signing_input(text).decode()}.{_url(signature)}"


def machine_code(compact: str) -> str:
    """What the QR code on the paper says."""
    _, payload, signature = compact.split(".")
    return f"{_of_url(payload).decode()}_{base64.b64encode(_of_url(signature)).decode()}"


def data_of(compact: str) -> str:
    return _of_url(compact.split(".")[1]).decode()


def is_failed(compact: str) -> bool:
    return _of_url(compact.split(".")[2]) == FAILED_WORDS


def first_wrong(receipts: Iterable[str], cashbox: str, verify: Verify) -> str:
    """What is wrong with a till's receipts from its start, in words; empty if nothing is."""
    before, failed = cashbox, False
    for number, compact in enumerate(receipts, 1):
        parts = data_of(compact).split("_")
        zero = all(part == "0,00" for part in parts[5:10])
        wrong = (
            "not this cash box" if parts[2] != cashbox
            else "not the next number" if parts[3] != str(number)
            else "not chained to the one before" if parts[12] != chain_value(before)
            else "the start receipt is not zero" if number == 1 and not zero
            else "signing began again without a zero receipt" if failed and not is_failed(compact) and not zero
            else "" if is_failed(compact) or is_signed(compact, verify)
            else "not signed by this key"
        )  # fmt: skip
        if wrong:
            return f"receipt {number}: {wrong}"
        before, failed = compact, is_failed(compact)
    return ""


def is_signed(compact: str, verify: Verify) -> bool:
    message, _, signature = compact.rpartition(".")
    return verify(message.encode(), _of_url(signature))


def export(groups: Iterable[tuple[str, Iterable[str]]]) -> Mapping[str, object]:
    """The data collection protocol as it is handed over: receipts under the certificate (base64 of DER) that signed them."""
    return {
        "Belege-Gruppe": [
            {"Signaturzertifikat": certificate, "Zertifizierungsstellen": [], "Belege-kompakt": list(receipts)}
            for certificate, receipts in groups
        ]
    }


def _url(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def _of_url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
