"""ESC/POS bytes. Expected bytes come from the makers' manuals, or from python-escpos where it agrees with them."""

from itertools import pairwise

import pytest
from escpos.constants import QR_ECLEVEL_M
from escpos.printer import Dummy
from hypothesis import given
from hypothesis import strategies as st

from drivers.api import Columns, Element, Qr, Rule, Text
from drivers.codecs import escpos
from drivers.codecs.escpos import AutoStatus, Block, Ejector, Flow, FullStatus, InOrder, RealTime, Reply, ReplyParser
from drivers.escpos_profile import profiles, read_status

EPSON = profiles()["epson-tm-t88"].style({})
CUSTOM = profiles()["custom-kpm216"].style({})


def _text(element: Element, style: escpos.Style = EPSON) -> list[str]:
    """The lines that an element prints, without their attributes."""
    lines = escpos.encode((element,), style)[1:-1]
    return [line[9:].removesuffix(b"\n").decode(style.codec) for line in lines]


# -- what the manuals say ----------------------------------------------------------------------------------------------

# Epson TM-T81 specification, GS ( k functions 165, 167, 169; programmer's guide of the compatible Wincor TH250, "QR code
# overview", for all in a row. Model 2 is 32h, level M is 31h, m is 30h.
QR_EPSON = (
    "1D 28 6B 04 00 31 41 32 00"
    "1D 28 6B 03 00 31 43 06"
    "1D 28 6B 03 00 31 45 31"
    "1D 28 6B 06 00 31 50 30 41 42 43"
    "1D 28 6B 03 00 31 51 30"
)
# Custom VKP80III and TG02H command manuals, GS ( k: levels count from "automatic", so M is 32h; m is 31h.
QR_CUSTOM = (
    "1D 28 6B 04 00 31 41 32 00"
    "1D 28 6B 03 00 31 43 06"
    "1D 28 6B 03 00 31 45 32"
    "1D 28 6B 06 00 31 50 31 41 42 43"
    "1D 28 6B 03 00 31 51 31"
)


@pytest.mark.parametrize(("style", "golden"), [(EPSON, QR_EPSON), (CUSTOM, QR_CUSTOM)], ids=["epson", "custom"])
def test_a_qr_code_is_told_as_its_maker_wants_it(style: escpos.Style, golden: str) -> None:
    """Model, module size, level, store, print."""
    document = b"".join(escpos.encode((Qr("ABC"),), style))

    assert bytes.fromhex(golden) in document


@pytest.mark.parametrize("style", [EPSON, CUSTOM], ids=["epson", "custom"])
def test_the_euro_sign_is_printed_from_the_page_that_has_it(style: escpos.Style) -> None:
    """Custom KPM210/216 manual, ESC t, example: 1B 74 13 selects PC858, where the euro sign is D5."""
    first, line, _ = escpos.encode((Text("€"),), style)

    assert (True, b"\xd5\n") == (bytes.fromhex("1B 74 13") in first, line[-2:])


@pytest.mark.parametrize(
    ("text", "golden"),
    [
        # Epson TM-T88III specification: ESC a n, ESC E n, GS ! n.
        (Text("A"), "1B 61 00 1B 45 00 1D 21 00 41 0A"),
        (Text("A", bold=True), "1B 61 00 1B 45 01 1D 21 00 41 0A"),
        (Text("A", align="centre"), "1B 61 01 1B 45 00 1D 21 00 41 0A"),
        (Text("A", big=True), "1B 61 00 1B 45 00 1D 21 11 41 0A"),
    ],
)
def test_a_line_bears_its_attributes(text: Text, golden: str) -> None:
    """Every line says all of them, so no line depends on the one before."""
    assert bytes.fromhex(golden) == escpos.encode((text,), EPSON)[1]


def test_a_job_begins_with_initialise_and_ends_with_cut_and_barrier() -> None:
    """ESC @ first; GS V 66 0 (Epson TM-T88 manual, "feeds paper to cutting position") and GS r 1 last."""
    first, *_, last = escpos.encode((Rule(),), EPSON)

    assert (True, True) == (
        first.startswith(bytes.fromhex("1B 40")),
        last.endswith(bytes.fromhex("1D 56 42 00 1D 72 01")),
    )


def test_a_kiosk_job_ends_with_total_cut_present_and_barrier() -> None:
    """Custom KPM216H command reference: 1B 69; KPM210/216 manual: 1D 65 3 m, m steps of 0.625 mm."""
    assert escpos.encode((Rule(),), CUSTOM)[-1].endswith(bytes.fromhex("1B 69 1D 65 03 40 1D 72 01"))


def test_the_models_clear_their_buffers_as_their_manuals_say() -> None:
    """Epson TM-T88III programming guide, DLE ENQ 2 and DLE DC4 8; Custom KPM216H manual, hardware reset."""
    assert "10 05 02 10 14 08 01 03 14 01 06 02 08" == profiles()["epson-tm-t88"].clear.hex(" ")
    assert "1c c0 18 10 14 1a" == profiles()["custom-kpm216"].clear.hex(" ")


# -- what another program makes of it ----------------------------------------------------------------------------------


def test_python_escpos_makes_the_same_qr_code() -> None:
    """python-escpos 3.1, native, level M, size 6."""
    other = Dummy()
    other.qr("K7QF-000123", ec=QR_ECLEVEL_M, size=6, native=True)
    ours = b"".join(escpos.encode((Qr("K7QF-000123"),), EPSON))

    assert other.output.replace(b"\n", b"") in ours


def test_python_escpos_makes_the_same_attributes_and_cut() -> None:
    """Each command that it sends for a bold, centred, doubled line is in ours; so is its cut."""
    ours = b"".join(escpos.encode((Text("A", bold=True, big=True, align="centre"),), EPSON))

    for attribute in ({"bold": True}, {"align": "center"}, {"custom_size": True, "width": 2, "height": 2}):
        other = Dummy()
        other.set(**attribute)
        assert other.output
        assert other.output in ours, attribute
    other = Dummy()
    other.cut(feed=False)
    assert other.output in ours


@pytest.mark.parametrize("codec", sorted(profiles()["epson-tm-t88"].code_pages))
def test_python_escpos_selects_the_same_code_page(codec: str) -> None:
    """Its table for the TM-T88IV gives the number; ours stands in the profile."""
    other = Dummy(profile="TM-T88IV")
    other.charcode(codec.upper())
    ours = escpos.encode((Rule(),), profiles()["epson-tm-t88"].style({"code_page": codec}))[0]

    assert other.output
    assert other.output in ours


# -- text that is more, or other, than fits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_text", "printed"),
    [
        ("Zürich ß €", "Zürich ß €"),
        ("Łódź Čapek ő", "?ódz Capek o"),
        ("Ελλάδα 東京", "?????? ??"),
        ("tab\tand\u00a0blank", "tab and blank"),
        ("\x1b@\x10\x04\x01\x1dV\x00", "?@????V?"),
        ("\ufb01ne \u2026", "fine ..."),
        ("", ""),
    ],
)
def test_what_does_not_fit_the_page_is_replaced(given_text: str, printed: str) -> None:
    """Its letter without marks, or a question mark. No text becomes a command."""
    assert [printed] == _text(Text(given_text))


def test_long_text_is_wrapped_at_words_and_nothing_is_lost() -> None:
    """42 columns, 21 of double width."""
    text = "Keep this ticket with you, you need it to pay and to leave."

    assert ["Keep this ticket with you, you need it to", "pay and to leave."] == _text(Text(text))
    assert ["Keep this ticket with", "you, you need it to", "pay and to leave."] == _text(Text(text, big=True))
    assert ["x" * 42, "x" * 8] == _text(Text("x" * 50))


@pytest.mark.parametrize(
    ("left", "right", "lines"),
    [
        ("Entry", "10:15", ["Entry" + "10:15".rjust(37)]),
        ("x" * 36, "12.00", ["x" * 36 + " 12.00"]),
        ("x" * 37, "12.00", ["x" * 37, "12.00".rjust(42)]),
        ("", "12.00", ["12.00".rjust(42)]),
        ("a", "y" * 50, ["a", "y" * 42, ("y" * 8).rjust(42)]),
    ],
)
def test_the_right_column_is_flush_or_on_its_own_line(left: str, right: str, lines: list[str]) -> None:
    """An amount is never cut off by a long text."""
    assert lines == _text(Columns(left, right))


ANY_TEXT = st.text(max_size=200)
ANY_ELEMENT: st.SearchStrategy[Element] = st.one_of(
    st.builds(Text, ANY_TEXT, st.booleans(), st.booleans(), st.sampled_from(["left", "centre"])),
    st.builds(Columns, ANY_TEXT, ANY_TEXT, st.booleans()),
    st.builds(Qr, st.text("ABC012 $%*+-./:", min_size=1, max_size=100)),
    st.just(Rule()),
)


@given(document=st.lists(ANY_ELEMENT, min_size=1, max_size=5), style=st.sampled_from([EPSON, CUSTOM]))
def test_no_document_holds_a_real_time_command(document: list[Element], style: escpos.Style) -> None:
    """DLE EOT, DLE ENQ and DLE DC4 are executed wherever they stand in the stream: they stand nowhere."""
    job = b"".join(escpos.encode(document, style))

    assert not any(command in job for command in (b"\x10\x04", b"\x10\x05", b"\x10\x14", b"\x1c\xc0"))


@given(document=st.lists(ANY_ELEMENT, min_size=1, max_size=5), columns=st.integers(24, 96))
def test_no_line_is_wider_than_the_paper(document: list[Element], columns: int) -> None:
    """Double width counts twice."""
    style = profiles()["epson-tm-t88"].style({"columns": columns})

    for line in escpos.encode(document, style)[1:-1]:
        if line.startswith(b"\x1ba") and line.endswith(b"\n"):
            assert len(line[9:-1]) * (2 if line[8] else 1) <= columns


# -- replies -----------------------------------------------------------------------------------------------------------

GOLDEN: list[tuple[str, bool, list[Reply]]] = [
    # Epson TM-T88III specification: all four DLE EOT answers have bits 1 and 4 set, 0 and 7 clear.
    ("12", False, [RealTime(0x12)]),
    ("1E 32 5A 7E", False, [RealTime(0x1E), RealTime(0x32), RealTime(0x5A), RealTime(0x7E)]),
    # XOFF, and the paper-out answer behind it: seen on a line to a printer that held (13 7e).
    ("13 7E", False, [Flow(hold=True), RealTime(0x7E)]),
    ("11", True, [Flow(hold=False)]),
    # GS r 1, near end (bits 0 and 1).
    ("00 03", False, [InOrder(0x00), InOrder(0x03)]),
    # DLE DC4 8: header 37h, identifier 25h, NUL; XOFF may interrupt it (programming guide, p. 395).
    ("37 25 00", False, [Block(b"\x25")]),
    ("37 13 25 00", False, [Flow(hold=True), Block(b"\x25")]),
    # GS a: first byte 0xx1xx00, then three of 0xx0xxxx; XOFF may stand between. None of them is a GS r answer.
    ("18 00 0C 0F 00", False, [AutoStatus(b"\x18\x00\x0c\x0f"), InOrder(0)]),
    ("10 00 13 00 0F", False, [Flow(hold=True), AutoStatus(b"\x10\x00\x00\x0f")]),
    # Custom KPM210/216 manual, DLE EOT 20: 10h 0Fh, paper, user, recoverable, unrecoverable.
    ("10 0F 20 00 00 00", True, [FullStatus(0x20, 0, 0, 0)]),
    ("10 0F A5 02 13 40 01", True, [Flow(hold=True), FullStatus(0xA5, 0x02, 0x40, 0x01)]),
    ("10 0F 00 00 00 00 12", True, [FullStatus(0, 0, 0, 0), RealTime(0x12)]),
]


@pytest.mark.parametrize(("data", "full_status", "replies"), GOLDEN, ids=[f"{g[0]}-{g[1]}" for g in GOLDEN])
def test_replies_are_told_apart(data: str, full_status: bool, replies: list[Reply]) -> None:
    """By their bits alone, with XON and XOFF lifted out."""
    parser = ReplyParser(full_status=full_status)

    assert (replies, 0) == (parser.feed(bytes.fromhex(data)), parser.garbage)


@pytest.mark.parametrize("byte", [0x00, 0x08, 0x10, 0x18, 0x80, 0xA1])
def test_an_ejector_says_anything_so_it_is_known_by_being_asked(byte: int) -> None:
    """Custom KPM210/216 manual, GS e 6: bits 0 and 2 to 7 have a meaning, bit 1 is off."""
    parser = ReplyParser(full_status=True)
    parser.expect_ejector = True

    assert [RealTime(0x12), Ejector(byte), InOrder(0x00)] == parser.feed(bytes((0x12, byte, 0x00)))


@pytest.mark.parametrize(
    ("data", "full_status", "garbage"),
    [("FF 80 93", False, 3), ("10 12", True, 1), ("10 80", False, 2), ("37" + "41" * 20, False, 16)],
)
def test_what_is_no_reply_is_counted(data: str, full_status: bool, garbage: int) -> None:
    """A reply that breaks off counts all its bytes."""
    parser = ReplyParser(full_status=full_status)
    parser.feed(bytes.fromhex(data))

    assert garbage == parser.garbage


def test_half_a_reply_can_be_forgotten() -> None:
    """The rest is not coming: the next reply is understood again."""
    parser = ReplyParser(full_status=True)
    parser.feed(bytes.fromhex("10 0F 20"))
    parser.forget()

    assert ([RealTime(0x12)], 3) == (parser.feed(b"\x12"), parser.garbage)


@given(data=st.binary(max_size=300), full_status=st.booleans(), eject=st.booleans(), cuts=st.lists(st.integers(0, 300)))
def test_bytes_mean_the_same_in_any_pieces(data: bytes, full_status: bool, eject: bool, cuts: list[int]) -> None:
    """All at once, one at a time, or cut anywhere; nothing raises, and no byte is told twice."""
    at_once, in_pieces = ReplyParser(full_status=full_status), ReplyParser(full_status=full_status)
    at_once.expect_ejector = in_pieces.expect_ejector = eject
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    expected = at_once.feed(data)
    actual = [reply for start, end in pairwise(edges) for reply in in_pieces.feed(data[start:end])]

    assert (expected, at_once.garbage) == (actual, in_pieces.garbage)
    at_once.forget()
    sizes = {FullStatus: 6, AutoStatus: 4}
    told = sum(len(r.body) + 2 if isinstance(r, Block) else sizes.get(type(r), 1) for r in expected)
    assert len(data) == told + at_once.garbage


@given(data=st.lists(st.sampled_from([0x10, 0x37, 0x0F, 0x11, 0x13, 0x12, 0x00, 0x80]), max_size=500))
def test_a_printer_cannot_fill_the_memory(data: list[int]) -> None:
    """Headers without an end: what is kept is bounded."""
    parser = ReplyParser(full_status=bool(len(data) % 2))
    parser.feed(bytes(data))
    before = parser.garbage
    parser.forget()

    assert parser.garbage - before <= escpos.BLOCK_BYTES_MAX


# -- status bits -------------------------------------------------------------------------------------------------------

BITS: list[tuple[dict[int, int | FullStatus], int, dict[str, bool | None]]] = [
    # Epson TM-T88III specification, DLE EOT 1 to 4.
    ({1: 0x1A, 2: 0x12, 3: 0x12, 4: 0x12}, 0, {"online": False}),
    ({1: 0x1A, 2: 0x16, 3: 0x12, 4: 0x7E}, 0, {"online": False, "cover_open": True, "paper_out": None, "paper_low": None}),
    ({1: 0x1A, 2: 0x32, 3: 0x12, 4: 0x7E}, 0, {"online": False, "paper_out": True, "paper_low": True}),
    ({1: 0x12, 2: 0x12, 3: 0x12, 4: 0x1E}, 0, {"paper_low": True}),
    ({1: 0x1A, 2: 0x52, 3: 0x1A, 4: 0x12}, 0, {"online": False, "cutter_error": True, "error": True}),
    ({1: 0x1A, 2: 0x52, 3: 0x32, 4: 0x12}, 0, {"online": False, "error": True}),
    ({1: 0x16, 2: 0x1A, 3: 0x16, 4: 0x12}, 0, {}),  # drawer, feed button, a bit that the TM-T88III does not define
    # Custom KPM210/216 manual (paper, user, GS e) and VKP80III command manual (errors).
    ({1: 0x12, 20: FullStatus(0x01, 0, 0, 0)}, 0, {"paper_out": True, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0x24, 0, 0, 0)}, 0, {"paper_low": True, "in_mouth": True}),
    ({1: 0x1A, 20: FullStatus(0, 0x02, 0, 0)}, 0, {"online": False, "cover_open": True, "paper_out": None,
                                                   "paper_low": None, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0, 0x01, 0, 0)}, 0, {"error": True, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0, 0, 0x40, 0)}, 0, {"error": True, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0, 0, 0x02, 0)}, 0, {"in_mouth": False}),  # a framing error on the line, not of the paper
    ({1: 0x12, 20: FullStatus(0, 0, 0, 0x01)}, 0, {"cutter_error": True, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0, 0, 0, 0)}, 0x80, {"error": True, "in_mouth": False}),
    ({1: 0x12, 20: FullStatus(0xC0, 0x6C, 0, 0)}, 0x39, {"in_mouth": False}),  # virtual end, notch, keys, motors
]  # fmt: skip


@pytest.mark.parametrize(("readings", "ejector", "differs"), BITS)
def test_status_bits_mean_what_the_manuals_say(
    readings: dict[int, int | FullStatus], ejector: int, differs: dict[str, bool | None]
) -> None:
    """`differs` is what is not as in a printer that is well."""
    well = {"online": True, "paper_low": False, "paper_out": False, "cover_open": False, "cutter_error": False,
            "error": False, "in_mouth": None}  # fmt: skip

    status = read_status("printer", readings, ejector)

    assert {**well, **differs} == {name: getattr(status, name) for name in well}
