"""A stay in the words of APDS 4 (ISO/TS 5206-1): a Session with its Segments and credentials, and the AssignedRight it used.

Works on rows and bodies as the mirror has them. Where each member comes from is in docs/business/apds.md; a test compares.

Rule 1: ids are made here and unique for ever: the site's id, a colon, and a name that the site never gives again.
Rule 2: no plate, card number or PIN is in it: a right that was shown is named, not the key that showed it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gatectl.domain.money import decimal_text

Body = Mapping[str, Any]
Plain = dict[str, Any]

SHOWN_BY: Final = {"card": "rfid", "pin": "electronicID", "code": "qrCode", "plate": "licensePlate"}
"""A credential's key begins with its kind; APDS's CredentialTypeEnum for it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def stay(ticket: Body, site: str, name: str) -> Plain:
    """`ticket`: gatectl.ticket/1 of a stay. One Session and one AssignedRight, which refer to each other."""
    session, right = _session(ticket, site, name), _right(ticket, site, name)
    return {"sessions": [session], "assignedRights": [right]}


def is_stay(ticket: Body) -> bool:
    """Whether a vehicle was ever inside on the number; a replaced one is told by the number that replaced it."""
    return ticket["entered_ms"] is not None and ticket["state"] not in ("void", "lost")


def _session(ticket: Body, site: str, name: str) -> Plain:
    made: Plain = _identity(ticket, site)
    made["actualStart"] = _time(ticket["entered_ms"])
    if ticket["exited_ms"] is not None:
        made["actualEnd"] = _time(ticket["exited_ms"])
    made["initiator"] = _reference(site, "Organisation")
    made["hierarchyElement"] = _reference(f"{site}:{ticket['area']}", "IdentifiedArea")
    made["identifiedCredentials"] = [_credential(ticket, name)]
    made["segments"] = list(_segments(ticket, site))
    return made


def _identity(ticket: Body, site: str) -> Plain:
    """The version grows with every record of the stay."""
    return {"id": f"{site}:{ticket['ticket']}", "version": max(1, len(ticket["events"]))}


def _reference(name: str, kind: str) -> Plain:
    return {"id": name, "version": 1, "className": kind}


def _time(at_ms: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%dT%H:%M:%SZ}"


# -- segments -----------------------------------------------------------------------------------------------------


def _segments(ticket: Body, site: str) -> Iterator[Plain]:
    """One for each spot that the vehicle had; a passage between areas begins a new one."""
    places = _places(ticket)
    for number, (start_ms, area, spot) in enumerate(places, 1):
        end_ms = places[number][0] if number < len(places) else ticket["exited_ms"]
        segment: Plain = {"id": f"{site}:{ticket['ticket']}:{number}", "version": 1, "actualStart": _time(start_ms)}
        if end_ms is not None:
            segment["actualEnd"] = _time(end_ms)
        segment["assignedRight"] = _reference(_right_id(ticket, site), "AssignedRight")
        if spot:
            segment["spaceId"] = _reference(f"{site}:{spot}", "Space")
        segment["validationType"] = [_shown(ticket)]
        segment["validationId"] = ticket["ticket"]
        segment["credentialId"] = {"id": _credential_id(ticket), "className": _class(ticket)}
        if area != ticket["area"] or len(places) > 1:
            segment["notes"] = [{"language": "en", "string": f"area {area}"}]
        yield segment


def _places(ticket: Body) -> Sequence[tuple[int, str, str | None]]:
    """When the vehicle came to each area and spot, oldest first."""
    first: tuple[int, str, str | None] = (ticket["entered_ms"], ticket["area"], ticket["spot"])
    moves = [event for event in ticket["events"] if event["kind"] == "vehicle.moved"]
    if not moves:
        return [first]
    issued = _body(ticket, "ticket.issued")
    begins = (first[0], str(moves[0]["body"].get("from_area")), issued.get("spot"))
    return [begins, *((one["body"]["moved_ms"], one["body"]["area"], one["body"].get("spot")) for one in moves)]


# -- rights and credentials ---------------------------------------------------------------------------------------


def _body(ticket: Body, kind: str) -> Body:
    """The body of the ticket's newest record of a kind; empty if there is none."""
    return next((event["body"] for event in reversed(ticket["events"]) if event["kind"] == kind), {})


def _granted(ticket: Body) -> tuple[str, str, str]:
    """What let the vehicle in: kind, name, and the key that was shown (its kind alone is told)."""
    for kind, member in (("pass.used", "pass_id"), ("pass.moved", "pass_id"), ("reservation.used", "reservation")):
        body = _body(ticket, kind)
        if body:
            return kind.partition(".")[0], str(body[member]), str(body.get("credential", ""))
    return "ticket", str(ticket["ticket"]), ""


def _shown(ticket: Body) -> str:
    kind, _, key = _granted(ticket)
    return "ticket" if kind == "ticket" else SHOWN_BY.get(key.partition(":")[0], "eticket")


def _credential_id(ticket: Body) -> str:
    return _granted(ticket)[1]


def _class(ticket: Body) -> str:
    return _granted(ticket)[0].capitalize()


def _credential(ticket: Body, name: str) -> Plain:
    return {
        "type": _shown(ticket),
        "credentialAssignedType": "other",
        "identifier": {"id": _credential_id(ticket), "className": _class(ticket)},
        "issuer": [{"language": "en", "string": name}],
    }


def _right_id(ticket: Body, site: str) -> str:
    kind, right, _ = _granted(ticket)
    return f"{site}:{kind}:{right}"


def _right(ticket: Body, site: str, name: str) -> Plain:
    made: Plain = {"id": _right_id(ticket, site), "version": 1}
    made["rightSpecification"] = _reference(f"{site}:tariff:{ticket['tariff']}", "RightSpecification")
    made["rightHolder"] = {"credentials": [_credential(ticket, name)]}
    made["assignedRightIssuer"] = _reference(site, "Organisation")
    made["issueMethod"] = "ticket" if _granted(ticket)[0] == "ticket" else "electronic"
    made["issuanceTime"] = _time(ticket["issued_ms"])
    paid = [
        row for row in ticket["payments"] if row["state"] in ("COMPLETED", "REFUNDED") and row["paid_ms"] is not None
    ]
    made["payments"] = [_payment(row, site) for row in paid]
    return made


def _payment(row: Body, site: str) -> Plain:
    number = f"{site}:{row['payment']}"
    # APDS wants a JSON number: it is read as one at the very end, and never calculated with.
    value = {
        "currencyType": row["currency"],
        "currencyValue": json.loads(decimal_text(row["amount_minor"], row["currency"])),
    }
    line = {"id": f"{number}:1", "version": 1, "paymentType": "payment", "value": value}
    return {
        "id": number,
        "version": 2 if row["state"] == "REFUNDED" else 1,
        "dateCollected": _time(row["paid_ms"]),
        "serviceProvider": _reference(site, "Organisation"),
        "transactionID": row["terminal_ref"] or f"{row['series']}-{row['receipt']}",
        "idCode": row["method"],
        "paymentLines": [line],
    }
