"""Where coupons and merchants come from, and how validations are given: the site file, the office's feed, people and devices."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatectl.domain import coupon_codes
from gatectl.domain import facts as f
from gatectl.domain.business import coupons, validations
from gatectl.domain.business.coupon_terms import TermsRefused, read_coupon, read_merchant
from gatectl.domain.business.reading import Body
from gatectl.domain.business.rule import Context, Done, Feed, No, Param, Rules, Verb, Words
from gatectl.domain.business.validations import COUPONS_MAX, MERCHANTS_MAX, MINUTE_MS, Offer
from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.money import shown
from gatectl.domain.offers import Coupon, Merchant
from gatectl.domain.records import validations as v
from gatectl.domain.records.validations import COUPON_SERIES, COUPONS, MERCHANTS, VALIDATIONS
from gatectl.domain.rows import Row, Table, whole, words
from gatectl.domain.tickets import parse_number

OFFICE: Final = "office"
SITE_FILE: Final = "site-file"
PEOPLE: Final = "people"
SIGN_MAX: Final = 100
"""Coupons that are signed in one go."""
SIGN_DAYS_MAX: Final = coupon_codes.LENGTH_MINUTES_MAX // (24 * 60)


# -- what is known -----------------------------------------------------------------------------------------------------


def _new(context: Context, table: Table, fact: v.CouponDefined | v.MerchantDefined, name: str) -> list[Fact] | No:
    """The fact, if it says something new and there is room."""
    tables = context.books.tables
    row = tables.get(table, name)
    (put,) = v.RECORDS.changes[type(fact)](fact)
    if row == table.row(put.values):  # type: ignore[union-attr]  # a definition is one Put
        return []
    if row is not None and row["source"] != fact.source:
        return No("E-USE-01", f"{name} is known from {row['source']}")
    most = COUPONS_MAX if table is COUPONS else MERCHANTS_MAX
    if row is None and tables.count(table) >= most:
        return No("E-FULL-01", f"{most} are known already")
    return [fact]


def _start(context: Context, fact: f.SiteStarted) -> Iterable[Fact]:
    """What the site file says, if it says something new; and what it says no more."""
    plan, tables = context.plan, context.books.tables
    for merchant in plan.merchants:
        yield from _told(_new(context, MERCHANTS, merchant.fact(SITE_FILE), merchant.merchant), merchant.merchant)
    for coupon in plan.coupons:
        yield from _told(_new(context, COUPONS, coupon.fact(SITE_FILE), coupon.coupon), coupon.coupon)
    said = {merchant.merchant for merchant in plan.merchants}
    for row in list(tables.where(MERCHANTS, "source", SITE_FILE)):
        if row["merchant"] not in said:
            yield v.MerchantRemoved(words(row, "merchant"), SITE_FILE)
    codes = {coupon.coupon for coupon in plan.coupons}
    for row in list(tables.where(COUPONS, "source", SITE_FILE)):
        if row["coupon"] not in codes:
            yield v.CouponRemoved(words(row, "coupon"), SITE_FILE)


def _told(outcome: list[Fact] | No, name: str) -> Iterable[Fact]:
    return [f.CommandRefused(name, SITE_FILE, outcome.why)] if isinstance(outcome, No) else outcome


# -- the feed ---------------------------------------------------------------------------------------------------------


def _take_coupon(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    row = context.books.tables.get(COUPONS, key)
    if plain is None:
        return [v.CouponRemoved(key, source)] if row is not None and row["source"] == source else []
    read = _read_coupon({"id": key, **plain})
    return read if isinstance(read, No) else _new(context, COUPONS, read.fact(source), key)


def _read_coupon(plain: Mapping[str, object]) -> Coupon | No:
    try:
        return read_coupon(plain, "_ms")
    except TermsRefused as refused:
        return No("E-USE-01", str(refused)[:200])


def _take_merchant(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    row = context.books.tables.get(MERCHANTS, key)
    if plain is None:
        return [v.MerchantRemoved(key, source)] if row is not None and row["source"] == source else []
    try:
        read: Merchant = read_merchant({"id": key, **plain})
    except TermsRefused as refused:
        return No("E-USE-01", str(refused)[:200])
    return _new(context, MERCHANTS, read.fact(source), key)


def _take_validation(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    """A merchant validates at the office. A row that goes away, or is of a stay that is over, changes nothing."""
    if plain is None:
        return []
    body = Body(plain)
    number = parse_number(body.text("ticket"))
    merchant, reason = body.text("merchant"), body.text("reason")
    minutes, amount = body.maybe_whole("minutes", 1, 2**31), body.maybe_whole("amount_minor", 1, 2**53)
    asked = _Asked(minutes, amount, body.flag("whole_stay"), merchant, reason, f"{source}:{key}")
    fault = body.fault()
    if fault is not None:
        return fault
    if number is None:
        return No("E-NOT-01", f"{plain['ticket']!r} is no ticket's number"[:200])
    if number not in context.books.stays and context.books.is_known(number):
        return []
    outcome = _validated(context, number, asked, source, source)
    return outcome if isinstance(outcome, No) else outcome[0]


def _held(table: Table) -> Any:
    def held(context: Context) -> Iterable[str]:
        return [words(row, table.key[0]) for row in context.books.tables.where(table, "source", OFFICE)]

    return held


def _none_held(context: Context) -> Iterable[str]:
    """A validation is taken off by a person, never because a feed has forgotten it."""
    return ()


# -- validating -----------------------------------------------------------------------------------------------------------


class _Asked:
    """What a merchant gives: minutes, an amount in minor units, or the whole stay."""

    __slots__ = ("amount_minor", "key", "merchant", "minutes", "reason", "whole")

    def __init__(
        self, minutes: int | None, amount_minor: int | None, whole_stay: bool, merchant: str, reason: str, key: str
    ) -> None:
        self.minutes = minutes
        self.amount_minor = amount_minor
        self.whole = whole_stay
        self.merchant = merchant
        self.reason = reason
        self.key = key

    def given(self) -> tuple[str, int] | None:
        """What it comes to; None unless exactly one is said."""
        said = [
            ("minutes", self.minutes or 0) if self.minutes is not None else None,
            ("amount", self.amount_minor or 0) if self.amount_minor is not None else None,
            ("whole", 0) if self.whole else None,
        ]
        found = [one for one in said if one is not None]
        return found[0] if len(found) == 1 else None


def _validated(
    context: Context, ticket: TicketNumber, asked: _Asked, by: str, place: str
) -> tuple[tuple[Fact, ...], str] | No:
    """The facts and the validation's name; the same key again is the same validation."""
    row = context.books.tables.get(MERCHANTS, asked.merchant)
    if row is None:
        return No("E-VAL-01", f"no merchant {asked.merchant!r}"[:200])
    given = asked.given()
    if given is None:
        return No("E-USE-01", "minutes, an amount or the whole stay: one of them")
    earlier = _earlier(context, ticket, asked)
    if earlier is not None:
        same = (earlier["gives"], earlier["value"], earlier["merchant"]) == (*given, asked.merchant)
        return (
            ((), words(earlier, "validation")) if same else No("E-USE-01", "this key was used for another validation")
        )
    refusal = _not_theirs(row, given, asked.reason)
    if refusal is not None:
        return refusal
    offer = Offer(words(row, "name"), *given, by, place, merchant=asked.merchant, reason=asked.reason, key=asked.key)
    facts = validations.apply(context, ticket, offer)
    if isinstance(facts, No):
        return facts
    return facts, next(fact.validation for fact in facts if isinstance(fact, v.ValidationApplied))


def _earlier(context: Context, ticket: TicketNumber, asked: _Asked) -> Row | None:
    rows = context.books.tables.where(VALIDATIONS, "ticket", ticket)
    return next((row for row in rows if asked.key and row["given_key"] == asked.key), None)


def _not_theirs(row: Row, given: tuple[str, int], reason: str) -> No | None:
    gives, value = given
    most = {"minutes": whole(row, "minutes_max"), "amount": whole(row, "amount_minor_max")}.get(gives, 0)
    if (gives == "whole" and not row["whole"]) or (gives != "whole" and not 0 < value <= most):
        return No("E-VAL-02", f"{row['name']} gives no {gives if gives == 'whole' else f'{value} {gives}'}")
    reasons = words(row, "reasons").split("\n")
    if not reason or (reasons != [""] and reason not in reasons):
        return No("E-VAL-02", f"a reason is needed: {', '.join(reasons) if reasons != [''] else 'any text'}")
    return None


# -- verbs --------------------------------------------------------------------------------------------------------------


def _ticket(given: Words) -> TicketNumber | No:
    number = parse_number(str(given["ticket"]))
    return No("E-NOT-01", f"{given['ticket']!r} is no ticket's number") if number is None else number


def _due(context: Context, ticket: TicketNumber, facts: tuple[Fact, ...]) -> dict[str, object]:
    price = validations.price_after(context, context.books.stays[ticket], facts)
    return {"ticket": ticket, "due_minor": price.due_minor, "currency": price.currency}


def _apply(context: Context, who: str, given: Words) -> Done | No:
    ticket = _ticket(given)
    if isinstance(ticket, No):
        return ticket
    outcome = coupons.apply(context, ticket, str(given["coupon"]), who, str(given.get("place", "desk")))
    if isinstance(outcome, No):
        return outcome
    applied = next(fact for fact in outcome if isinstance(fact, v.ValidationApplied))
    told = validations.told(applied.gives, applied.value, context.plan.currency)
    data = {**_due(context, ticket, outcome), "validation": applied.validation}
    return Done(f"{applied.label} is on {ticket}: {told}", outcome, data, ticket)


def _validate(context: Context, who: str, given: Words) -> Done | No:
    ticket = _ticket(given)
    if isinstance(ticket, No):
        return ticket
    minutes, amount = given.get("minutes"), given.get("amount_minor")
    asked = _Asked(
        int(minutes) if minutes is not None else None,
        int(amount) if amount is not None else None,
        given.get("whole_stay") is True,
        str(given["merchant"]),
        str(given["reason"]),
        str(given.get("key", "")),
    )
    outcome = _validated(context, ticket, asked, who, str(given.get("place", "desk")))
    if isinstance(outcome, No):
        return outcome
    facts, name = outcome
    data = {**_due(context, ticket, facts), "validation": name}
    return Done(f"{ticket} is validated ({name})", facts, data, ticket)


def _void(context: Context, who: str, given: Words) -> Done | No:
    row = context.books.tables.get(VALIDATIONS, str(given["validation"]))
    if row is None or row["state"] == v.RELEASED:
        return No("E-VAL-04", f"{given['validation']} is on no ticket that is inside")
    if row["state"] == v.SPENT:
        return No("E-VAL-04", f"{row['ticket']} was paid with it; give the difference back as a refund")
    facts = tuple(validations.release(context, [row], who, str(given["reason"])))
    ticket = TicketNumber(words(row, "ticket"))
    return Done(f"{row['label']} is off {ticket}", facts, _due(context, ticket, facts), ticket)


def _add(context: Context, who: str, given: Words) -> Done | No:
    plain: dict[str, object] = {key: value for key, value in given.items() if key in _TERMS}
    plain |= {key: str(given[key]).split() for key in ("tariffs", "vehicle_types") if key in given}
    read = _read_coupon({"id": str(given["coupon"]).upper(), **plain})
    if isinstance(read, No):
        return read
    if read.merchant is not None and context.books.tables.get(MERCHANTS, read.merchant) is None:
        return No("E-VAL-01", f"no merchant {read.merchant!r}")
    facts = _new(context, COUPONS, read.fact(PEOPLE, who), read.coupon)
    if isinstance(facts, No):
        return facts
    return Done(f"coupon {read.coupon} is known", tuple(facts), {"coupon": read.coupon})


def _remove(context: Context, who: str, given: Words) -> Done | No:
    code = str(given["coupon"]).upper()
    row = context.books.tables.get(COUPONS, code)
    if row is None:
        return No("E-CPN-01", f"no coupon {code}")
    if row["source"] != PEOPLE:
        return No("E-USE-01", f"{code} comes from {row['source']}; remove it there")
    return Done(f"coupon {code} is removed", (v.CouponRemoved(code, PEOPLE, who),), {"coupon": code})


def _sign(context: Context, who: str, given: Words) -> Done | No:
    """Codes for paper, of a series that belongs to this run of the daemon."""
    count, days = int(given.get("count", 1)), int(given["days"])
    if not (1 <= count <= SIGN_MAX and 1 <= days <= SIGN_DAYS_MAX):
        return No("E-USE-01", f"1 to {SIGN_MAX} coupons for 1 to {SIGN_DAYS_MAX} days")
    read = _read_coupon({"id": "SIGNED", **{key: given[key] for key in _GIVES if key in given}})
    if isinstance(read, No):
        return read
    if read.value > coupon_codes.VALUE_MAX:
        return No("E-USE-01", f"at most {shown(coupon_codes.VALUE_MAX, context.plan.currency)}")
    row = context.books.tables.get(COUPON_SERIES, context.boot.tag)
    signed = whole(row, "signed") if row is not None else 0
    if signed + count > coupon_codes.NUMBER_MAX:
        return No("E-FULL-01", f"{coupon_codes.NUMBER_MAX} coupons were signed since the last start")
    from_ms = context.now.wall_ms // MINUTE_MS * MINUTE_MS
    exclusive = given.get("exclusive") is True
    made = [
        coupon_codes.CouponCode(
            context.boot.tag, signed + 1 + at, read.gives, read.value, from_ms, days * 24 * 60, exclusive
        )
        for at in range(count)
    ]
    fact = v.CouponsSigned(
        context.boot.tag, signed + count, count, read.gives, read.value, from_ms, made[0].until_ms, exclusive, who
    )
    codes = [[one.name, coupon_codes.sign(context.plan.keyring, context.plan.site, one)] for one in made]
    return Done(f"{count} coupons are signed", (fact,), {"coupons": codes})


def _text(name: str, needed: bool = False) -> Param:
    return Param(name, str, needed)


def _whole(name: str) -> Param:
    return Param(name, int, needed=False)


_GIVES: Final = ("minutes", "flat_minor", "percent", "amount_minor")
_TERMS: Final = (
    *(*_GIVES, "from_ms", "until_ms", "hours", "uses", "unlimited", "uses_per_day", "exclusive", "merchant"),
)
_GIVEN: Final = tuple(_whole(name) for name in _GIVES)
_FLAGS: Final = (Param("unlimited", bool, needed=False), Param("exclusive", bool, needed=False))
VERBS: Final = (
    Verb(
        "coupon-apply",
        "put a coupon on a ticket",
        (_text("coupon", True), _text("ticket", True), _text("place")),
        _apply,
    ),
    Verb(
        "coupon-add",
        "make a coupon's code known",
        (
            *(_text("coupon", True), *_GIVEN, *(_whole(name) for name in ("from_ms", "until_ms", "uses"))),
            *(_whole("uses_per_day"), *_FLAGS, *(_text(name) for name in ("hours", "tariffs", "vehicle_types"))),
            _text("merchant"),
        ),
        _add,
    ),
    Verb("coupon-remove", "make a coupon's code unknown", (_text("coupon", True),), _remove),
    Verb(
        "coupon-sign",
        "sign coupons for paper, each good for one stay",
        (*_GIVEN, Param("days", int), _whole("count"), _FLAGS[1]),
        _sign,
    ),
    Verb(
        "validation-add",
        "a merchant validates a ticket",
        (
            *(_text("ticket", True), _text("merchant", True), _text("reason", True), _whole("minutes")),
            *(_whole("amount_minor"), Param("whole_stay", bool, needed=False), _text("place"), _text("key")),
        ),
        _validate,
    ),
    Verb(
        "validation-void",
        "take a coupon or validation off a ticket",
        (_text("validation", True), _text("reason", True)),
        _void,
    ),
)
FEEDS: Final = (
    Feed("merchant", _take_merchant, _held(MERCHANTS)),
    Feed("coupon", _take_coupon, _held(COUPONS)),
    Feed("validation", _take_validation, _none_held),
)
RULES: Final = Rules(
    "validations",
    VERBS,
    follow={**validations.FOLLOW, f.SiteStarted: _start},
    turn=validations.turned,
    adjust=validations.ADJUST,
    feeds=FEEDS,
)
