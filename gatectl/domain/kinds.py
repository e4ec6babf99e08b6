"""Every fact there is, by its kind: those of lanes and site, and those of the business."""

from typing import Final

from gatectl.domain import facts
from gatectl.domain.facts import Fact
from gatectl.domain.records import registry

FACTS: Final[tuple[type[Fact], ...]] = (*facts.FACTS, *registry.FACTS)
KINDS: Final[dict[str, type[Fact]]] = {fact.kind: fact for fact in FACTS}
assert len(KINDS) == len(FACTS), "two facts share a kind"
