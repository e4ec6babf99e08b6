"""A ticket's number survives people, its code survives nobody's changes."""

import base64
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import (
    CLASSES,
    CODE_CHARS,
    COUNTER_MAX,
    CROCKFORD,
    ISSUED_S_MAX,
    KEY_BYTES,
    MOVES,
    OTHER,
    CodeRefusal,
    Keyring,
    TicketState,
    VerifiedCode,
    format_number,
    parse_number,
    sign,
    verify,
)

SITE = SiteId("centrum-01")
KEY, NEXT_KEY = b"k" * KEY_BYTES, b"n" * KEY_BYTES
RING = Keyring(7, {7: KEY})

counters = st.integers(1, COUNTER_MAX)
tags = st.text(CROCKFORD, min_size=4, max_size=4)
keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def code_of(site: SiteId = SITE, ring: Keyring = RING, counter: int = 123, vehicle_type: str = "CAR") -> str:
    return sign(ring, site, counter=counter, tag="K7QF", issued_s=1_781_172_000, vehicle_type=vehicle_type)


def refused(text: str, ring: Keyring = RING, site: SiteId = SITE) -> str:
    """The code of the refusal, or "" if the text was accepted."""
    read = verify(text, ring, site)
    return read.code if isinstance(read, CodeRefusal) else ""


# -- the number -----------------------------------------------------------------------------------------------------


def test_a_number_is_a_counter_and_the_boot_s_tag() -> None:
    """Six digits or more; the tag keeps a restored counter from printing a number twice."""
    assert format_number(123, "K7QF") == "000123-K7QF"
    assert format_number(1_234_567, "0000") == "1234567-0000"


@pytest.mark.parametrize(
    "typed",
    [
        "000123-K7QF",
        "000123-k7qf",
        "123-K7QF",
        "123 k7qf",
        "000123K7QF",
        " 000123 - K7QF\n",
        "000 123 K7QF",
        "000123 K7 QF",
        "OOO123-K7QF",
        "ooo12 3-K7QF",
        "000I23-K7QF",
        "000l23_K7QF",
        "000123\u2013K7QF",
        "000123\u2212K7QF",
    ],
)
def test_a_number_as_people_type_it(typed: str) -> None:
    """Over the intercom nobody hears a dash, and O is zero."""
    assert parse_number(typed) == "000123-K7QF"


def test_letters_that_look_like_digits_are_read_in_the_tag_too() -> None:
    """Crockford's alphabet has no O, I, L, so they can only be meant as digits."""
    assert parse_number("000123-OILo") == "000123-0110"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "123",
        "K7QF",
        "123K7QF",
        "000123-K7Q",
        "000123-K7QU",
        "12A123-K7QF",
        "000000-K7QF",
        "-K7QF",
        "4294967296-K7QF",
        "000123-K7Q\u0131",
        "\u0661\u0662\u0663-K7QF",
        "0" * 5000 + "123-K7QF",
    ],
)
def test_what_is_no_number_is_none(typed: str) -> None:
    """Too short to tell where the tag begins, letters in the counter, U, other scripts' digits, endless zeros."""
    assert parse_number(typed) is None


@given(counters, tags)
def test_a_number_survives_being_printed_and_typed(counter: int, tag: str) -> None:
    """Printed, read out, typed in small letters without the dash."""
    number = format_number(counter, tag)

    assert number == parse_number(number) == parse_number(number.lower().replace("-", ""))


@given(st.text(max_size=50) | st.text("0123OILoil-_ KQ", max_size=20))
def test_any_typing_is_answered(typed: str) -> None:
    """What is accepted is canonical; nothing raises."""
    number = parse_number(typed)

    assert number is None or number == parse_number(number)


# -- the code -------------------------------------------------------------------------------------------------------


@given(
    st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()),
    counters,
    tags,
    st.integers(0, ISSUED_S_MAX),
    st.sampled_from([*CLASSES]),
    keys,
    st.integers(0, 255),
)
def test_a_code_says_what_was_signed(
    site: str, counter: int, tag: str, issued_s: int, vehicle_type: str, key: bytes, key_id: int
) -> None:
    """Any ticket of any site is read back whole, by a verifier that has nothing but the key."""
    ring = Keyring(key_id, {key_id: key})

    text = sign(ring, SiteId(site), counter=counter, tag=tag, issued_s=issued_s, vehicle_type=vehicle_type)

    expected = VerifiedCode(format_number(counter, tag), counter, tag, issued_s, vehicle_type, key_id)
    assert expected == verify(text, ring, SiteId(site))
    assert len(text) == CODE_CHARS
    assert set(text) <= set(string.ascii_uppercase + string.digits)  # alphanumeric mode, ISO/IEC 18004


def test_the_code_of_a_known_ticket_never_changes() -> None:
    """Tickets are on paper in people's pockets: another layout would need another version."""
    # Made with `openssl dgst -sha256 -mac HMAC` and coreutils' base32 from the layout, not with our code.
    expected = "AGX3WBBFAAAAA6YJT3XQA2RKQ4QACB3PSPMYGLHB7N6O5PTVCF4QQGFF"

    assert expected == code_of()


def test_a_type_of_the_site_s_own_is_other() -> None:
    """A class byte is a promise; a site's own names are not in it."""
    read = verify(code_of(vehicle_type="CAMPER"), RING, SITE)

    assert isinstance(read, VerifiedCode)
    assert read.vehicle_type == OTHER


@pytest.mark.parametrize(("issued_s", "said"), [(-5, 0), (2**62, ISSUED_S_MAX)])
def test_a_wild_clock_stops_no_ticket(issued_s: int, said: int) -> None:
    """A clock before 1970 or far beyond prints the nearest time that fits."""
    read = verify(sign(RING, SITE, counter=1, tag="0000", issued_s=issued_s, vehicle_type="CAR"), RING, SITE)

    assert isinstance(read, VerifiedCode)
    assert said == read.issued_s


def test_every_single_bit_counts() -> None:
    """Each of the 280 bits, flipped, is refused: most as forged, the site's as foreign, the version's as unreadable."""
    raw = base64.b32decode(code_of())
    found = []
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        found.append(refused(base64.b32encode(bytes(changed)).decode()))

    assert found == ["E-TKT-01"] * 8 + ["E-TKT-02"] * 32 + ["E-TKT-03"] * 240


def test_every_single_bit_of_the_printed_characters_counts() -> None:
    """The same on the wire from the reader: one bit of one ASCII character."""
    text = code_of()
    for place in range(len(text)):
        for bit in range(8):
            changed = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]

            assert refused(changed), f"character {place}, bit {bit}"


def test_a_forged_code_is_refused() -> None:
    """The right site and form, signed with a key of the forger's own, under our key id and under another."""
    for key_id in (7, 8):
        forger = Keyring(key_id, {key_id: NEXT_KEY})

        assert refused(code_of(ring=forger)) == "E-TKT-03"


def test_a_foreign_ticket_is_told_apart_from_a_forged_one() -> None:
    """A driver offers the ticket of the garage across the street; that both share a key does not let it in."""
    for key in (KEY, NEXT_KEY):
        elsewhere = code_of(SiteId("centrum-02"), Keyring(7, {7: key}))

        assert refused(elsewhere) == "E-TKT-02"


def test_a_site_whose_hash_collides_is_still_refused() -> None:
    """Four bytes of hash can collide; the MAC holds the whole id, so a shared key does not help."""
    moved = base64.b32decode(code_of())[:5]
    elsewhere = bytearray(base64.b32decode(code_of(SiteId("centrum-02"))))
    elsewhere[:5] = moved

    assert refused(base64.b32encode(bytes(elsewhere)).decode()) == "E-TKT-03"


def test_keys_are_changed_without_voiding_tickets() -> None:
    """The old key goes on verifying until it is withdrawn; the new one signs."""
    old = code_of()
    both = Keyring(8, {7: KEY, 8: NEXT_KEY})
    new = code_of(ring=both)

    assert [refused(text, both) for text in (old, new)] == ["", ""]
    assert [refused(text, Keyring(8, {8: NEXT_KEY})) for text in (old, new)] == ["E-TKT-03", ""]


@pytest.mark.parametrize(
    "text",
    ["", "HELLO", code_of().lower(), code_of() + "=", code_of() + "\n", " " + code_of(), code_of()[:-1], "A" * 5000],
    ids=lambda text: f"{text[:5]!r}-{len(text)}",
)
def test_what_is_no_code_is_unreadable(text: str) -> None:
    """Other codes, half a code, padding, blanks: a ticket has one code, exactly as printed."""
    assert refused(text) == "E-TKT-01"


@given(st.text(max_size=80) | st.text(string.ascii_uppercase + "234567", min_size=CODE_CHARS, max_size=CODE_CHARS))
def test_any_text_is_answered_and_none_is_accepted(text: str) -> None:
    """Garbage from a reader, well-formed garbage included."""
    assert refused(text)


def test_ten_thousand_guesses_under_the_right_site_fail() -> None:
    """A fuzzed MAC, and a MAC of the right beginning."""
    seed = 20260611
    dice, raw = random.Random(seed), base64.b32decode(code_of())
    for _ in range(10_000):
        guess = raw[:19] + raw[19 : 19 + dice.randrange(16)]
        guess += dice.randbytes(35 - len(guess))

        assert guess == raw or refused(base64.b32encode(guess).decode()), f"seed {seed}"


# -- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "ring", "names"),
    [
        (1, {}, "key 1 is not among"),
        (1, {2: KEY}, "key 1 is not among"),
        (1, {1: b"secret-too-short"}, "key 1 has 16 bytes"),
        (1, {1: KEY, 256: KEY}, "key id 256"),
        (-1, {-1: KEY}, "key id -1"),
    ],
)
def test_a_bad_keyring_is_refused_by_name(current: int, ring: dict[int, bytes], names: str) -> None:
    """The message names the id, never the key."""
    with pytest.raises(ValueError, match=names) as refused_ring:
        Keyring(current, ring)

    assert "secret" not in str(refused_ring.value)


def test_a_keyring_does_not_show_its_keys() -> None:
    """A repr ends up in a log one day."""
    assert repr(RING) == "Keyring(current=7)"


# -- the moves ------------------------------------------------------------------------------------------------------


def test_a_ticket_ends_and_does_not_come_back() -> None:
    """Every state can be reached from issued, every open one can end, nothing leaves an end."""
    reached, todo = set(), [TicketState.ISSUED]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += MOVES[state]
    ended = {state for state, after in MOVES.items() if not after}

    assert set(TicketState) == reached
    assert {TicketState.EXITED, TicketState.VOID, TicketState.LOST, TicketState.WRITTEN_OFF} == ended
    assert all(MOVES[state] & ended for state in set(TicketState) - ended)
    assert TicketState.SPENT not in MOVES[TicketState.SPENT], "a ticket is spent once"
