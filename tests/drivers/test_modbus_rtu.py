"""The Modbus RTU codec: frames that others have published, and properties on any noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codecs.modbus_rtu import (
    BUFFER_BYTES_MAX,
    COIL_OFF,
    COIL_ON,
    BadFrameError,
    Bits,
    ReadCoils,
    ReadInputs,
    ReadRegisters,
    Refusal,
    Registers,
    Reply,
    ReplyReader,
    Request,
    RequestReader,
    WriteCoil,
    WriteCoils,
    Written,
    crc16,
    gap_ms,
    sealed,
)

# Source of these: Waveshare wiki, "Modbus RTU IO 8CH" and "Modbus RTU Relay", command examples.
WAVESHARE: list[tuple[Request, str]] = [
    (WriteCoil(1, 0x0200, 7), "01 05 02 00 00 07 8D B0"),  # output 1 on for 700 ms
    (WriteCoil(1, 0x0201, 8), "01 05 02 01 00 08 9C 74"),  # output 2 on for 800 ms
    (WriteCoil(1, 0, COIL_ON), "01 05 00 00 FF 00 8C 3A"),
    (WriteCoil(1, 0, COIL_OFF), "01 05 00 00 00 00 CD CA"),
    (WriteCoil(1, 1, COIL_ON), "01 05 00 01 FF 00 DD FA"),
    (WriteCoils(1, 0, (True,) * 8), "01 0F 00 00 00 08 01 FF BE D5"),
    (WriteCoils(1, 0, (False,) * 8), "01 0F 00 00 00 08 01 00 FE 95"),
    (ReadInputs(1, 0, 8), "01 02 00 00 00 08 79 CC"),
    (ReadCoils(1, 0, 8), "01 01 00 00 00 08 3D CC"),
]

# Source: the requests and answers printed in "MODBUS Application Protocol Specification V1.1b3", sections 6.1, 6.2,
# 6.3, 6.5 and 6.11, whose PDUs are put behind address 1 here. The CRC is the only part not printed there.
SPECIFICATION: list[tuple[Request, str, Reply, str]] = [
    (
        ReadCoils(1, 0x13, 0x13),
        "01 00 13 00 13",
        Bits(1, 1, tuple(bit == "1" for bit in "1011001111010110101")),
        "01 03 CD 6B 05",
    ),
    (
        ReadInputs(1, 0xC4, 0x16),
        "02 00 C4 00 16",
        Bits(1, 2, tuple(bit == "1" for bit in "0011010111011011101011")),
        "02 03 AC DB 35",
    ),
    (
        ReadRegisters(1, 0x6B, 3),
        "03 00 6B 00 03",
        Registers(1, (0x022B, 0x0000, 0x0064)),
        "03 06 02 2B 00 00 00 64",
    ),
    (
        WriteCoil(1, 0xAC, COIL_ON),
        "05 00 AC FF 00",
        Written(WriteCoil(1, 0xAC, COIL_ON)),
        "05 00 AC FF 00",
    ),
    (
        WriteCoils(1, 0x13, tuple(bit == "1" for bit in "1011001110")),
        "0F 00 13 00 0A 02 CD 01",
        Written(WriteCoils(1, 0x13, tuple(bit == "1" for bit in "1011001110"))),
        "0F 00 13 00 0A",
    ),
]


def replies(request: Request, *pieces: bytes) -> list[Reply]:
    reader = ReplyReader()
    reader.expect(request)
    return [reply for piece in pieces if (reply := reader.feed(piece)) is not None]


@pytest.mark.parametrize(("request_", "published"), WAVESHARE, ids=[text for _, text in WAVESHARE])
def test_requests_are_what_the_maker_published(request_: Request, published: str) -> None:
    """Both ways: we would send these bytes, and a module of ours understands them."""
    assert bytes.fromhex(published) == request_.to_bytes()
    assert request_ == type(request_).from_bytes(bytes.fromhex(published))


@pytest.mark.parametrize(("request_", "asked", "reply", "answered"), SPECIFICATION, ids=lambda value: None)
def test_the_examples_of_the_standard(request_: Request, asked: str, reply: Reply, answered: str) -> None:
    """Every function's example in the specification."""
    answer = sealed(b"\x01" + bytes.fromhex(answered))

    assert sealed(b"\x01" + bytes.fromhex(asked)) == request_.to_bytes()
    assert [reply] == replies(request_, answer)
    # The specification fills the unused places of a last byte with zeros, and so do we.
    assert answer == reply.to_bytes()


def test_a_published_reply_is_read() -> None:
    """Waveshare wiki: inputs 6 on: `01 02 01 20 A0 50`."""
    bits = (False, False, False, False, False, True, False, False)

    assert [Bits(1, 2, bits)] == replies(ReadInputs(1, 0, 8), bytes.fromhex("010201 20A050"))


def test_the_crc_check_value() -> None:
    """CRC-16/MODBUS of "123456789" is 0x4B37 in the published catalogues of CRCs."""
    assert crc16(b"123456789") == 0x4B37


def test_the_gap_between_frames() -> None:
    """3.5 characters of 11 bits at 9600 baud are 4.01 ms; above 19200 baud it is fixed."""
    assert round(gap_ms(9600), 2) == 4.01
    assert gap_ms(115200) == 1.75


def test_an_exception_is_read_as_a_refusal() -> None:
    """The module does not know that address."""
    answer = Refusal(1, 5, 2)

    assert [answer] == replies(WriteCoil(1, 9, COIL_ON), answer.to_bytes())
    assert str(answer) == "exception 2 (illegal data address)"


@pytest.mark.parametrize(
    "wrong",
    [
        WriteCoil(1, 1, COIL_ON),  # another coil
        WriteCoil(1, 0, COIL_OFF),  # another value
        WriteCoil(2, 0, COIL_ON),  # another module
    ],
    ids=repr,
)
def test_a_write_is_confirmed_by_its_own_echo_only(wrong: WriteCoil) -> None:
    """A late reply to another write must not confirm this one."""
    assert replies(WriteCoil(1, 0, COIL_ON), wrong.to_bytes()) == []


@pytest.mark.parametrize("count", [1, 7, 9, 16])
def test_a_reply_of_another_length_is_not_taken(count: int) -> None:
    """Eight inputs were asked for; one byte of bits answers it, two do not."""
    answer = Bits(1, 2, (True,) * count)
    expected = [Bits(1, 2, ((True,) * count + (False,) * 8)[:8])] if count <= 8 else []

    assert expected == replies(ReadInputs(1, 0, 8), answer.to_bytes())


def test_an_adapter_that_echoes_is_noticed() -> None:
    """The read is heard back before its answer; a line like that would confirm every write by itself."""
    request = ReadInputs(1, 0, 8)
    reader = ReplyReader()
    reader.expect(request)
    echo = request.to_bytes()
    reader.feed(echo[:3])
    reply = reader.feed(echo[3:] + Bits(1, 2, (True,) * 8).to_bytes())

    assert reply is not None
    assert reader.echoed == 1


bits = st.lists(st.booleans(), min_size=1, max_size=64).map(tuple)
words = st.integers(0, 0xFFFF)
addresses = st.integers(1, 247)
requests = st.one_of(
    st.builds(ReadCoils, addresses, words, st.integers(1, 64)),
    st.builds(ReadInputs, addresses, words, st.integers(1, 64)),
    st.builds(ReadRegisters, addresses, words, st.integers(1, 16)),
    st.builds(WriteCoil, addresses, words, words),
    st.builds(WriteCoils, addresses, words, bits),
)


def answer_to(request: Request, data: st.DataObject) -> Reply:
    match request:
        case ReadCoils() | ReadInputs():
            size = {"min_size": request.count, "max_size": request.count}
            return Bits(request.address, request.function, tuple(data.draw(st.lists(st.booleans(), **size))))
        case ReadRegisters():
            return Registers(
                request.address, tuple(data.draw(st.lists(words, min_size=request.count, max_size=request.count)))
            )
        case WriteCoil() | WriteCoils():
            return Written(request)


def cut(frame: bytes, data: st.DataObject) -> list[bytes]:
    at = sorted(data.draw(st.lists(st.integers(0, len(frame)), max_size=5)))
    return [frame[a:b] for a, b in zip([0, *at], [*at, len(frame)], strict=True)]


@given(requests)
def test_a_request_survives_the_wire(request_: Request) -> None:
    """Frames are values."""
    assert request_ == type(request_).from_bytes(request_.to_bytes())


@given(requests, st.data())
def test_a_reply_is_found_however_it_is_cut(request_: Request, data: st.DataObject) -> None:
    """Adapters tear frames apart; silence is not what tells them from each other."""
    reply = answer_to(request_, data)

    assert [reply] == replies(request_, *cut(reply.to_bytes(), data))


@given(requests, st.binary(max_size=40), st.data())
def test_a_reply_is_found_behind_any_garbage(request_: Request, noise: bytes, data: st.DataObject) -> None:
    """A torn frame or noise never hides the good frame that follows it.

    Noise may hold a valid frame by chance (1 in 65536 for each place): then that is what is found.
    """
    reply = answer_to(request_, data)
    found = replies(request_, *cut(noise + reply.to_bytes(), data))

    assert len(found) == 1
    if not replies(request_, noise):
        assert [reply] == found


@given(requests, st.lists(st.binary(max_size=300), max_size=8))
def test_no_noise_raises_and_the_buffers_are_bounded(request_: Request, noise: list[bytes]) -> None:
    """Bad bytes are counted and skipped, on both ends."""
    replies_reader, requests_reader = ReplyReader(), RequestReader()
    replies_reader.expect(request_)
    for piece in noise:
        replies_reader.feed(piece)
        requests_reader.feed(piece)

    assert len(replies_reader._heard) <= BUFFER_BYTES_MAX
    assert len(requests_reader._heard) <= BUFFER_BYTES_MAX
    assert replies_reader.skipped <= sum(map(len, noise))


@given(st.lists(requests, min_size=1, max_size=4), st.data())
def test_a_module_hears_every_request(all_of_them: list[Request], data: st.DataObject) -> None:
    """The simulator's side, however the line cuts the frames."""
    reader = RequestReader()
    stream = b"".join(request.to_bytes() for request in all_of_them)

    assert all_of_them == [request for piece in cut(stream, data) for request in reader.feed(piece)]


@given(requests, st.data())
def test_one_wrong_bit_is_never_taken(request_: Request, data: st.DataObject) -> None:
    """The CRC finds every single wrong bit."""
    frame = bytearray(answer_to(request_, data).to_bytes())
    place = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[place // 8] ^= 1 << place % 8

    assert replies(request_, bytes(frame)) == []


@pytest.mark.parametrize(
    "frame",
    [
        "01 02 00 00 00 00 78 0A",  # no input at all
        "01 02 00 00 00 08 79 CD",  # CRC
        "01 02 00 00 00 08 79",  # short
        "01 01 00 00 00 08 3D CC",  # another function
    ],
)
def test_a_bad_request_is_refused_by_name(frame: str) -> None:
    """The text says what is wrong with it."""
    with pytest.raises(BadFrameError):
        ReadInputs.from_bytes(bytes.fromhex(frame))
