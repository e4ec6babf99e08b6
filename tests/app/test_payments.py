"""Money through the real daemon: the page's commands, real signatures, a kill between the money and its signature."""

import base64
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bench import SiteUnderTest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from test_rights import examples, gatectl

from gatectl.domain import fiscal_rksv
from gatectl.runtime.fiscal_keys import es256_by

SITE_FILE = """
[money]
offline_payment_minor = 2000
offline_day_minor = 10000
shift_tills = ["desk"]

[fiscal]
regime = "rksv"
cashbox = "APP-01"
certificate = "1a2b3c"
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteUnderTest]:
    site = SiteUnderTest(tmp_path, SITE_FILE)
    key = ec.generate_private_key(ec.SECP256R1())
    credentials = tmp_path / "state" / "credentials"
    credentials.mkdir(mode=0o700)
    for name, secret in (
        ("fiscal-signing.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        ("fiscal-turnover.key", base64.b64encode(b"7" * 32)),
    ):
        (credentials / name).touch(mode=0o600)
        (credentials / name).write_bytes(secret)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "unit.pem").write_bytes(public)
    try:
        site.start()
        site.wait_ready_lanes()
        yield site
    finally:
        site.close()


def test_the_page_says_what_the_commands_print_and_the_chain_outlives_a_kill(
    site: SiteUnderTest, tmp_path: Path
) -> None:
    """Then the daemon is killed behind a payment: its entry is signed by the next, and the whole till verifies."""
    known = {"TICKET": site.enter()[0], "OTHER": site.enter()[0], "UNIT": str(tmp_path / "unit.pem")}
    for command, printed in examples("payments.md"):
        if " DEBT" in command:
            ((known["DEBT"],),) = site.rows("SELECT debt FROM debts")
        if " SHIFT" in command:
            ((known["SHIFT"],),) = site.rows("SELECT shift FROM shifts")
        if "fiscal" in command:
            site.wait("fiscal.signed", number=4)
        found = gatectl(site, *[known.get(word, word) for word in shlex.split(command)[1:]])
        pattern = ".*".join(re.escape(re.sub(" +", " ", part)) for part in printed.split("…"))
        pattern += ".*" if "ticket show" in command else ""
        assert re.fullmatch(pattern, re.sub(" +", " ", found), flags=re.S), f"{command}\n{found}"

    gatectl(site, "shift", "open", "0", "--till", "desk")
    gatectl(site, "pay", known["TICKET"], "--till", "desk", "--yes")
    site.kill()
    site.start()
    site.wait_ready_lanes()
    site.wait("fiscal.signed", number=5)
    assert "desk: 5 entries, chained and signed from the first.\n" == gatectl(
        site, "fiscal", "verify", "desk", "--key", known["UNIT"]
    )
    gatectl(site, "fiscal", "export", "desk", str(tmp_path / "dep.json"))
    (group,) = json.loads((tmp_path / "dep.json").read_text())["Belege-Gruppe"]
    verify = es256_by((tmp_path / "unit.pem").read_bytes())
    assert "" == fiscal_rksv.first_wrong(group["Belege-kompakt"], "APP-01-desk", verify)
    site.check()
