"""The forms of the fiscal journals, held against published examples: receipts that others' registers have signed, RFCs, NIST.

Sources: a start receipt of a certified Austrian till service (cash box "fiskaltrust5", 2022-03-11); an independent register's
example chain (cash box "WOKFLOW-1", key 01..01, signatures of zero bytes); the link of an example receipt in the reference code
of the RKSV; RFC 7515 A.3 (ES256), RFC 6979 A.2.5 (P-256, SHA-256), NIST SP 800-38A F.5.5 (AES-256 CTR). For Portugal the texts
that are signed are those of Despacho 8632/2014, section 7; its example key is printed incomplete, so no published signature can
be made again.
"""

import base64
import hashlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gatectl.domain import fiscal_pt, fiscal_rksv
from gatectl.domain.effects import SignEntry
from gatectl.domain.fiscal import PT, RKSV, FiscalPlan
from gatectl.runtime.fiscal import answered
from gatectl.runtime.fiscal_keys import EcdsaUnit, RsaUnit, es256_by, is_es256, rsa_sha1_by, rsa_unit

VIENNA, LISBON = ZoneInfo("Europe/Vienna"), ZoneInfo("Europe/Lisbon")
EXAMPLE_KEY = b"\x01" * 32
EVENING_MS = int(datetime(2026, 9, 22, 18, 30, tzinfo=UTC).timestamp()) * 1000
FIRST = "_R1-AT1_WOKFLOW-1_1_2026-09-22T20:30:00_0,00_0,00_0,00_0,00_0,00_wR7hXrYDXB0=_1a2b3c4d_A9uoGMk1JrA="
PLAN = FiscalPlan(
    PT,
    tax_percent=23,
    tax_number="500000000",
    software="1234",
    codes={"FS OUT-1": "CSDF7T5H", "NC OUT-1": "CSDF7T5J"},
)


class Zeros:
    """Signs with zero bytes, as the independent register's example does."""

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        return EcdsaUnit(ec.generate_private_key(ec.SECP256R1()), EXAMPLE_KEY).encrypt(block, plain)

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


def test_the_first_receipt_chains_to_its_cash_box() -> None:
    """As a certified till service has it on the paper of its start receipt."""
    paper = "_R1-AT1_fiskaltrust5_ft0#1_2022-03-11T15:00:37_0,00_0,00_0,00_0,00_0,00_q/bxNvA=_359aff00_P5AumsFgq2E="

    assert paper.rpartition("_")[2] == fiscal_rksv.chain_value("fiskaltrust5")


def test_a_start_receipt_and_the_one_behind_it_as_another_register_makes_them() -> None:
    """Turnover by AES-256 in counter mode, the chain over the whole receipt before: to the letter."""
    asked = fiscal_rksv.data("WOKFLOW-1", 1, "start", EVENING_MS, VIENNA, 0, "1a2b3c4d", "WOKFLOW-1")
    first = answered(Zeros(), SignEntry("OUT-1", 1, RKSV, asked, "WOKFLOW-1", 0))
    assert FIRST == first.text

    before = fiscal_rksv.jws(first.text, bytes.fromhex(first.signature))
    sale = fiscal_rksv.data("WOKFLOW-1", 2, "sale", EVENING_MS, VIENNA, 1990, "1a2b3c4d", before)
    second = answered(Zeros(), SignEntry("OUT-1", 2, RKSV, sale, "WOKFLOW-1", 1990))
    parts = second.text.split("_")
    assert ["AoC9QVGBkH0=", "1a2b3c4d", "sNKAk7giKHw="] == parts[10:]


def test_what_takes_back_and_what_is_for_training_have_their_words() -> None:
    texts = [
        fiscal_rksv.data("A", 3, what, EVENING_MS, VIENNA, amount, "1a", "x")
        for what, amount in (("refund", -1990), ("training", 700))
    ]

    assert [("-19,90", "U1RP"), ("7,00", "VFJB")] == [(text.split("_")[5], text.split("_")[10]) for text in texts]


def test_the_paper_shows_the_signature_in_plain_base64() -> None:
    """The reference code's example: eight bytes of SHA-256 over the machine-readable code make the link that stands for it."""
    code = (
        "_R1-AT0_DEMO-CASH-BOX703_496410_2015-12-17T11:22:26_61,33_15,42_38,26_0,00_42,81_udSL0zTzFaA=_b869153bc32a1c9"
        "_TZgOKfzheUs=_d7VoZ/nyr/8Mt2NVBZ0L4ivQwdlE3CmCFmz10bA5NXhGQ1QkunsDTqKvOSy//3nO8WT0+ypQqrDXMvyOGOXl9w=="
    )
    data, _, signature = code.rpartition("_")
    compact = fiscal_rksv.jws(data, base64.b64decode(signature))

    assert code == fiscal_rksv.machine_code(compact)
    assert fiscal_rksv.HEADER == compact.split(".")[0]


def test_es256_is_that_of_the_rfc() -> None:
    """RFC 7515, appendix A.3: the key and the signature of the example."""
    numbers = (
        int.from_bytes(base64.urlsafe_b64decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")),
        int.from_bytes(base64.urlsafe_b64decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0=")),
    )
    key = ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()
    message = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p"
        b"c19yb290Ijp0cnVlfQ"
    )
    signature = base64.urlsafe_b64decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q=="
    )

    assert is_es256(key, message, signature)
    assert not is_es256(key, message + b".", signature)


def test_signatures_are_deterministic_as_the_rfc_has_them() -> None:
    """RFC 6979, A.2.5: P-256 with SHA-256 of "sample"."""
    private = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
    r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

    assert bytes.fromhex(r + s) == EcdsaUnit(private, EXAMPLE_KEY).sign(b"sample")


def test_the_turnover_is_hidden_by_counter_mode() -> None:
    """NIST SP 800-38A, F.5.5, first block."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    block = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    unit = EcdsaUnit(ec.generate_private_key(ec.SECP256R1()), key)

    assert "601ec313775789a5b7a7f504bbf3d228" == unit.encrypt(block, plain).hex()


def a_till(receipts: int) -> tuple[list[str], EcdsaUnit]:
    unit = EcdsaUnit(ec.generate_private_key(ec.SECP256R1()), EXAMPLE_KEY)
    before, made = "GARAGE-OUT-1", []
    for number in range(1, receipts + 1):
        what, amount = ("start", 0) if number == 1 else ("sale", 250)
        text = fiscal_rksv.data("GARAGE-OUT-1", number, what, EVENING_MS, VIENNA, amount, "1a2b", before)
        done = answered(unit, SignEntry("OUT-1", number, RKSV, text, "GARAGE-OUT-1", 250 * (number - 1)))
        before = fiscal_rksv.jws(done.text, bytes.fromhex(done.signature))
        made.append(before)
    return made, unit


def test_a_whole_till_verifies_and_a_changed_one_does_not() -> None:
    receipts, unit = a_till(4)
    public = unit.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    verify = es256_by(public)

    assert "" == fiscal_rksv.first_wrong(receipts, "GARAGE-OUT-1", verify)
    assert "receipt 3: not the next number" == fiscal_rksv.first_wrong(
        [*receipts[:2], receipts[3]], "GARAGE-OUT-1", verify
    )
    forged = fiscal_rksv.jws(fiscal_rksv.data_of(receipts[1]).replace("2,50", "1,50"), bytes(64))
    assert "receipt 2: not signed by this key" == fiscal_rksv.first_wrong(
        [receipts[0], forged, *receipts[2:]], "GARAGE-OUT-1", verify
    )
    assert "receipt 1: not this cash box" == fiscal_rksv.first_wrong(receipts, "OTHER", verify)


def test_the_protocol_that_is_handed_over() -> None:
    """RKSV, Anlage, 3: groups of receipts under the certificate that signed them."""
    (group,) = fiscal_rksv.export([("MIIB", ["a.b.c"])])["Belege-Gruppe"]  # type: ignore[misc]  # a list of one

    assert {"Signaturzertifikat": "MIIB", "Zertifizierungsstellen": [], "Belege-kompakt": ["a.b.c"]} == group


# -- Portugal -------------------------------------------------------------------------------------------------------------


def lisbon_ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=LISBON).timestamp()) * 1000  # type: ignore[misc]  # six numbers


@pytest.mark.parametrize(
    ("number", "when", "gross", "before", "text"),
    [
        (14, (2010, 5, 18, 11, 22, 19), 312, "", "2010-05-18;2010-05-18T11:22:19;FAC 001/14;3.12;"),
        (15, (2010, 5, 18, 15, 43, 25), 2500, "oso2F", "2010-05-18;2010-05-18T15:43:25;FAC 001/15;25.00;oso2F"),
    ],
)
def test_what_is_signed_is_as_the_authority_writes_it(
    number: int, when: tuple[int, ...], gross: int, before: str, text: str
) -> None:
    assert text == fiscal_pt.message("FAC 001", number, lisbon_ms(*when), LISBON, gross, before)


def test_rsa_with_sha1_is_that_of_openssl() -> None:
    """PKCS #1 v1.5: a signature opened by hand is the digest in its padding."""
    key = rsa.generate_private_key(65537, 1024)
    text = b"2010-05-18;2010-05-18T11:22:19;FAC 001/14;3.12;"
    signature = RsaUnit(key).sign(text)
    numbers = key.public_key().public_numbers()
    opened = pow(int.from_bytes(signature), numbers.e, numbers.n).to_bytes(128)
    prefix = bytes.fromhex("3021300906052b0e03021a05000414")
    digest = prefix + hashlib.sha1(text, usedforsecurity=False).digest()

    assert b"\0\1" + b"\xff" * (125 - len(digest)) + b"\0" + digest == opened


def test_a_series_verifies_from_its_start() -> None:
    key = rsa.generate_private_key(65537, 1024)
    unit = rsa_unit(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    verify = rsa_sha1_by(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    before, pairs = "", []
    for number in range(1, 4):
        text = fiscal_pt.message("FS OUT-1", number, EVENING_MS, LISBON, 250, before)
        before = answered(unit, SignEntry("FS OUT-1", number, PT, text)).signature
        pairs.append((text, before))

    assert "" == fiscal_pt.first_wrong(pairs, verify)
    assert "document 2: not the next number" == fiscal_pt.first_wrong([pairs[0], pairs[2]], verify)
    assert "document 1: not signed by this key" == fiscal_pt.first_wrong([(pairs[0][0], pairs[1][1])], verify)
    assert 172 == len(before)


def test_atcud_and_qr_code() -> None:
    """Portaria 195/2020: validation code and number; the fields of the QR code in their order."""
    signature = "a" + "." * 9 + "b" + "." * 9 + "c" + "." * 9 + "d" + "." * 141
    text = fiscal_pt.qr_text(PLAN, "FS OUT-1", 1, EVENING_MS, LISBON, 1230, signature)

    assert "CSDF7T5H-1" == fiscal_pt.atcud(PLAN, "FS OUT-1", 1)
    assert (
        "A:500000000*B:999999990*C:PT*D:FS*E:N*F:20260922*G:FS OUT-1/1*H:CSDF7T5H-1*I1:PT*I7:10.00*I8:2.30*N:2.30*O:12.30"
        "*Q:abcd*R:1234"
    ) == text
