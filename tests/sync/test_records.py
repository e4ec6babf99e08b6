"""Records and messages on the wire: what is read is what was written, byte for byte, and anything else is refused by name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.records import Ack, Command, Feed, FeedRow, Malformed, Message, Record, Vitals, Welcome

RECORD = Record(17, "ab:1", -1_789, "synced", "boot-1", 0, "ticket.issued", 1, '{"a":"Höhe","b":[1]}'.encode())
LINE = RECORD.to_line()
FEED = Feed(
    "s",
    1,
    2,
    3,
    (FeedRow(1, "tariff", "day", {"a": [1, {"b": None}]}), FeedRow(2, "tariff", "old", None)),
    (Command("c-1", "lane.open", {"lane": "IN-1"}, "eva", "stuck", 1, 2),),
)
MESSAGES: tuple[Message, ...] = (
    Ack("Höhe\u2028\x01\\", 1, 2, "ab", 1, 0, -5),
    Welcome("s", 1, 2, "ab", "continue", "", 1, 1, 0, 0, True, ("zstd",)),
    Vitals("s", 1, 2, 3, 4, "b", "0.1", 5, {"IN-1": "idle"}, {"main": 5}, ("io-1",)),
    FEED,
)

words = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
wholes = st.integers(1, 2**53)
records = st.builds(
    Record,
    seq=wholes,
    fact_id=words,
    wall_ms=st.integers(-(2**53), 2**53),
    quality=st.sampled_from(["synced", "free-running", "unset"]),
    boot_id=words,
    mono_ms=st.integers(0, 2**53),
    kind=words,
    version=wholes,
    body=st.sampled_from([b"{}", b'{"body":{}}', b'{"a":",\\"body\\":"}']),
)


@given(records)
def test_a_record_survives_the_wire(record: Record) -> None:
    """What is read is equal, and makes the same bytes again."""
    read = Record.from_line(record.to_line())

    assert record == read
    assert record.header() == read.header()
    assert record.to_line() == read.to_line()


@given(st.integers(0, len(LINE) - 1), st.sampled_from(b'0123456789-+eE.,:"{}[] \\abz\x00\n\xc3'), st.booleans())
def test_what_is_believed_is_what_was_sent(at: int, byte: int, instead: bool) -> None:
    """One byte more or another one: the line is refused, or it is that very record's canonical line."""
    line = LINE[:at] + bytes([byte]) + LINE[at + instead :]
    try:
        read = Record.from_line(line)
    except Malformed:
        return

    assert line == read.to_line()


def test_a_copy_has_a_header_of_its_own() -> None:
    """A record that gets a place in another generation is chained by its new header, not by the remembered one."""
    assert RECORD.header().startswith(b'{"seq":17,')

    moved = replace(RECORD, seq=18)

    assert moved.header().startswith(b'{"seq":18,')


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('"seq":17', '"seq":0', "seq: 0"),
        ('"seq":17', '"seq":9007199254740993', "seq: 9007199254740993"),
        ('"seq":17', '"seq":"17"', "seq: '17'"),
        ('"seq":17', '"seq":true', "seq: True"),
        ('"seq":17', '"seq":017', "not JSON: "),
        ('"seq":17', '"seq": 17', "the header is not in canonical form"),
        ('"seq":17', '"seq":17.0', "seq: 17.0"),
        ('"wall":-1789', '"wall":-0', "the header is not in canonical form"),
        ('"wall":-1789', '"wall":-9007199254740993', "wall: -9007199254740993"),
        ('"id":"ab:1"', '"id":"a b"', "id: 'a b'"),
        ('"id":"ab:1",', "", "id: None"),
        ('"q":"synced"', '"q":"good"', "q: 'good'"),
        ('"q":"synced"', '"q":[]', r"q: \[\]"),
        ('"mono":0', '"mono":-1', "mono: -1"),
        ('"v":1', '"v":1,"w":1', "the header is not in canonical form"),
        ('"body":', '"content":', "no body"),
        ('{"a":', '["a":', "not JSON: "),
        ('{"a":"Höhe","b":[1]}', "[1]", "the body is not an object"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(was: str, becomes: str, told: str) -> None:
    """The first member that does not fit, or the form."""
    text = LINE.decode()
    assert was in text

    with pytest.raises(Malformed, match=f"^{told}"):
        Record.from_line(text.replace(was, becomes, 1).encode())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: Message) -> None:
    """Words with any letter, numbers, nested rows, what is absent."""
    assert message == type(message).from_json(message.to_json())


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('"gatectl.feed/1"', '"gatectl.feed/2"', "schema: expected gatectl.feed/1, found 'gatectl.feed/2'"),
        ('"epoch":1', '"epoch":"1"', "epoch: expected int, found str"),
        ('"epoch":1', '"epoch":1.0', "not JSON: 1.0 is not a whole number"),
        ('"epoch":1,', "", "epoch: missing"),
        ('"rows":[', '"rows":7,"more":[', "rows: expected a list"),
        ('"seq":2', '"seq":null', r"rows\[1\].seq: expected int, found NoneType"),
        ('"key":"old",', "", r"rows\[1\].key: missing"),
        ('"body":null', '"body":[]', r"rows\[1\].body: expected dict, found list"),
        ('"IN-1"', "1", r"commands\[0\].args.lane: expected str, found int"),
        ('"commands":[{', '"commands":[7,{', r"commands\[0\]: expected Command, found int"),
    ],
)
def test_what_is_wrong_with_a_message_is_named(was: str, becomes: str, told: str) -> None:
    """The place in it, and what was expected there."""
    text = FEED.to_json().decode()
    assert was in text

    with pytest.raises(Malformed, match=f"^{told}$"):
        Feed.from_json(text.replace(was, becomes, 1).encode())


def test_what_a_newer_office_adds_is_ignored() -> None:
    """A member may be added at any place."""
    text = (
        FEED.to_json().decode().replace('"seq":2', '"seq":2,"since":{"x":[1]}').replace('"epoch":1', '"x":[],"epoch":1')
    )

    assert FEED == Feed.from_json(text.encode())
