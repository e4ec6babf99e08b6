"""What must hold between the two ends once nothing breaks any more; the numbers are those of docs/sync-protocol.md."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gatectl.domain.records.histories import GENERATIONS
from gatectl.world.disk import SiteDisk
from gatectl.world.histories import Histories
from gatectl.world.ledger import Ledger, hold
from gatectl.world.office import DAY_MS, Office
from sync.records import Record

PAGE_RECORDS: Final = 500
PAGE_BYTES: Final = 1_048_576


def records_of(disk: SiteDisk, generations: range) -> Iterator[tuple[int, Record]]:
    """Every record that the disk still has, in order, with its generation."""
    for generation in generations:
        after = 0
        while page := disk.read(generation, after, PAGE_RECORDS, PAGE_BYTES):
            for record in page:
                yield generation, record
            after = page[-1].seq


def the_office_holds_the_journal(disk: SiteDisk, office: Office) -> None:
    """7: the newest that the office holds is the newest of the journal, by place and by chain."""
    tip = disk.position()
    held = (office.generation, office.seq, office.head)
    hold(held == (tip.generation, tip.seq, tip.head), "the office holds the journal", f"{held[:2]}, {tip}")


def every_fact_is_at_the_office_once(disk: SiteDisk, office: Office) -> None:
    """I2: by its id, however often and under whatever place it was sent. I3: and no seq is missing."""
    seen: set[str] = set()
    last = (0, 0)
    for generation, record in records_of(disk, range(1, disk.position().generation + 1)):
        if last[0] == generation:
            hold(record.seq == last[1] + 1, "seq has no gap in a generation", f"{generation}/{record.seq}")
        last = (generation, record.seq)
        hold(record.fact_id not in seen, "a fact has one place", record.fact_id)
        seen.add(record.fact_id)
        hold(record.fact_id in office.ids, "every fact is at the office", f"{generation}/{record.seq} {record.kind}")
    rows = Counter(row.record.fact_id for row in office.rows if row.fate not in ("again", "conflict"))
    doubled = [fact for fact, times in rows.items() if times > 1]
    hold(not doubled, "a fact counts once at the office", str(doubled[:3]))


def money_is_equal_at_both_ends(disk: SiteDisk, office: Office, ledger: Ledger) -> None:
    """I4: to the cent and to the day, for all that the site's journal has. A key used again is parked, and told."""
    site, held = Counter[int](), Counter[int]()
    whole = 0
    for _, record in records_of(disk, range(1, disk.position().generation + 1)):
        if record.kind == "payment.refunded":
            whole -= json.loads(record.body)["amount_minor"]
        if record.kind != "payment.taken":
            continue
        body = json.loads(record.body)
        whole += body["amount_minor"]
        money = office.payments.get(body["payment"])
        hold(money is not None, "a payment is at the office", body["payment"])
        assert money is not None
        if money.fact_id != record.fact_id:
            hold(office.alarms["parked"] > 0, "a payment that counts elsewhere is told", body["payment"])
            continue
        site[body["paid_ms"] // DAY_MS] += body["amount_minor"]
        held[money.day] += money.amount_minor
    hold(site == held, "money is equal at both ends", f"{dict(site)} {dict(held)}")
    if disk.head_at(1, 0) is not None:
        hold(whole == ledger.taken_minor, "the journal has all money of the second bookkeeper", f"{whole}")


def what_came_is_accounted_for(office: Office) -> None:
    """I11: received = projected + come again + parked, and what is parked was told."""
    told = office.fates["conflict"] + office.fates["unknown"] + office.fates["clash"]
    hold(office.received == office.fates.total(), "what came is accounted for", f"{office.received} {office.fates}")
    hold(told <= office.alarms["parked"], "what is parked is told", f"{told}, {office.alarms['parked']} told")


def what_parted_was_told(histories: Histories) -> None:
    """I7: no clone, no restore of either end that parted the two is silent."""
    unheard = histories.unheard()
    hold(not unheard, "what parted was told", unheard)
    disk = histories.daemon.disk
    generation = disk.position().generation
    recorded = disk.mirror().tables.get(GENERATIONS, generation)
    hold(generation == 1 or recorded is not None, "a new generation is on the site's record", str(generation))


def both_ends_agree(histories: Histories) -> None:
    """All of it; the lag is zero."""
    disk, office = histories.daemon.disk, histories.office
    the_office_holds_the_journal(disk, office)
    every_fact_is_at_the_office_once(disk, office)
    money_is_equal_at_both_ends(disk, office, histories.ledger)
    what_came_is_accounted_for(office)
    what_parted_was_told(histories)
