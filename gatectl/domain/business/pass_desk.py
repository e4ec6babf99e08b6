"""Where passes and contracts come from: the office's feed, and the people at the site."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gatectl.domain.business.credentials import CREDENTIALS_MAX, hashed, is_key, plate_key
from gatectl.domain.business.pass_hours import parsed
from gatectl.domain.business.reading import WALL_MS_MAX, Body
from gatectl.domain.business.rule import Context, Done, Feed, No, Param, Verb, Words
from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.lane_codes import PIN_DIGITS, is_pin
from gatectl.domain.records import passes as p
from gatectl.domain.records.passes import CONTRACTS, PASS_CREDENTIALS, PASS_STAYS, PASSES
from gatectl.domain.right_codes import REFERENCE, RightCode, RightKind, sign
from gatectl.domain.rows import Row, words

PASSES_MAX: Final = 100_000
"""Passes known here, withdrawn ones too: a stay may still be priced by one."""
CONTRACTS_MAX: Final = 10_000
CARS_MAX: Final = 10_000
GRACE_DAYS_MAX: Final = 90
REENTRY_MINUTES_MAX: Final = 7 * 24 * 60
NEUTRAL_MAX: Final = 1_000
"""Cars that one PassNeutral names; more of one pass are named by several."""
OFFICE: Final = "office"

_TERMS: Final = (
    *("holder", "contract", "from_ms", "until_ms", "areas", "hours", "cars"),
    *("grace_days", "grace", "antipassback", "reentry_minutes", "credentials", "source"),
)


# -- the feed ---------------------------------------------------------------------------------------------------------


def _take(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    row = context.books.tables.get(PASSES, key)
    if plain is None:
        return _withdrawn(context, row, source)
    body = Body(plain)
    granted = _read(context, key, body, source)
    fault = body.fault()
    if fault is not None:
        return fault
    for credential in granted.credentials:
        other = context.books.tables.get(PASS_CREDENTIALS, credential)
        if other is not None and other["pass_id"] != key:
            return No("E-CRED-03", f"another pass, {other['pass_id']}, has the same credential")
    if row is None:
        if context.books.tables.count(PASSES) >= PASSES_MAX:
            return No("E-FULL-01", f"{PASSES_MAX} passes are known already")
        return (granted,)
    values: dict[str, Any] = {name: getattr(granted, name) for name in _TERMS}
    plain_row = {name: " ".join(value) if isinstance(value, tuple) else value for name, value in values.items()}
    if not row["withdrawn"] and all(row[name] == value for name, value in plain_row.items()):
        return ()
    had = words(row, "credentials").split()
    dropped = tuple(one for one in had if one not in granted.credentials)
    return (p.PassChanged(key, **values, dropped=dropped),)


def _withdrawn(context: Context, row: Row | None, by: str) -> tuple[Fact, ...]:
    """Again changes nothing."""
    if row is None or row["withdrawn"]:
        return ()
    until_ms, now_ms = row["until_ms"], context.now.wall_ms
    ends_ms = min(until_ms, now_ms) if isinstance(until_ms, int) else now_ms
    return (p.PassWithdrawn(words(row, "pass_id"), ends_ms, by),)


def _read(context: Context, key: str, body: Body, source: str) -> p.PassGranted:
    if not REFERENCE.fullmatch(key):
        body.wrong("key: 1 to 11 of the digits and letters that a code can hold (no I, L, O, U)")
    areas, hours = body.words("areas"), body.text("hours", "")
    stranger = next((area for area in areas if area not in context.plan.areas), None)
    if stranger is not None:
        body.wrong(f"areas: no area {stranger}")
    try:
        parsed(hours)
    except ValueError as error:
        body.wrong(f"hours: {error}")
    given = body.words("credentials")
    if len(given) >= CREDENTIALS_MAX or not all(map(is_key, given)):
        body.wrong(f"credentials: fewer than {CREDENTIALS_MAX} keys, as in card:..., pin:..., plate:..., code:...")
    from_ms, until_ms = body.whole("from_ms", 0, WALL_MS_MAX), body.maybe_whole("until_ms", 0, WALL_MS_MAX)
    if until_ms is not None and until_ms <= from_ms:
        body.wrong("until_ms: not after from_ms")
    return p.PassGranted(
        key,
        body.text("holder", ""),
        body.text("contract", ""),
        from_ms,
        until_ms,
        areas,
        hours,
        body.whole("cars", 1, CARS_MAX, 1),
        body.whole("grace_days", 0, GRACE_DAYS_MAX, 0),
        body.one_of("grace", ("free", "priced"), "free"),
        body.one_of("antipassback", ("hard", "soft", "timed"), "hard"),
        body.whole("reentry_minutes", 0, REENTRY_MINUTES_MAX, 0),
        tuple(dict.fromkeys((*given, f"code:{key}"))),
        source,
    )


def _held(context: Context) -> Iterable[str]:
    for row in context.books.tables.all(PASSES):
        if row["source"] == OFFICE and not row["withdrawn"]:
            yield words(row, "pass_id")


def _contract(context: Context, key: str, plain: Mapping[str, Any] | None, source: str) -> Iterable[Fact] | No:
    row = context.books.tables.get(CONTRACTS, key)
    if plain is None:
        return (p.ContractEnded(key, source),) if row is not None else ()
    body = Body(plain)
    cars = body.whole("cars", 0, CARS_MAX)
    made = p.ContractSet(
        key, body.text("name", ""), cars, body.one_of("excess", ("refuse", "transient"), "refuse"), source
    )
    fault = body.fault()
    if fault is not None:
        return fault
    if row is None and context.books.tables.count(CONTRACTS) >= CONTRACTS_MAX:
        return No("E-FULL-01", f"{CONTRACTS_MAX} contracts are known already")
    same = row is not None and all(row[name] == getattr(made, name) for name in ("name", "cars", "excess", "source"))
    return () if same else (made,)


def _contracts_held(context: Context) -> Iterable[str]:
    for row in context.books.tables.all(CONTRACTS):
        if row["source"] == OFFICE:
            yield words(row, "contract")


FEEDS: Final = (Feed("pass", _take, _held), Feed("contract", _contract, _contracts_held))


# -- people at the site ---------------------------------------------------------------------------------------------------


def _add(context: Context, who: str, given: Words) -> Done | No:
    name = str(given["pass_id"])
    row = context.books.tables.get(PASSES, name)
    if row is not None and row["source"] == OFFICE:
        return No("E-USE-01", f"pass {name} is the office's; change it there")
    pin = str(given.get("pin", ""))
    if pin and not is_pin(pin):
        return No("E-USE-01", f"a PIN has {PIN_DIGITS.start} to {PIN_DIGITS.stop - 1} digits")
    plain: dict[str, object] = {key: given[key] for key in _GIVEN if key in given}
    plain.setdefault("from_ms", context.now.wall_ms)
    plain["areas"] = str(given.get("areas", "")).split()
    site = context.plan.site
    plain["credentials"] = [
        *(hashed(site, "card", card) for card in str(given.get("cards", "")).split()),
        *((hashed(site, "pin", pin),) if pin else ()),
        *(plate_key(plate) for plate in str(given.get("plates", "")).split()),
    ]
    taken = _take(context, name, plain, who)
    if isinstance(taken, No):
        return taken
    code = sign(context.plan.keyring, site, RightCode(RightKind.PASS, name))
    return Done(f"pass {name} is good", tuple(taken), {"pass_id": name, "code": code})


_GIVEN: Final = (
    *("holder", "contract", "from_ms", "until_ms", "hours", "cars"),
    *("grace_days", "grace", "antipassback", "reentry_minutes"),
)


def _known(context: Context, given: Words) -> Row | No:
    name = str(given["pass_id"])
    row = context.books.tables.get(PASSES, name)
    return No("E-NOT-01", f"no pass {name} is known") if row is None else row


def _suspend(context: Context, who: str, given: Words) -> Done | No:
    row = _known(context, given)
    if isinstance(row, No):
        return row
    name = words(row, "pass_id")
    if row["suspended_by"] is not None:
        return No("E-USE-01", f"pass {name} is suspended already, by {row['suspended_by']}: {row['suspended_why']}")
    return Done(f"pass {name} is suspended", (p.PassSuspended(name, who, str(given["reason"])),))


def _resume(context: Context, who: str, given: Words) -> Done | No:
    row = _known(context, given)
    if isinstance(row, No):
        return row
    name = words(row, "pass_id")
    if row["suspended_by"] is None:
        return No("E-USE-01", f"pass {name} is not suspended")
    return Done(f"pass {name} is good again", (p.PassResumed(name, who),))


def _withdraw(context: Context, who: str, given: Words) -> Done | No:
    row = _known(context, given)
    if isinstance(row, No):
        return row
    if row["source"] == OFFICE:
        return No("E-USE-01", f"pass {row['pass_id']} is the office's; suspend it, or withdraw it there")
    facts = _withdrawn(context, row, who)
    return Done(f"pass {row['pass_id']} is withdrawn", facts) if facts else No("E-USE-01", "it is withdrawn already")


def _neutral(context: Context, who: str, given: Words) -> Done | No:
    row = _known(context, given)
    if isinstance(row, No):
        return row
    name = words(row, "pass_id")
    facts = tuple(_set_neutral(context, name, who, str(given["reason"])))
    cars = sum(len(fact.tickets) for fact in facts)
    return Done(f"pass {name} is neutral: {cars} not counted any more", facts, {"cars": cars})


def _neutral_all(context: Context, who: str, given: Words) -> Done | No:
    """After a time of free flow nobody knows whose cars are inside."""
    names = sorted({words(stay, "pass_id") for stay in context.books.tables.all(PASS_STAYS) if stay["counted"]})
    facts = tuple(fact for name in names for fact in _set_neutral(context, name, who, str(given["reason"])))
    cars = sum(len(fact.tickets) for fact in facts)
    return Done(f"{len(names)} passes are neutral: {cars} cars not counted any more", facts, {"cars": cars})


def _set_neutral(context: Context, name: str, who: str, why: str) -> Iterator[p.PassNeutral]:
    stays = context.books.tables.where(PASS_STAYS, "pass_id", name)
    tickets = [TicketNumber(words(stay, "ticket")) for stay in stays if stay["counted"]]
    for at in range(0, len(tickets), NEUTRAL_MAX):
        yield p.PassNeutral(name, tuple(tickets[at : at + NEUTRAL_MAX]), who, why)


_PASS: Final = Param("pass_id", str)
_REASON: Final = Param("reason", str)

VERBS: Final = (
    Verb(
        "pass-add",
        "make a pass here, or change one that was made here",
        (
            _PASS,
            Param("holder", str, needed=False),
            Param("contract", str, needed=False),
            Param("from_ms", int, needed=False),
            Param("until_ms", int, needed=False),
            Param("areas", str, needed=False),
            Param("hours", str, needed=False),
            Param("cars", int, needed=False),
            Param("grace_days", int, needed=False),
            Param("grace", str, needed=False),
            Param("antipassback", str, needed=False),
            Param("reentry_minutes", int, needed=False),
            Param("cards", str, needed=False),
            Param("pin", str, needed=False),
            Param("plates", str, needed=False),
        ),
        _add,
    ),
    Verb("pass-suspend", "let a pass in no more until it is resumed", (_PASS, _REASON), _suspend),
    Verb("pass-resume", "end a pass's suspension", (_PASS,), _resume),
    Verb("pass-withdraw", "end a pass that was made here", (_PASS,), _withdraw),
    Verb("pass-neutral", "count no car against a pass that may be outside again", (_PASS, _REASON), _neutral),
    Verb("pass-neutral-all", "the same for every pass, after a time of free flow", (_REASON,), _neutral_all),
)
