"""A small real site whose drivers have passes and reservations, and the people and the office that give them."""

import json

from site_stories import IN, OFF, ON, OUT, Story

from gatectl.domain import facts as f
from gatectl.domain.effects import OpenArm, Reply, ShowText
from gatectl.domain.events import Asked, Received
from gatectl.domain.facts import Fact
from gatectl.domain.ids import RequestId
from gatectl.domain.lane import ArmingLoopChanged, CodeWasRead, Price
from gatectl.domain.pricing import stay_price
from gatectl.domain.right_codes import RightCode, RightKind, place_hash, sign

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def asked(story: Story, verb: str, **words: str | int) -> Reply:
    """What is answered to a verb; one that fails a test by its code is told."""
    story.tell(Asked(RequestId(verb), verb, "mia", tuple(words.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def fed(story: Story, kind: str, key: str, body: dict[str, object] | None, source: str = "office") -> tuple[Fact, ...]:
    """A row of the feed, and what it led to."""
    story.tell(Received(kind, key, None if body is None else json.dumps(body), source))
    return story.batches[-1].facts


def shows(story: Story, text: str) -> str:
    """A vehicle drives up to the entry and shows a credential; what the driver is told, or "open"."""
    before = len(story.effects)
    story.at(IN, ArmingLoopChanged(ON), CodeWasRead(text))
    told = story.effects[before:]
    if any(isinstance(effect, OpenArm) for effect in told):
        return "open"
    return [effect.text for effect in told if isinstance(effect, ShowText)][-1]


def enters(story: Story, text: str) -> None:
    assert "open" == shows(story, text)
    story.drive_over(IN)


def refused(story: Story, text: str) -> str:
    """Shown and refused; the vehicle backs away. The code of the refusal."""
    shows(story, text)
    (fact,) = [fact for fact in story.batches[-1].facts if isinstance(fact, f.CodeRefused)]
    story.at(IN, ArmingLoopChanged(OFF))
    return fact.why


def leaves(story: Story, text: str) -> None:
    """Out by the credential; nothing is due."""
    story.show_code(text)
    assert isinstance(story.effects[-1], OpenArm), story.effects[-1]
    story.drive_over(OUT)


def due(story: Story) -> Price:
    """The price of the only vehicle that is inside."""
    (stay,) = story.site.books.stays.values()
    return stay_price(story.site._context(), stay)


def reservation_code(
    story: Story,
    reference: str,
    from_ms: int,
    minutes: int,
    prepaid_minor: int | None = None,
    spot_type: str = "COMPACT",
) -> str:
    """What the office gives a driver; the site was told nothing."""
    place = place_hash("main", spot_type)
    right = RightCode(RightKind.RESERVATION, reference, from_ms, minutes, place, prepaid_minor, 15)
    return sign(story.plan.keyring, story.plan.site, right)


def pass_code(story: Story, reference: str) -> str:
    return sign(story.plan.keyring, story.plan.site, RightCode(RightKind.PASS, reference))
