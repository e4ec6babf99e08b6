"""Coupons and validations: what they take off, what goes together, and that each is spent once."""

import pytest
from site_stories import START_MS
from validation_stories import HOUR_MS, a_site, apply, asked, inside, on, priced, signed, used, validate

from gatectl.domain.coupon_codes import CouponCode, sign, verify
from gatectl.domain.events import CashOffered, LostTicketDeclared, VoidAsked
from gatectl.domain.ids import LaneId, Moment, PaymentId, RequestId, TicketNumber
from gatectl.domain.records import validations as v
from gatectl.domain.tickets import Keyring


@pytest.mark.parametrize(
    ("coupons", "due"),
    [
        ((), 600),
        (("HALF",), 300),
        (("HOUR",), 300),
        (("FOUR",), 400),
        (("TWO-OFF",), 400),
        (("HALF", "TWO-OFF"), 100),
        (("TWO-OFF", "HALF"), 100),
        (("HOUR", "HALF", "TWO-OFF"), 0),
        (("TENTH", "FOUR"), 360),
    ],
    ids=str,
)
def test_what_coupons_leave_due_of_two_hours(coupons: tuple[str, ...], due: int) -> None:
    """Two hours cost 6.00; minutes come off first, then the flat price, then percent, then amounts, whoever came first."""
    story = a_site()
    ticket = inside(story)

    assert [""] * len(coupons) == [apply(story, ticket, coupon) for coupon in coupons]
    price = priced(story, ticket)
    assert due == price.due_minor
    assert price.total_minor == sum(line.amount_minor for line in price.lines)


def test_percent_is_rounded_half_up() -> None:
    """A tenth of 6.00 is taken off as 0.60; of what is left after two amounts nothing goes below zero."""
    story = a_site()
    ticket = inside(story)
    for coupon in ("TENTH", "TWO-OFF", "FOUR"):
        assert "" == apply(story, ticket, coupon)

    assert 160 == priced(story, ticket).due_minor
    assert ["Coupon FOUR: parking at most EUR 4.00", "Coupon TENTH: 10 % off", "Coupon TWO-OFF: EUR 2.00 off"] == [
        line.text for line in priced(story, ticket).lines[-3:]
    ]


def test_the_first_minutes_are_free_and_the_grace_is_as_before() -> None:
    """With two hours free a stay of 2:03 is within the grace of the rest, a stay of 2:06 pays the first step."""
    story = a_site()
    ticket = inside(story)
    assert "" == validate(story, ticket, minutes=120).code

    assert 0 == priced(story, ticket).due_minor
    assert 0 == priced(story.later(3 * 60_000), ticket).due_minor
    assert 100 == priced(story.later(3 * 60_000), ticket).due_minor


def test_at_most_three_go_together() -> None:
    story = a_site()
    ticket = inside(story, 9)

    assert ["", "", "", "E-CPN-05"] == [apply(story, ticket, c) for c in ("TENTH", "TWO-OFF", "HALF", "HOUR")]
    assert "E-CPN-05" == apply(story, ticket, "HALF")
    assert 0 == used(story, "HOUR")


def test_of_those_that_stand_alone_the_better_one_stays() -> None:
    """Half of 6.00 gives less than 5.00 off: the half makes room and is good for another time; the other way it is refused."""
    story = a_site()
    ticket = inside(story)
    assert "" == apply(story, ticket, "ALONE-HALF")

    assert "E-CPN-05" == apply(story, ticket, "TWO-OFF")
    assert "" == apply(story, ticket, "ALONE-FIVE")
    assert 100 == priced(story, ticket).due_minor
    assert (0, 1) == (used(story, "ALONE-HALF"), used(story, "ALONE-FIVE"))
    assert "E-CPN-05" == apply(story, ticket, "ALONE-HALF")


def test_equal_prices_leave_what_is_there() -> None:
    story = a_site()
    ticket = inside(story)
    assert "" == apply(story, ticket, "HALF")

    assert "E-CPN-05" == apply(story, ticket, "ALONE-HALF")
    assert ["reserved"] == [row["state"] for row in on(story, ticket)]


def test_a_coupon_is_on_one_ticket_at_a_time() -> None:
    """The second ticket is refused, until the first one's is taken off by a person who says why."""
    story = a_site()
    one, two = inside(story), inside(story)
    assert "" == apply(story, one, "HALF")

    assert "E-CPN-02" == apply(story, two, "half")
    assert "" == asked(story, "validation-void", validation=f"{one}-V1", reason="wrong ticket").code
    assert "" == apply(story, two, "half")
    assert "E-VAL-04" == asked(story, "validation-void", validation=f"{one}-V1", reason="again").code


def test_what_was_paid_with_is_spent() -> None:
    """Paid at the lowered price: it stays on the ticket and cannot be taken off."""
    story = a_site()
    ticket = inside(story)
    apply(story, ticket, "HALF")
    story.tell(CashOffered(RequestId("p"), PaymentId("k"), ticket, None, None, "till-1", "mia"))

    assert ["spent"] == [row["state"] for row in on(story, ticket)]
    assert "E-VAL-04" == asked(story, "validation-void", validation=f"{ticket}-V1", reason="oops").code
    assert "E-CPN-06" == apply(story, ticket, "TWO-OFF")
    assert 0 == used(story, "TWO-OFF")


def test_a_later_coupon_pays_no_money_out() -> None:
    """Paid 6.00, stayed on past the grace, and then 5.00 off: nothing is due, nothing comes back."""
    story = a_site()
    ticket = inside(story)
    story.tell(CashOffered(RequestId("p"), PaymentId("k"), ticket, None, None, "till-1", "mia"))
    story.later(40 * 60_000)
    assert 200 == priced(story, ticket).due_minor

    assert "" == apply(story, ticket, "ALONE-FIVE")
    assert (0, 300) == (priced(story, ticket).due_minor, priced(story, ticket).total_minor)
    assert not [fact for fact in story.facts if fact.kind == "payment.refunded"]


def test_a_ticket_that_is_written_off_gives_its_coupon_back() -> None:
    story = a_site()
    one, two = inside(story), inside(story)
    apply(story, one, "HALF")
    story.tell(VoidAsked(RequestId("v"), one, "mia", "never came"))

    assert [] == on(story, one)
    assert "" == apply(story, two, "HALF")


def test_a_replacement_ticket_has_what_the_lost_one_had() -> None:
    story = a_site()
    ticket = inside(story)
    apply(story, ticket, "HALF")
    story.tell(LostTicketDeclared(RequestId("l"), LaneId("OUT-1"), ticket, None, "mia", "lost"))
    (replacement,) = story.site.books.stays

    assert ticket != replacement
    assert 300 == priced(story, replacement).due_minor
    assert 1 == used(story, "HALF")


def test_the_moment_of_applying_counts() -> None:
    """A signed coupon that is over in an hour is put on now; two days later it still takes its half off."""
    story = a_site()
    ticket = inside(story, 1)
    code = sign(
        story.plan.keyring,
        story.plan.site,
        CouponCode("AAAA", 7, "percent", 50, story.now.wall_ms - 60_000, 60),
    )
    late = inside(story, 3)
    assert "E-CPN-03" == apply(story, late, code)
    story.now = Moment(story.now.wall_ms - 3 * HOUR_MS, story.now.mono_ms)

    assert "" == apply(story, ticket, code)
    story.now = Moment(story.now.wall_ms + 48 * HOUR_MS, story.now.mono_ms + 1)
    total = priced(story, ticket).total_minor
    assert total == sum(line.amount_minor for line in priced(story, ticket).lines[:-1]) // 2


def test_a_signed_coupon_is_good_once_and_forgotten_when_it_is_over() -> None:
    story = a_site()
    one, two = inside(story, 1), inside(story, 1)
    ((name, code), (second, _)) = signed(story, count=2, minutes=60)

    assert ("Q-K7QF-00001", "Q-K7QF-00002") == (name, second)
    assert ["Q-K7QF-00003"] == [name for name, _ in signed(story, percent=5)]
    assert ("", "E-CPN-02") == (apply(story, one, code), apply(story, two, code))
    story.later(5 * 24 * HOUR_MS)
    story.later(60_000)
    assert [name] == [fact.coupon for fact in story.facts if isinstance(fact, v.CouponExpired)]
    assert "E-CPN-03" == apply(story, two, code)


def test_no_byte_of_a_signed_coupon_can_be_changed() -> None:
    """Every other text is no coupon: another letter anywhere, another site, another key."""
    story = a_site()
    made = CouponCode("K7QF", 12, "amount", 500, START_MS // 60_000 * 60_000, 1440, exclusive=True)
    ring, site = story.plan.keyring, story.plan.site
    code = sign(ring, site, made)

    assert made == verify(code, ring, site)
    for at, letter in enumerate(code):
        other = code[:at] + ("A" if letter != "A" else "B") + code[at + 1 :]
        assert verify(other, ring, site) is None
    assert verify(code, Keyring(1, {1: b"x" * 32}), site) is None
    assert verify(code, ring, "elsewhere") is None  # type: ignore[arg-type]  # a site's id


def test_a_coupon_for_other_hours_vehicles_or_tariffs_is_refused_by_name() -> None:
    """2026-05-28, a Thursday, after ten at night in Amsterdam."""
    story = a_site()
    ticket = inside(story)
    terms: dict[str, dict[str, str | int]] = {
        "MORNING": {"hours": "mon-fri 07:00-12:00"},
        "EVENING": {"hours": "thu 22:00-02:00"},
        "VANS": {"vehicle_types": "VAN TRUCK"},
        "NIGHT": {"tariffs": "t-night"},
        "SOON": {"from_ms": story.now.wall_ms + 1},
        "GONE": {"until_ms": story.now.wall_ms},
    }
    for coupon, words in terms.items():
        assert "" == asked(story, "coupon-add", coupon=coupon, percent=1, **words).code

    codes = [apply(story, ticket, c) for c in ("MORNING", "EVENING", "VANS", "NIGHT", "SOON", "GONE", "WHAT")]
    assert ["E-CPN-03", "", "E-CPN-04", "E-CPN-04", "E-CPN-03", "E-CPN-03", "E-CPN-01"] == codes


def test_a_code_has_a_limit_of_the_day() -> None:
    """Two a day; the third is refused until the next day begins on the site's clock."""
    story = a_site()
    tickets = [inside(story, 1) for _ in range(3)]

    assert ["", "", "E-CPN-02"] == [apply(story, ticket, "TENTH") for ticket in tickets]
    story.later(24 * HOUR_MS)
    assert "" == apply(story, tickets[2], "TENTH")
    assert 3 == used(story, "TENTH")


def test_a_merchant_gives_what_it_may_and_no_more() -> None:
    """At most two hours a time, three a day, four a month, for its reasons."""
    story = a_site()
    tickets = [inside(story, 1) for _ in range(6)]

    assert "E-VAL-02" == validate(story, tickets[0], minutes=121).code
    assert "E-VAL-02" == validate(story, tickets[0], minutes=60, reason="friend").code
    assert "E-VAL-02" == validate(story, tickets[0], whole_stay=True).code
    assert "E-VAL-01" == validate(story, tickets[0], minutes=60, merchant="bar").code
    assert "E-USE-01" == validate(story, tickets[0], minutes=60, amount_minor=1).code
    assert ["", "", "", "E-VAL-03"] == [validate(story, ticket, minutes=60).code for ticket in tickets[:4]]
    story.later(24 * HOUR_MS)
    assert ["", "E-VAL-03"] == [validate(story, ticket, minutes=60).code for ticket in tickets[3:5]]


def test_the_whole_stay_is_the_hotels() -> None:
    story = a_site()
    ticket = inside(story, 30)

    assert "" == validate(story, ticket, merchant="hotel", reason="guest", whole_stay=True).code
    assert 0 == priced(story, ticket).due_minor
    assert "Hotel: parking free" == priced(story, ticket).lines[-1].text


def test_a_merchants_device_asks_again_under_its_key() -> None:
    """The line broke behind the answer: the same key is the same validation; another one under it is refused."""
    story = a_site()
    ticket = inside(story)
    first = validate(story, ticket, minutes=60, key="k-1")

    again = validate(story, ticket, minutes=60, key="k-1")
    assert (first.code, first.data["validation"]) == (again.code, again.data["validation"])
    assert 1 == len(on(story, ticket))
    assert "E-USE-01" == validate(story, ticket, minutes=90, key="k-1").code


def test_a_ticket_that_is_not_inside_has_no_coupon() -> None:
    story = a_site()

    assert "E-CPN-07" == apply(story, TicketNumber("000999-K7QF"), "HALF")
    assert "E-NOT-01" == asked(story, "coupon-apply", ticket="nonsense", coupon="HALF").code
