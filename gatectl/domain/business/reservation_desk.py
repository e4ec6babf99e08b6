"""Where reservations come from: the office's feed, and the people at the site."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatectl.domain.business.credentials import CREDENTIALS_MAX, hashed, is_key, plate_key
from gatectl.domain.business.reading import WALL_MS_MAX, Body
from gatectl.domain.business.rule import Context, Done, Feed, No, Param, Verb, Words
from gatectl.domain.facts import Fact
from gatectl.domain.ids import AreaId
from gatectl.domain.lane_codes import PIN_DIGITS, is_pin
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.records import reservations as r
from gatectl.domain.records.reservations import QUOTAS, RESERVATION_CREDENTIALS, RESERVATIONS
from gatectl.domain.right_codes import (
    EARLY_MINUTES_MAX,
    LENGTH_MINUTES_MAX,
    REFERENCE,
    RightCode,
    RightKind,
    place_hash,
    sign,
)
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tickets import CROCKFORD

MINUTE_MS: Final = 60_000
RESERVATIONS_MAX: Final = 20_000
"""Reservations that are not over yet, known at once."""
EARLY_MINUTES: Final = 15
"""What a reservation that does not say gives a driver who comes early."""
QUOTA_MAX: Final = 200_000
OFFICE: Final = "office"


def closing(row: Row, now_ms: int) -> r.ReservationClosed:
    return r.ReservationClosed(words(row, "reservation"), now_ms, _credentials(row))


def _credentials(row: Row) -> tuple[str, ...]:
    return tuple(words(row, "credentials").split())


# -- the feed ---------------------------------------------------------------------------------------------------------


def _take(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    row = context.books.tables.get(RESERVATIONS, key)
    if plain is None:
        return _cancelled(row, source, "removed at the office") if row is not None else ()
    body = Body(plain)
    cancelled = body.flag("cancelled")
    made = _read(context, key, body, source)
    fault = body.fault()
    if fault is not None:
        return fault
    if made.until_ms <= context.now.wall_ms and row is None:
        return ()  # over before it was known here
    if row is None and context.books.tables.count(RESERVATIONS) >= RESERVATIONS_MAX:
        return No("E-FULL-01", f"{RESERVATIONS_MAX} reservations are known already")
    facts = _kept(context, row, made)
    if isinstance(facts, No):
        return facts
    if cancelled and (row is None or row["state"] != "cancelled"):
        waits = row is None or row["state"] in ("booked", "held", "released")
        return (*facts, *((r.ReservationCancelled(key, source, "cancelled at the office"),) if waits else ()))
    return facts


def _cancelled(row: Row, by: str, why: str) -> Iterable[Fact]:
    """Only what nobody has used yet can be cancelled; again changes nothing."""
    if row["state"] in ("booked", "held", "released"):
        yield r.ReservationCancelled(words(row, "reservation"), by, why)


def _read(context: Context, key: str, body: Body, source: str) -> r.ReservationMade:
    area, spot_type = body.text("area"), body.text("spot_type")
    if spot_type not in context.books.spots.total(AreaId(area)):
        body.wrong(f"area, spot_type: the site has no {spot_type} in {area}")
    from_ms, until_ms = body.whole("from_ms", 0, WALL_MS_MAX), body.whole("until_ms", 0, WALL_MS_MAX)
    minutes = (until_ms - from_ms) // MINUTE_MS
    if not 0 < minutes <= LENGTH_MINUTES_MAX:
        body.wrong("until_ms: not after from_ms")
    if not REFERENCE.fullmatch(key):
        body.wrong("key: 1 to 11 of the digits and letters that a code can hold (no I, L, O, U)")
    credentials = body.words("credentials")
    if len(credentials) > CREDENTIALS_MAX or not all(map(is_key, credentials)):
        body.wrong(f"credentials: at most {CREDENTIALS_MAX} keys, as in card:..., pin:..., plate:...")
    return r.ReservationMade(
        key,
        body.text("holder", ""),
        area,
        spot_type,
        from_ms,
        until_ms,
        body.whole("early_minutes", 0, EARLY_MINUTES_MAX, EARLY_MINUTES),
        body.whole("late_minutes", 0, LENGTH_MINUTES_MAX, max(0, minutes)),
        body.maybe_whole("prepaid_minor", 0, AMOUNT_MINOR_MAX),
        credentials,
        source,
    )


def _kept(context: Context, row: Row | None, made: r.ReservationMade) -> tuple[Fact, ...] | No:
    """Made, changed, or as it was."""
    for credential in made.credentials:
        other = context.books.tables.get(RESERVATION_CREDENTIALS, credential)
        if other is not None and other["reservation"] != made.reservation:
            return No("E-CRED-03", f"another reservation, {other['reservation']}, has the same credential")
    if row is None:
        return (made,)
    terms = ("holder", "area", "spot_type", "from_ms", "until_ms", "early_minutes", "late_minutes", "prepaid_minor")
    same = all(row[name] == getattr(made, name) for name in terms) and row["source"] == made.source
    if same and _credentials(row) == made.credentials:
        return ()
    dropped = tuple(one for one in _credentials(row) if one not in made.credentials)
    values: dict[str, Any] = {name: getattr(made, name) for name in (*terms, "credentials", "source")}
    return (r.ReservationChanged(made.reservation, **values, dropped=dropped),)


def _held(context: Context) -> Iterable[str]:
    for row in context.books.tables.all(RESERVATIONS):
        if row["source"] == OFFICE and row["state"] in ("booked", "held", "released"):
            yield words(row, "reservation")


def _quota(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    area, _, spot_type = key.rpartition("/")
    body = Body(plain or {})
    spots = body.whole("spots", 0, QUOTA_MAX) if plain is not None else 0
    if spot_type not in context.books.spots.total(AreaId(area)):
        body.wrong(f"the site has no {spot_type} in {area}")
    fault = body.fault()
    if fault is not None:
        return fault
    known = context.books.tables.get(QUOTAS, area, spot_type)
    if known is not None and (known["spots"], known["source"]) == (spots, source):
        return ()
    return () if known is None and plain is None else (r.QuotaSet(area, spot_type, spots, source),)


def _quotas_held(context: Context) -> Iterable[str]:
    for row in context.books.tables.all(QUOTAS):
        if row["source"] == OFFICE and row["spots"]:
            yield f"{row['area']}/{row['spot_type']}"


FEEDS: Final = (Feed("reservation", _take, _held), Feed("quota", _quota, _quotas_held))


# -- people at the site ---------------------------------------------------------------------------------------------------


def _add(context: Context, who: str, given: Words) -> Done | No:
    name = str(given.get("reservation", "")) or _next_name(context)
    pin, plate = str(given.get("pin", "")), str(given.get("plate", ""))
    if pin and not is_pin(pin):
        return No("E-USE-01", f"a PIN has {PIN_DIGITS.start} to {PIN_DIGITS.stop - 1} digits")
    if context.books.tables.get(RESERVATIONS, name) is not None:
        return No("E-USE-01", f"there is a reservation {name} already")
    plain: dict[str, object] = {key: given[key] for key in _TERMS if key in given}
    plain["credentials"] = [
        *((hashed(context.plan.site, "pin", pin),) if pin else ()),
        *((plate_key(plate),) if plate else ()),
    ]
    taken = _take(context, name, plain, who)
    if isinstance(taken, No):
        return taken
    facts = tuple(taken)
    if not facts:
        return No("E-USE-01", "it would be over already")
    made = facts[0]
    assert isinstance(made, r.ReservationMade)
    refusal = _no_room(context, made.area, made.spot_type, made.from_ms, made.until_ms, name)
    if refusal is not None:
        return refusal
    data = {"reservation": name, "code": code_of(context, made)}
    return Done(f"reservation {name} is made", facts, data)


_TERMS: Final = (
    *("holder", "area", "spot_type", "from_ms", "until_ms"),
    *("early_minutes", "late_minutes", "prepaid_minor"),
)


def code_of(context: Context, made: r.ReservationMade) -> str:
    """The code that its driver brings."""
    minutes = (made.until_ms - made.from_ms) // MINUTE_MS
    right = RightCode(
        RightKind.RESERVATION,
        made.reservation,
        made.from_ms,
        minutes,
        place_hash(made.area, made.spot_type),
        made.prepaid_minor,
        made.early_minutes,
    )
    return sign(context.plan.keyring, context.plan.site, right)


def _next_name(context: Context) -> str:
    """Four letters of the boot's tag, and the second in the alphabet of codes: no restored counter makes it again."""
    second = context.now.wall_ms // 1000
    while True:
        rest, letters = second, ""
        while rest:
            rest, letter = divmod(rest, 32)
            letters = CROCKFORD[letter] + letters
        name = context.boot.tag + letters[-7:]
        if context.books.tables.get(RESERVATIONS, name) is None:
            return name
        second += 1


def _no_room(context: Context, area: str, spot_type: str, from_ms: int, until_ms: int, name: str) -> No | None:
    """Whether all spots of the class that are not the office's are promised to others at some time of these."""
    sold_here = [
        row
        for row in context.books.tables.all(RESERVATIONS)
        if (row["area"], row["spot_type"]) == (area, spot_type)
        and row["source"] not in (OFFICE, "code")
        and row["state"] not in ("cancelled", "left")
        and row["reservation"] != name
        and whole(row, "from_ms") < until_ms
        and from_ms < whole(row, "until_ms")
    ]
    row = context.books.tables.get(QUOTAS, area, spot_type)
    quota = context.plan.quotas.get((area, spot_type), 0) if row is None else whole(row, "spots")
    spots = context.books.spots.total(AreaId(area))[spot_type]
    if len(sold_here) >= spots - quota:
        return No(
            "E-FULL-01", f"{spot_type} in {area}: all {spots - quota} spots that are not the office's are reserved"
        )
    return None


def _waiting(context: Context, given: Words) -> Row | No:
    name = str(given["reservation"])
    row = context.books.tables.get(RESERVATIONS, name)
    if row is None:
        return No("E-NOT-01", f"no reservation {name} is known that is not over")
    return row


def _extend(context: Context, who: str, given: Words) -> Done | No:
    row, until_ms = _waiting(context, given), int(given["until_ms"])
    if isinstance(row, No):
        return row
    name = words(row, "reservation")
    if row["state"] in ("cancelled", "left"):
        return No("E-USE-01", f"reservation {name} is {row['state']}")
    minutes = (until_ms - whole(row, "from_ms")) // MINUTE_MS
    if until_ms <= whole(row, "until_ms") or minutes > LENGTH_MINUTES_MAX:
        return No("E-USE-01", "an extension ends later than the reservation, and not for ever")
    refusal = _no_room(context, words(row, "area"), words(row, "spot_type"), whole(row, "until_ms"), until_ms, name)
    if refusal is not None:
        return refusal
    return Done(f"reservation {name} is extended", (r.ReservationExtended(name, until_ms, who),))


def _cancel(context: Context, who: str, given: Words) -> Done | No:
    row = _waiting(context, given)
    if isinstance(row, No):
        return row
    name = words(row, "reservation")
    facts = tuple(_cancelled(row, who, str(given["reason"])))
    return Done(f"reservation {name} is cancelled", facts) if facts else No("E-USE-01", f"{name} is {row['state']}")


VERBS: Final = (
    Verb(
        "reservation-add",
        "promise a place of a class for some hours",
        (
            Param("area", str),
            Param("spot_type", str),
            Param("from_ms", int),
            Param("until_ms", int),
            Param("reservation", str, needed=False),
            Param("holder", str, needed=False),
            Param("pin", str, needed=False),
            Param("plate", str, needed=False),
            Param("early_minutes", int, needed=False),
            Param("late_minutes", int, needed=False),
            Param("prepaid_minor", int, needed=False),
        ),
        _add,
    ),
    Verb(
        "reservation-extend",
        "let a reservation end later",
        (Param("reservation", str), Param("until_ms", int)),
        _extend,
    ),
    Verb(
        "reservation-cancel",
        "give a reservation back that nobody has used",
        (Param("reservation", str), Param("reason", str)),
        _cancel,
    ),
)
