"""Stays as APDS 4 has them: members are those of its OpenAPI file, and the page says where each is from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from site_stories import OUT, Story

from gatectl.domain import codec
from gatectl.domain.apds import is_stay, stay
from gatectl.domain.events import CashOffered
from gatectl.domain.facts import PaymentTaken, VehicleMoved
from gatectl.domain.ids import AreaId, PaymentId, RequestId, SpotId, TicketNumber
from gatectl.domain.records.passes import PassUsed

PAGE = (Path(__file__).parents[2] / "docs" / "business" / "apds.md").read_text()
HOUR_MS = 3_600_000

# Required and further members of the classes that are used here (APDS API 4.0).
IDENTITY = ({"id", "version"}, set[str]())
CLASSES: dict[str, tuple[set[str], set[str]]] = {
    "Session": (
        {*IDENTITY[0], "actualStart", "initiator", "identifiedCredentials", "segments"},
        {"actualEnd", "hierarchyElement", "identifiedVehicle"},
    ),
    "Segment": (
        {*IDENTITY[0], "actualStart", "assignedRight", "validationType"},
        {"actualEnd", "spaceId", "validationId", "credentialId", "notes"},
    ),
    "AssignedRight": (
        {*IDENTITY[0], "rightSpecification", "rightHolder"},
        {"assignedRightIssuer", "issueMethod", "issuanceTime", "payments"},
    ),
    "Payment": (
        {*IDENTITY[0], "serviceProvider", "paymentLines"},
        {"dateCollected", "dateAuthorised", "transactionID", "idCode"},
    ),
    "PaymentLine": ({*IDENTITY[0], "paymentType", "value"}, {"identifierId", "idCode"}),
    "AmountInCurrency": ({"currencyType", "currencyValue"}, set()),
    "CredentialAssigned": ({"identifier", "type"}, {"credentialAssignedType", "issuer"}),
    "VersionedReference": ({"id", "version"}, {"className"}),
    "Reference": ({"id", "className"}, set()),
    "SpecificLanguageString": ({"language", "string"}, set()),
}
MEMBERS = {
    "initiator": "VersionedReference", "hierarchyElement": "VersionedReference", "assignedRight": "VersionedReference",
    "spaceId": "VersionedReference", "rightSpecification": "VersionedReference", "serviceProvider": "VersionedReference",
    "assignedRightIssuer": "VersionedReference", "credentialId": "Reference", "identifier": "Reference",
    "identifiedCredentials": "CredentialAssigned", "credentials": "CredentialAssigned", "segments": "Segment",
    "payments": "Payment", "paymentLines": "PaymentLine", "value": "AmountInCurrency", "issuer": "SpecificLanguageString",
    "notes": "SpecificLanguageString",
}  # fmt: skip
CREDENTIAL_TYPES = {"barcode", "bluetooth", "eticket", "hangtag", "licensePlate", "permit", "qrCode", "rfid", "ticket",
                    "electronicID", "ticketcoupon", "vehicleplate"}  # fmt: skip


def check(thing: dict[str, Any], kind: str, where: str) -> None:
    """Every required member is there, and none that the class does not have; the same inside."""
    required, further = CLASSES[kind]
    assert required <= thing.keys(), f"{where}: {kind} lacks {required - thing.keys()}"
    assert thing.keys() <= required | further, f"{where}: {kind} has no {thing.keys() - required - further}"
    for name, value in thing.items():
        if name in MEMBERS:
            for one in value if isinstance(value, list) else [value]:
                check(one, MEMBERS[name], f"{where}.{name}")
        elif name == "rightHolder":
            for one in value["credentials"]:
                check(one, "CredentialAssigned", f"{where}.rightHolder")
        elif name in ("actualStart", "actualEnd", "issuanceTime", "dateCollected"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), f"{where}.{name}"
        elif name == "validationType":
            assert set() < set(value) <= CREDENTIAL_TYPES, f"{where}.{name}"
        elif name == "type":
            assert value in CREDENTIAL_TYPES, f"{where}.{name}"
    for name in ("segments", "identifiedCredentials", "paymentLines"):
        assert thing.get(name, [1]), f"{where}.{name}: at least one"


def ticket_of(story: Story, number: str, **row: Any) -> dict[str, Any]:
    """gatectl.ticket/1 of a story's ticket, as the mirror would tell it."""
    events = [{"kind": fact.kind, "body": json.loads(codec.encode(fact))} for fact in story.facts]
    mine = [event for event in events if number in (event["body"].get("ticket"), event["body"].get("replacement"))]
    paid = [fact for fact in story.facts if isinstance(fact, PaymentTaken)]
    payments = [
        {"payment": p.payment, "state": "COMPLETED", "paid_ms": p.paid_ms, "amount_minor": p.amount_minor, "currency": p.currency,
         "terminal_ref": p.terminal_ref, "series": p.series, "receipt": p.receipt, "method": p.method} for p in paid
    ]  # fmt: skip
    known: dict[str, Any] = {"ticket": number, "state": "inside", "events": mine, "payments": payments, "area": "main"}
    known |= {"spot": "A-000", "tariff": "t-2026", "issued_ms": 1_780_000_000_000, "entered_ms": 1_780_000_010_000}
    return {**known, "exited_ms": None, **row}


def a_story() -> tuple[Story, TicketNumber]:
    story = Story().start()
    number = TicketNumber(story.enter().ticket)
    story.later(HOUR_MS)
    story.tell(CashOffered(RequestId("r"), PaymentId("k"), number, None, 500, "till-1", "mia"))
    return story, number


def test_a_plain_stay_is_a_session_of_one_segment_with_its_ticket_as_right() -> None:
    """In, paid in cash, out: every member is APDS's, and both ends of each reference are there."""
    story, number = a_story()
    told = stay(ticket_of(story, number, state="exited", exited_ms=1_780_003_700_000), "north", "North")
    (session,), (right,) = told["sessions"], told["assignedRights"]
    check(session, "Session", "session")
    check(right, "AssignedRight", "right")

    assert ("2026-05-28T20:26:50Z", "2026-05-28T21:28:20Z") == (session["actualStart"], session["actualEnd"])
    assert [right["id"]] == [segment["assignedRight"]["id"] for segment in session["segments"]]
    assert [{"currencyType": "EUR", "currencyValue": 4.0}] == [
        line["value"] for paid in right["payments"] for line in paid["paymentLines"]
    ]
    assert f"north:{number}" == session["id"]
    assert "till-1-1" == right["payments"][0]["transactionID"]


def test_a_move_into_another_area_begins_a_segment() -> None:
    """Segments follow each other without a gap; the last one is open while the vehicle is inside."""
    story, number = a_story()
    moved = VehicleMoved(
        number, OUT, AreaId("main"), AreaId("inner"), SpotId("I-1"), "COMPACT", None, 1_780_001_000_000
    )
    story.facts.append(moved)
    (session,) = stay(ticket_of(story, number, area="inner", spot="I-1"), "north", "North")["sessions"]
    check(session, "Session", "session")
    first, second = session["segments"]

    assert first["actualEnd"] == second["actualStart"] == "2026-05-28T20:43:20Z"
    assert "actualEnd" not in second
    assert ["north:A-000", "north:I-1"] == [segment["spaceId"]["id"] for segment in session["segments"]]


def test_a_pass_is_named_and_its_key_is_not() -> None:
    """The credential's kind is told, the hash of the card is nobody's business."""
    story, number = a_story()
    story.facts.append(PassUsed("M7", "", number, "card:" + "ab" * 16, OUT, 1, excess=False, passback=False))
    told = stay(ticket_of(story, number), "north", "North")

    assert "rfid" == told["sessions"][0]["identifiedCredentials"][0]["type"]
    assert ("north:pass:M7", "electronic") == (
        told["assignedRights"][0]["id"],
        told["assignedRights"][0]["issueMethod"],
    )
    assert "abab" not in json.dumps(told)


def test_what_never_was_a_stay_is_none() -> None:
    """Void, replaced, or not in yet."""
    story, number = a_story()
    assert is_stay(ticket_of(story, number))
    assert not is_stay(ticket_of(story, number, state="lost"))
    assert not is_stay(ticket_of(story, number, state="issued", entered_ms=None))


def paths(thing: dict[str, Any], where: str) -> Iterator[str]:
    for name, value in thing.items():
        inner = value if isinstance(value, list) and name in ("segments", "payments") else []
        if not inner:
            yield f"{where}.{name}"
        for one in inner:
            yield from paths(one, f"{where}.{name}")


def test_the_page_says_where_each_member_is_from() -> None:
    """No row too few, none too many."""
    story, number = a_story()
    story.facts.append(
        VehicleMoved(number, OUT, AreaId("main"), AreaId("inner"), SpotId("I-1"), "COMPACT", None, 1_780_001_000_000)
    )
    told = stay(
        ticket_of(story, number, area="inner", spot="I-1", state="exited", exited_ms=1_780_003_700_000), "n", "N"
    )
    made = {path for kind, (thing,) in told.items() for path in paths(thing, kind)}

    assert made == set(re.findall(r"^\| `((?:sessions|assignedRights)\.[A-Za-z.]+)` \|", PAGE, flags=re.M))
