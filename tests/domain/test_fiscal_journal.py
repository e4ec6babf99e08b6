"""The fiscal journal of a site in memory: entries behind money, signatures as inputs, units that fail, starts in between."""

from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from site_stories import OUT, Story, site_plan
from test_payments_business import LONG_MS, asked, at_terminal, inside, pays

from gatectl.domain import fiscal_pt, fiscal_rksv
from gatectl.domain.effects import PrintReceipt, SignEntry
from gatectl.domain.events import EntrySigned
from gatectl.domain.fiscal import PT, RKSV, FiscalPlan
from gatectl.domain.ids import Boot
from gatectl.domain.lane import TerminalAnswered
from gatectl.domain.money_rules import MoneyRules
from gatectl.domain.records.payments_fiscal import FISCAL_SERIES, FiscalEntered, FiscalSigned
from gatectl.runtime.fiscal import SignatureUnit, UnitFailed, answered
from gatectl.runtime.fiscal_keys import EcdsaUnit, RsaUnit, is_es256, is_rsa_sha1

AUSTRIA = FiscalPlan(RKSV, cashbox="GARAGE", certificate="1a2b3c")
PORTUGAL = FiscalPlan(PT, tax_percent=23, tax_number="500000000", software="1234", codes={"FS till-1": "CSDF7T5H"})
EC_KEY, RSA_KEY = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 1024)
UNITS = {RKSV: EcdsaUnit(EC_KEY, b"\x07" * 32), PT: RsaUnit(RSA_KEY)}


class Broken:
    """A unit that encrypts and cannot sign."""

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        return UNITS[RKSV].encrypt(block, plain)

    def sign(self, message: bytes) -> bytes:
        raise UnitFailed("no card in the reader")


def a_story(law: FiscalPlan) -> Story:
    plan = site_plan()
    lanes = tuple(replace(lane, has_terminal=lane.lane == OUT, has_printer=True) for lane in plan.lanes)
    return Story(replace(plan, lanes=lanes, money=MoneyRules(fiscal=law)), Boot("ab" * 8, "K7QF")).start()


def orders(story: Story) -> list[SignEntry]:
    """What is asked of the unit, taken out."""
    found = [effect for effect in story.effects if isinstance(effect, SignEntry)]
    story.effects = [effect for effect in story.effects if not isinstance(effect, SignEntry)]
    return found


def sign(story: Story, unit: SignatureUnit | None = None, most: int = 100) -> int:
    """Let the unit answer until nothing is asked any more; how often it was asked."""
    law = story.plan.money.fiscal
    assert law is not None
    count = 0
    while (waiting := orders(story)) and count < most:
        for order in waiting:
            count += 1
            story.tell(answered(unit or UNITS[law.regime], order))
    return count


def codes(story: Story, series: str) -> list[FiscalSigned]:
    return [fact for fact in story.facts if isinstance(fact, FiscalSigned) and fact.series == series]


def wrong(story: Story) -> str:
    """What an inspector finds wrong with the till."""
    receipts = [fact.code for fact in codes(story, "till-1")]
    return fiscal_rksv.first_wrong(
        receipts, "GARAGE-till-1", lambda message, signature: is_es256(EC_KEY.public_key(), message, signature)
    )


def entries(story: Story) -> list[tuple[int, str, int, int]]:
    return [
        (fact.number, fact.what, fact.amount_minor, fact.turnover_minor)
        for fact in story.facts
        if isinstance(fact, FiscalEntered)
    ]


def test_austria_from_the_start_receipt_to_a_refund() -> None:
    """The first money of a till brings its start receipt before it; a refund lowers the turnover; training leaves it."""
    story = a_story(AUSTRIA)
    pays(story, inside(story), "k")
    asked(story, "pay-refund", payment="k", amount_minor=400, reason="x", key="r")
    asked(story, "fiscal-training", series="till-1", amount_minor=250)
    asked(story, "fiscal-null", series="till-1")
    sign(story)

    assert [
        (1, "start", 0, 0),
        (2, "sale", 900, 900),
        (3, "refund", -400, 500),
        (4, "training", 250, 500),
        (5, "month", 0, 500),
    ] == entries(story)
    assert (5, "") == (len(codes(story, "till-1")), wrong(story))


def test_one_entry_at_a_time_is_with_the_unit_and_others_wait_in_order() -> None:
    """Its text needs the code of the one before; what the unit says twice, or late, changes nothing."""
    story = a_story(AUSTRIA)
    pays(story, inside(story), "k", 100)
    pays(story, story.books and next(iter(story.books.stays)), "m", 100)  # type: ignore[arg-type]  # it is inside
    (first,) = orders(story)
    done = answered(UNITS[RKSV], first)
    story.tell(done).tell(done)

    assert [2] == [order.number for order in orders(story)]
    assert [1] == [fact.number for fact in codes(story, "till-1")]
    story.tell(replace(done, number=2))
    assert 1 == len(codes(story, "till-1"))


def test_a_unit_that_fails_leaves_its_mark_until_it_signs_a_zero_receipt() -> None:
    """Money goes on;
    each entry says that it is not signed; back again, the unit signs zero first, and the chain holds throughout."""
    story = a_story(AUSTRIA)
    ticket = inside(story)
    pays(story, ticket, "a", 100)
    sign(story)
    pays(story, ticket, "b", 100)
    sign(story, Broken())
    pays(story, ticket, "c", 100)
    sign(story, Broken())
    story.later(31_000)
    assert [True, True] == [bool(fact.failed) for fact in codes(story, "till-1")[2:]]
    sign(story, Broken())
    story.later(31_000)
    sign(story)
    pays(story, ticket, "d", 100)
    sign(story)

    assert ["start", "sale", "sale", "sale", "collective", "sale"] == [what for _, what, _, _ in entries(story)]
    assert [False, False, True, True, False, False] == [bool(fact.failed) for fact in codes(story, "till-1")]
    assert "" == wrong(story)
    assert fiscal_rksv.is_failed(codes(story, "till-1")[2].code)


def test_a_start_asks_again_for_what_was_not_signed() -> None:
    """A kill between the order and its answer: the same text is asked for, and the chain goes on."""
    story = a_story(AUSTRIA)
    pays(story, inside(story), "k")
    asked_before = orders(story)
    again = Story(story.plan, Boot("cd" * 8, "0000"), story.books, story.now)
    again.start(dark_from_ms=story.now.wall_ms)

    assert asked_before == orders(again)[:1]
    again.effects += asked_before
    sign(again)
    again.facts = [*story.facts, *again.facts]
    assert (2, "") == (len(codes(again, "till-1")), wrong(again))


def test_a_month_begins_with_a_zero_receipt() -> None:
    story = a_story(AUSTRIA)
    pays(story, inside(story), "k")
    sign(story)
    story.later(31 * 24 * 3_600_000)
    sign(story)

    assert [(3, "month", 0, 900)] == entries(story)[2:]
    assert "" == wrong(story)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_unit_does_the_chain_verifies_from_its_start(seed: int) -> None:
    """Slow, failing, deaf, answering twice; the site killed in between."""
    rng, story = Random(f"unit {seed}"), a_story(AUSTRIA)
    ticket, waiting = inside(story), []
    for number in range(60):
        act = rng.random()
        if act < 0.3:
            pays(story, ticket, f"k{number}", 1)
        elif act < 0.4:
            asked(story, "pay-refund", payment=f"k{rng.randint(0, number)}", reason="x")
        elif act < 0.6:
            story.later(rng.randint(1_000, 40_000))
        elif act < 0.65:
            facts = story.facts
            story = Story(story.plan, Boot(f"{number:016x}", "0000"), story.books, story.now)
            story.start(dark_from_ms=story.now.wall_ms)
            story.facts = [*facts, *story.facts]
        waiting += orders(story)
        if waiting and rng.random() < 0.8:
            unit = Broken() if rng.random() < 0.4 else UNITS[RKSV]
            story.tell(answered(unit, waiting.pop(rng.randrange(len(waiting)))))
    for _ in range(5):
        sign(story)
        story.later(31_000)

    assert "" == wrong(story)
    numbers = [fact.number for fact in codes(story, "till-1")]
    assert list(range(1, len(numbers) + 1)) == numbers
    assert story.books is not None
    assert [len(numbers)] == [row["number"] for row in story.books.tables.all(FISCAL_SERIES)]


def test_what_the_unit_did_not_sign_as_it_was_asked_is_no_signature() -> None:
    story = a_story(AUSTRIA)
    pays(story, inside(story), "k")
    (order,) = orders(story)
    good = answered(UNITS[RKSV], order)
    for bad in (
        replace(good, text=good.text.replace("0,00", "9,00", 1)),
        replace(good, signature="zz"),
        replace(good, signature=""),
        replace(good, why="both"),
        EntrySigned("nobody", 1, "", ""),
        replace(good, text="_" * 12),
    ):
        story.tell(bad)

    assert [] == codes(story, "till-1")


def test_paper_waits_for_its_code() -> None:
    """The driver's receipt comes out when it is signed, with the code on it; a unit that failed is told on it too."""
    story = a_story(AUSTRIA)
    for unit, notes in ((None, ()), (Broken(), ("Sicherheitseinrichtung ausgefallen",))):
        _, order = at_terminal(story)
        story.at(OUT, TerminalAnswered(order.payment, "approved"))
        assert not [effect for effect in story.effects if isinstance(effect, PrintReceipt)]
        sign(story, unit)
        (paper,) = [effect for effect in story.effects if isinstance(effect, PrintReceipt)]
        assert paper.code.startswith("_R1-AT1_GARAGE-OUT-1_")
        assert notes == paper.notes
        story.effects.remove(paper)
        story.drive_over(OUT)


def test_portugal_has_a_series_for_money_in_and_one_for_money_back() -> None:
    """FS and NC, each from 1, each chained to itself; what a merchant pays for is no document of ours."""
    story = a_story(PORTUGAL)
    ticket = inside(story)
    pays(story, ticket, "k", 500)
    pays(story, ticket, "v", 100, method="VALIDATION", reference="Bakery")
    pays(story, ticket, "m", 300)
    asked(story, "pay-refund", payment="k", amount_minor=200, reason="x")
    sign(story)
    signed = [(fact.series, fact.number) for fact in story.facts if isinstance(fact, FiscalSigned)]

    assert [("FS till-1", 1), ("FS till-1", 2), ("NC till-1", 1)] == sorted(signed)
    assert "" == fiscal_pt.first_wrong(_pairs(story, "FS till-1"), _rsa)
    assert "" == fiscal_pt.first_wrong(_pairs(story, "NC till-1"), _rsa)


def test_in_portugal_nothing_is_printed_unsigned() -> None:
    story = a_story(PORTUGAL)
    pays(story, inside(story), "k")
    sign(story, Broken(), most=3)
    assert [] == codes(story, "FS till-1")
    story.later(31_000)
    sign(story)

    assert [1] == [fact.number for fact in codes(story, "FS till-1")]


def _rsa(message: bytes, signature: str) -> bool:
    import base64

    return is_rsa_sha1(RSA_KEY.public_key(), message, base64.b64decode(signature))


def _pairs(story: Story, series: str) -> list[tuple[str, str]]:
    entered = [fact for fact in story.facts if isinstance(fact, FiscalEntered) and fact.series == series]
    pairs, before = [], ""
    for entry, done in zip(entered, codes(story, series), strict=True):
        gross = abs(entry.amount_minor)
        text = fiscal_pt.message(series, entry.number, entry.entered_ms, story.plan.zone, gross, before)
        before = done.code
        pairs.append((text, before))
    return pairs


def test_without_a_law_nothing_is_asked_of_anybody() -> None:
    story = Story(site_plan(), Boot("ab" * 8, "K7QF")).start()
    pays(story, inside(story), "k")
    story.later(LONG_MS)

    assert [] == orders(story)
