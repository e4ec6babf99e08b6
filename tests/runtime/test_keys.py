"""The ticket keys: made once, private, and refused by name when they are not what they must be."""

import json
from pathlib import Path

import pytest

from gatectl.runtime.keys import KeysRefused, load_keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials" / "ticket-keys.json"


def test_the_first_start_makes_keys_that_only_the_daemon_reads(path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, and the same keys at every start."""
    made = load_keyring(path)

    assert (0o600, 0o700) == (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)
    assert made == load_keyring(path)
    assert [path] == list(path.parent.iterdir())


def test_two_sites_have_different_keys(tmp_path: Path) -> None:
    """A ticket of one never opens the other."""
    one, other = (load_keyring(tmp_path / name / "k.json") for name in "ab")

    assert one != other


def test_a_first_start_that_was_killed_does_not_stop_the_next(path: Path) -> None:
    """Power failed between the writing and the naming of the file; no ticket was signed with it."""
    path.parent.mkdir(mode=0o700)
    path.with_suffix(".new").write_text('{"curr')

    assert load_keyring(path) == load_keyring(path)
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_keys_that_others_can_read_are_refused(path: Path, mode: int) -> None:
    """Whoever reads them prints tickets; the message says what to type."""
    load_keyring(path)
    path.chmod(mode)

    with pytest.raises(KeysRefused, match=rf"mode {mode:04o}.*chmod 600"):
        load_keyring(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"current": 1, "keys": []}',
        '{"current": 1, "keys": {}}',
        '{"current": 2, "keys": {"1": "%s"}}' % ("ab" * 32),
        '{"current": 1, "keys": {"1": "abcd"}}',
        '{"current": 1, "keys": {"1": "zz"}}',
        '{"current": 1, "keys": {"one": "%s"}}' % ("ab" * 32),
        '{"current": null, "keys": {"1": "%s"}}' % ("ab" * 32),
        '{"current": 1, "keys": {"1": 7}}',
    ],
)
def test_a_file_that_holds_no_keys_is_refused(path: Path, text: str) -> None:
    """New keys must not be made in its place: every ticket that is out would become paper."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(text)

    with pytest.raises(KeysRefused, match="not a key file"):
        load_keyring(path)

    assert text == path.read_text()


def test_keys_never_stand_in_a_message(path: Path) -> None:
    """A log is read by many."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    secret = "5ec7e7" * 5
    path.write_text(json.dumps({"current": 1, "keys": {"1": secret}}))

    with pytest.raises(KeysRefused) as refused:
        load_keyring(path)

    assert secret not in str(refused.value)


def test_a_place_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    """A folder where the file should be."""
    with pytest.raises(KeysRefused, match="Is a directory"):
        load_keyring(_private(tmp_path / "k.json"))


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder
