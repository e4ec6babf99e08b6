"""A one-time code becomes a credential file that only its owner can read."""

import os
import stat
from pathlib import Path

import pytest
from sync_fakes import SECRET, SITE, FakeOffice

from sync.credential import Credential, CredentialRefused, read_credential, write_credential
from sync.enrol import EnrolmentFailed, enrol
from sync.ports import Answer, Unreachable

ADDRESS = "https://office.example"
MADE = Credential(SITE, ADDRESS, "installation-1", SECRET, 1)


def _enrol(office, path: Path, code: str = "C0DE", replace: bool = False) -> Credential:
    return enrol(office, address=ADDRESS, site=SITE, code=code, software="t", path=path, replace=replace)


def _office() -> FakeOffice:
    office = FakeOffice()
    office.codes = {"C0DE": "", "OLD": "expired", "USED": "used"}
    return office


def test_a_code_becomes_a_credential_file(tmp_path: Path) -> None:
    """The file can be read back, is the owner's alone, and nothing else is left in its folder."""
    path = tmp_path / "credential.json"
    made = _enrol(_office(), path)

    assert made == read_credential(path, {})
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(tmp_path.iterdir())
    assert SECRET not in repr(made)


@pytest.mark.parametrize(("code", "name"), [("NO", "bad-code"), ("OLD", "expired-code"), ("USED", "already-enrolled")])
def test_a_bad_code_is_refused_by_name(tmp_path: Path, code: str, name: str) -> None:
    with pytest.raises(EnrolmentFailed) as caught:
        _enrol(_office(), tmp_path / "credential.json", code)

    assert name == caught.value.name
    assert [] == list(tmp_path.iterdir())


def test_an_enrolled_site_is_not_overwritten_silently(tmp_path: Path) -> None:
    """The code is not even spent; asked to replace, it is."""
    path, office = tmp_path / "credential.json", _office()
    write_credential(path, MADE)
    with pytest.raises(CredentialRefused, match="credential-exists"):
        _enrol(office, path)
    assert [] == office.asked
    assert MADE == read_credential(path, {})
    made = _enrol(office, path, replace=True)

    assert made == read_credential(path, {})
    assert made != MADE


def test_two_enrolments_at_once_leave_one(tmp_path: Path) -> None:
    """The file appeared between the look and the write."""
    path = tmp_path / "credential.json"
    write_credential(path, MADE)
    with pytest.raises(CredentialRefused, match="credential-exists"):
        write_credential(path, Credential(SITE, ADDRESS, "another", SECRET, 2))

    assert MADE == read_credential(path, {})
    assert [path] == list(tmp_path.iterdir())


def test_a_code_is_not_spent_where_nothing_can_be_written(tmp_path: Path) -> None:
    office = _office()
    with pytest.raises(CredentialRefused, match="credential-unwritable"):
        _enrol(office, tmp_path / "nowhere" / "credential.json")

    assert [] == office.asked


class _Says:
    def __init__(self, answer: Answer | Unreachable) -> None:
        self.answer = answer

    def ask(self, request) -> Answer | Unreachable:
        return self.answer

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "answer",
    [Unreachable("no route"), Answer(200, "text/html", (), b"<html>"), Answer(201, "application/json", (), b"{")],
)
def test_a_portal_enrols_nobody(tmp_path: Path, answer: Answer | Unreachable) -> None:
    with pytest.raises(EnrolmentFailed) as caught:
        _enrol(_Says(answer), tmp_path / "credential.json")

    assert "unreachable" == caught.value.name
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700])
def test_a_credential_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "credential.json"
    write_credential(path, MADE)
    path.chmod(mode)
    with pytest.raises(CredentialRefused) as caught:
        read_credential(path, {})

    assert "credential-mode" == caught.value.name
    assert f"{mode:04o}" in str(caught.value)


def test_systemd_answers_for_its_own_credentials(tmp_path: Path) -> None:
    """Under $CREDENTIALS_DIRECTORY the mode is systemd's matter; a link that leads out of it is not."""
    given = tmp_path / "credentials"
    given.mkdir()
    inside, outside = given / "office", tmp_path / "outside"
    for path in (inside, outside):
        write_credential(path, MADE)
        path.chmod(0o440)
    (given / "link").symlink_to(outside)

    assert MADE == read_credential(inside, {"CREDENTIALS_DIRECTORY": str(given)})
    for path in (outside, given / "link"):
        with pytest.raises(CredentialRefused, match="credential-mode"):
            read_credential(path, {"CREDENTIALS_DIRECTORY": str(given)})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema":"gatectl.credential/2"}',
        '{"schema":"gatectl.credential/1","site":"s","office":"o","installation":"i","credential":"c","generation":1}',
        '{"schema":"gatectl.credential/1","site":"s","office":"o","installation":"i",'
        '"credential":"abcdefghijklmnop\\r\\nx: y","generation":1}',
        '{"schema":"gatectl.credential/1","site":"s","office":"o","installation":"i",'
        '"credential":"abcdefghijklmnop","generation":0}',
        "x" * 20_000,
    ],
)
def test_a_broken_credential_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credential.json"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(CredentialRefused) as caught:
        read_credential(path, {})

    assert "credential-malformed" == caught.value.name


def test_a_missing_credential_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialRefused, match="credential-missing"):
        read_credential(tmp_path / "none", dict(os.environ))
