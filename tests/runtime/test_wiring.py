"""Signals of devices as what happened at a lane: every kind, and what must not be read into them."""

import pytest

from drivers import api
from drivers.api import Quality, Result
from gatectl.domain import events, lane
from gatectl.domain.ids import JobId, LaneId, PaymentId, VendId
from gatectl.runtime.wiring import STATION, LaneWires, OrderName, Wiring

GOOD, STALE, FAULT = Quality.GOOD, Quality.STALE, Quality.FAULT
PULSES = {"open": 500, "close": 500, "stop": 500}
IN = LaneWires(
    LaneId("IN-1"),
    {
        "arming": ("io", "di0"),
        "closing": ("io", "di1"),
        "reset": ("io", "di2"),
        "button": ("io", "di3"),
        "arm_up": ("io", "di4"),
        "arm_down": ("io", "di5"),
        "broken": ("io", "di6"),
        "door": ("io", "di7"),
        "fire": ("panel", "di0"),
        "open": ("io", "do0"),
        "printer": ("prn", ""),
    },
    PULSES,
)
OUT = LaneWires(
    LaneId("OUT-1"),
    {
        "arming": ("io2", "di0"),
        "fire": ("panel", "di0"),
        "open": ("io2", "do0"),
        "reader": ("rd", ""),
        "terminal": ("trm", ""),
    },
    PULSES,
)


@pytest.fixture
def wiring() -> Wiring:
    return Wiring((IN, OUT), {"kiosk": "PS-1"})


def at(wiring: Wiring, *signals: api.Signal) -> list[object]:
    """What the lanes hear of the last of the signals."""
    found: list[object] = []
    for signal in signals:
        found = [(e.lane, e.input) if isinstance(e, events.LaneInput) else e for e in wiring.translate(signal)]
    return found


def point(point: str, on: bool, quality: Quality = GOOD, device: str = "io") -> api.Input:
    return api.Input(device, point, on, quality)


@pytest.mark.parametrize("quality", list(Quality))
@pytest.mark.parametrize(
    ("di", "kind"),
    [("di0", lane.ArmingLoopChanged), ("di1", lane.ClosingLoopChanged), ("di2", lane.ResetLoopChanged)],
)
def test_a_loop_comes_with_its_trust(wiring: Wiring, di: str, kind: type, quality: Quality) -> None:
    """A loop that is not trusted says so: it is never mistaken for a free one."""
    assert [("IN-1", kind(lane.Loop(True, lane.Trust(quality.value))))] == at(wiring, point(di, True, quality))


@pytest.mark.parametrize(
    ("up", "down", "arm"),
    [
        ((True, GOOD), (False, GOOD), lane.Arm.UP),
        ((False, GOOD), (True, GOOD), lane.Arm.DOWN),
        ((False, GOOD), (False, GOOD), lane.Arm.BETWEEN),
        ((True, GOOD), (True, GOOD), lane.Arm.UNKNOWN),
        ((True, STALE), (False, GOOD), lane.Arm.UNKNOWN),
        ((False, GOOD), (True, FAULT), lane.Arm.UNKNOWN),
        ((False, STALE), (False, STALE), lane.Arm.UNKNOWN),
    ],
)
def test_two_limit_switches_are_one_position(
    wiring: Wiring, up: tuple[bool, Quality], down: tuple[bool, Quality], arm: lane.Arm
) -> None:
    """Both at once, or one that is not trusted: nobody knows where the arm is."""
    assert [("IN-1", lane.ArmMoved(arm))] == at(wiring, point("di4", *up), point("di5", *down))


def test_one_limit_switch_alone_says_nothing_yet(wiring: Wiring) -> None:
    """After a start the second has not been read."""
    assert [("IN-1", lane.ArmMoved(lane.Arm.UNKNOWN))] == at(wiring, point("di4", True))


@pytest.mark.parametrize(
    ("readings", "pressed"),
    [
        ([(False, GOOD), (True, GOOD)], True),
        ([(True, GOOD)], False),  # held down when the daemon started
        ([(True, GOOD), (False, GOOD), (True, GOOD)], True),
        ([(False, GOOD), (True, GOOD), (True, GOOD)], False),  # told twice
        ([(False, GOOD), (True, STALE)], False),
        ([(False, GOOD), (False, STALE), (True, GOOD)], False),  # the line was lost; nobody saw the press
        ([(False, FAULT), (True, GOOD)], False),
        ([(False, STALE), (False, GOOD), (True, GOOD)], True),
    ],
)
def test_a_press_is_a_change_that_was_seen(wiring: Wiring, readings: list[tuple[bool, Quality]], pressed: bool) -> None:
    """No start and no reconnect presses a button."""
    heard = at(wiring, *(point("di3", *reading) for reading in readings))

    assert ([("IN-1", lane.ButtonPressed())] if pressed else []) == heard


@pytest.mark.parametrize(
    ("signal", "happened"),
    [
        (point("di6", True), [("IN-1", lane.ArmBroke(True))]),
        (point("di7", False), [("IN-1", lane.DoorMoved(False))]),
        (point("di0", True, GOOD, "panel"), [("IN-1", lane.FireChanged(True)), ("OUT-1", lane.FireChanged(True))]),
        (point("di6", True, STALE), []),
        (point("di0", True, FAULT, "panel"), []),
        (point("di0", True, GOOD, "nobody"), []),
        (point("do0", True), []),
    ],
)
def test_contacts_are_believed_when_they_are_good(wiring: Wiring, signal: api.Input, happened: list[object]) -> None:
    """A fire contact may be wired to every lane; what no lane is wired to is nobody's business."""
    assert happened == at(wiring, signal)


@pytest.mark.parametrize(
    ("cutter", "error", "jam"), [(None, None, None), (False, None, False), (True, None, True), (False, True, True)]
)
def test_a_printer_tells_its_lane(wiring: Wiring, cutter: bool | None, error: bool | None, jam: bool | None) -> None:
    """What it cannot say stays unsaid."""
    status = api.PrinterStatus("prn", True, True, False, None, cutter, error, True)

    assert [("IN-1", lane.PrinterChanged(True, True, False, jam, True))] == at(wiring, status)
    assert status == wiring.last_status["prn"]


@pytest.mark.parametrize(
    ("what", "kind"),
    [("presented", lane.TicketPresented), ("taken", lane.TicketPulled), ("retracted", lane.TicketRetracted)],
)
def test_paper_is_told_under_its_job(wiring: Wiring, what: str, kind: type) -> None:
    """The order's name carries lane and job; paper of other orders (a test page) is no ticket."""
    mine = api.Paper("prn", "IN-1|print|job-7", what)  # type: ignore[arg-type]  # one of the three

    assert [("IN-1", kind(JobId("job-7")))] == at(wiring, mine)
    assert [] == at(wiring, api.Paper("prn", "|test|mia-1", "taken"))
    assert [] == at(wiring, api.Paper("prn", "IN-1|receipt|job-7", "taken"))


def test_a_code_is_told_to_the_lane_of_its_reader(wiring: Wiring) -> None:
    """And to no other."""
    assert [("OUT-1", lane.CodeWasRead("ABC"))] == at(wiring, api.Code("rd", "ABC"))
    assert [] == at(wiring, api.Code("io", "ABC"))


def test_a_terminals_word_is_told_to_its_lane(wiring: Wiring) -> None:
    """A method that the terminal does not name is a card."""
    reply = api.TerminalReply("trm", "p-1", "approved", 250, "EUR", "", "A1", "*4242", "ref", "")
    answered = lane.TerminalAnswered(PaymentId("p-1"), "approved", "CREDIT_CARD", "A1", "*4242", "ref", "")

    assert [("OUT-1", answered)] == at(wiring, reply)


def test_a_stations_question_carries_the_way_back(wiring: Wiring) -> None:
    """Its own request id may hold anything; a device that is no station asks nothing."""
    (asked,) = wiring.translate(api.StationRequest("kiosk", "r|5|x", "pay-cash", "CODE", 500))

    assert isinstance(asked, events.StationAsked)
    assert ("PS-1", "pay-cash", "CODE", 500) == (asked.station, asked.what, asked.code, asked.tendered_minor)
    assert OrderName(STATION, "kiosk", "r|5|x") == OrderName.parse(asked.request)
    assert () == wiring.translate(api.StationRequest("trm", "r", "quote", "CODE"))


def test_a_lost_device_names_every_lane_that_needs_it(wiring: Wiring) -> None:
    """With the roles it plays there; one that no lane needs is told too."""
    (panel,) = wiring.translate(api.Health("panel", False, "silence"))
    (io,) = wiring.translate(api.Health("io2", True))
    (other,) = wiring.translate(api.Health("kiosk", False, "gone"))

    assert events.DeviceWent("panel", False, "silence", (("IN-1", ("fire",)), ("OUT-1", ("fire",)))) == panel  # type: ignore[arg-type]  # a NewType of str
    assert events.DeviceWent("io2", True, "", ((LaneId("OUT-1"), ("arming", "open")),)) == io
    assert events.DeviceWent("kiosk", False, "gone", ()) == other


@pytest.mark.parametrize("verb", ["open", "close", "stop"])
@pytest.mark.parametrize("result", list(Result))
def test_an_outcome_of_an_arm_is_told_under_its_vend(wiring: Wiring, verb: str, result: Result) -> None:
    """Confirmed, refused and unknown are three different things."""
    outcome = api.Outcome("io", f"IN-1|{verb}|IN-1-K7QF-3", result, "why")

    assert [("IN-1", lane.ArmAnswered(VendId("IN-1-K7QF-3"), verb, result.value, "why"))] == at(wiring, outcome)


@pytest.mark.parametrize(
    ("result", "happened"),
    [
        (Result.CONFIRMED, lane.TicketPrinted(JobId("j"))),
        (Result.REFUSED, lane.PrintFailed(JobId("j"), "why", False)),
        (Result.UNKNOWN, lane.PrintFailed(JobId("j"), "why", True)),
    ],
)
def test_an_outcome_of_a_print_says_whether_paper_may_be_out(
    wiring: Wiring, result: Result, happened: lane.Input
) -> None:
    """Refused: certainly none. Unknown: perhaps."""
    assert [("IN-1", happened)] == at(wiring, api.Outcome("prn", "IN-1|print|j", result, "why"))


@pytest.mark.parametrize(
    ("verb", "result", "outcome"),
    [
        ("charge", Result.CONFIRMED, None),
        ("charge", Result.REFUSED, "cancelled"),
        ("charge", Result.UNKNOWN, "unknown"),
        ("query", Result.CONFIRMED, None),
        ("query", Result.REFUSED, "unknown"),
        ("query", Result.UNKNOWN, "unknown"),
    ],
)
def test_an_outcome_at_a_terminal_never_invents_money(
    wiring: Wiring, verb: str, result: Result, outcome: str | None
) -> None:
    """A charge that was refused took nothing; a question that was not answered leaves the doubt."""
    heard = at(wiring, api.Outcome("trm", f"OUT-1|{verb}|p-1", result, "why"))

    expected = [] if outcome is None else [("OUT-1", lane.TerminalAnswered(PaymentId("p-1"), outcome, why="why"))]
    assert expected == heard


@pytest.mark.parametrize("order", ["", "|test|mia", "IN-1|receipt|j", "IN-1|show|", "OUT-1|cancel|p", "IN-1", "a|b"])
def test_other_outcomes_decide_nothing(wiring: Wiring, order: str) -> None:
    """A text that could not be shown, a test page: no lane waits for them."""
    assert [] == [found for result in Result for found in at(wiring, api.Outcome("x", order, result, ""))]


@pytest.mark.parametrize(
    "name", [OrderName("IN-1", "open", "v|1"), OrderName("", "test", ""), OrderName("a", "b", "|||")]
)
def test_the_name_of_an_order_survives_its_way(name: OrderName) -> None:
    """It goes to the device and comes back as text."""
    assert name == OrderName.parse(str(name))
