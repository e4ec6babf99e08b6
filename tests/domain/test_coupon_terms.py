"""The terms of coupons and merchants: from the site file and from the office, every fault at once, and known once."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from site_stories import Story
from validation_stories import CAFE, a_site, apply, asked, inside, on, used

from gatectl.domain.business.coupon_terms import TermsRefused, read_coupon, read_merchant
from gatectl.domain.events import Received, ReceivedWhole
from gatectl.domain.facts import CommandRefused
from gatectl.domain.ids import Boot
from gatectl.domain.offers import Coupon
from gatectl.domain.records import validations as v


def test_a_table_of_the_site_file() -> None:
    """TOML's times, the feed's milliseconds: the same coupon."""
    until = datetime(2026, 12, 1, tzinfo=UTC)
    table = {"id": "SUMMER26", "percent": 20, "hours": "mon-fri 18:00-23:00", "uses": 5, "vehicle_types": ["CAR"]}
    coupon = read_coupon({**table, "until": until})

    assert coupon == read_coupon({**table, "until_ms": int(until.timestamp()) * 1000}, "_ms")
    assert ("percent", 20, 5, ("CAR",)) == (coupon.gives, coupon.value, coupon.uses_max, coupon.vehicle_types)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({"id": "1234", "percent": 20}, ["id"]),
        ({"id": "Q-AAAA-00001", "percent": 20}, ["id"]),
        ({"id": "GOOD"}, ["percent"]),
        ({"id": "GOOD", "percent": 101}, ["percent"]),
        ({"id": "GOOD", "percent": 1, "minutes": 1}, ["minutes and percent"]),
        ({"id": "GOOD", "minutes": 1, "hours": "always"}, ["hours"]),
        ({"id": "GOOD", "minutes": 1, "uses": 0, "unlimitd": True}, ["unlimitd", "uses"]),
        ({"id": "GOOD", "minutes": 1, "uses": 3, "unlimited": True}, ["uses"]),
        ({"id": "GOOD", "minutes": 1, "until": "tomorrow"}, ["until"]),
        ({"id": "GOOD", "minutes": 1, "tariffs": "day"}, ["tariffs"]),
    ],
    ids=str,
)
def test_every_fault_is_named_at_once(table: dict[str, object], keys: list[str]) -> None:
    with pytest.raises(TermsRefused) as refused:
        read_coupon(table)

    assert keys == sorted(fault.key for fault in refused.value.faults)


def test_a_merchant_that_may_give_nothing_is_refused() -> None:
    with pytest.raises(TermsRefused):
        read_merchant({"id": "cafe", "name": "Cafe"})
    with pytest.raises(TermsRefused):
        read_merchant({"id": "cafe", "minutes_max": 5})


def told(story: Story, kind: str, key: str, body: dict[str, object] | None) -> list[str]:
    """The kinds of fact that a row of the feed leads to."""
    before = len(story.facts)
    story.tell(Received(kind, key, None if body is None else json.dumps(body), "office"))
    return [fact.kind for fact in story.facts[before:]]


def test_the_office_defines_changes_and_removes() -> None:
    """Known once, changed once; what it was used for still counts; the site file's codes are not the office's to change."""
    story = a_site()
    assert ["coupon.defined"] == told(story, "coupon", "SPRING", {"minutes": 60, "uses": 2})
    assert [] == told(story, "coupon", "SPRING", {"minutes": 60, "uses": 2})
    one, two = inside(story), inside(story)
    assert "" == apply(story, one, "SPRING")

    assert ["coupon.defined"] == told(story, "coupon", "SPRING", {"minutes": 30, "uses": 1})
    assert "E-CPN-02" == apply(story, two, "SPRING")
    assert ["coupon.removed"] == told(story, "coupon", "SPRING", None)
    assert "E-CPN-01" == apply(story, two, "SPRING")
    assert (1, [("minutes", 60)]) == (used(story, "SPRING"), [(row["gives"], row["value"]) for row in on(story, one)])
    assert ["command.refused"] == told(story, "coupon", "HALF", {"percent": 99})
    assert ["command.refused"] == told(story, "coupon", "SPRING", {"percent": "all"})
    assert [] == told(story, "coupon", "HALF", None)


def test_what_a_whole_feed_has_no_more_is_removed() -> None:
    story = a_site()
    for code in ("ONE-A", "TWO-A"):
        told(story, "coupon", code, {"percent": 5})
    told(story, "merchant", "bar", {"name": "Bar", "minutes_max": 30})

    story.tell(ReceivedWhole("coupon", ("TWO-A",), "office"))
    story.tell(ReceivedWhole("merchant", (), "office"))
    assert ["ONE-A"] == [fact.coupon for fact in story.facts if isinstance(fact, v.CouponRemoved)]
    assert ["bar"] == [fact.merchant for fact in story.facts if isinstance(fact, v.MerchantRemoved)]


def test_a_merchant_validates_at_the_office() -> None:
    """The row comes down once or often: it is one validation, and of a stay that is over it is nothing."""
    story = a_site()
    ticket = inside(story)
    body: dict[str, object] = {"ticket": ticket, "merchant": "cafe", "reason": "guest", "minutes": 60}

    assert ["validation.applied", "merchant.counted"] == told(story, "validation", "v-1", body)
    assert [] == told(story, "validation", "v-1", body)
    assert ["command.refused"] == told(story, "validation", "v-2", {**body, "minutes": 600})
    assert ["command.refused"] == told(story, "validation", "v-3", {**body, "ticket": "000999-ZZZZ"})
    assert "" == asked(story, "validation-void", validation=f"{ticket}-V1", reason="left early").code
    assert [] == told(story, "validation", "v-1", body)


def test_the_site_file_is_told_once_and_what_it_drops_is_removed() -> None:
    story = a_site()
    again = Story(story.plan, Boot("cd" * 8, "9XYZ"), story.site.books).start()
    assert not [fact for fact in again.facts if isinstance(fact, v.CouponDefined | v.MerchantDefined)]
    plan = replace(story.plan, coupons=(Coupon("HALF", "percent", 40),), merchants=(CAFE,))
    later = Story(plan, Boot("ef" * 8, "8XYZ"), story.site.books).start()

    assert [("HALF", 40)] == [(fact.coupon, fact.value) for fact in later.facts if isinstance(fact, v.CouponDefined)]
    assert 6 == len([fact for fact in later.facts if isinstance(fact, v.CouponRemoved)])
    assert ["hotel"] == [fact.merchant for fact in later.facts if isinstance(fact, v.MerchantRemoved)]
    assert not [fact for fact in later.facts if isinstance(fact, CommandRefused)]
