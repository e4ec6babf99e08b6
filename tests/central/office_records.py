"""A site's journal in memory: facts in, chained lines and uploads out."""

import uuid
from dataclasses import dataclass, field, replace

from central.db.ingest import Upload
from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, PaymentId, TicketNumber, TimeQuality, VendId
from sync.chain import genesis, link
from sync.records import Record

START_MS = 1_790_000_000_000
IN, OUT, AREA = LaneId("IN-1"), LaneId("OUT-1"), AreaId("main")


@dataclass
class Journal:
    """Numbers and chains records like a site; `records` and `heads` run in step."""

    site: str
    installation: str
    generation: int = 1
    records: list[Record] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    def head_at(self, seq: int) -> bytes:
        return self.heads[seq - 1] if seq else genesis(self.site, self.generation)

    def write(self, *facts: f.Fact) -> "Journal":
        for fact in facts:
            self.append(fact.kind, codec.encode(fact), fact.version)
        return self

    def append(self, kind: str, body: bytes, version: int = 1, fact_id: str | None = None) -> Record:
        seq = len(self.records) + 1
        made = Record(seq, fact_id or str(uuid.uuid4()), START_MS + seq, "synced", "b0", seq * 10, kind, version, body)
        return self.take(made)

    def take(self, record: Record) -> Record:
        self.heads.append(link(self.head_at(len(self.records)), record.header(), record.body))
        self.records.append(record)
        return record

    def renumbered(self, generation: int, after: int) -> "Journal":
        """What a site sends again under a new generation: the facts beyond `after`, with their old ids."""
        again = Journal(self.site, self.installation, generation)
        for number, record in enumerate(self.records[after:], 1):
            again.take(replace(record, seq=number))
        return again

    def upload(self, first: int = 1, last: int | None = None) -> Upload:
        last = len(self.records) if last is None else last
        lines = [record.to_line() for record in self.records[first - 1 : last]]
        prev, head = self.head_at(first - 1), self.head_at(last)
        return Upload(self.generation, self.installation, first, len(lines), prev, head, lines)


def headers(upload: Upload) -> dict[str, str]:
    return {
        "Gatectl-Installation": upload.installation,
        "Gatectl-First": str(upload.first),
        "Gatectl-Count": str(upload.count),
        "Gatectl-Prev": upload.prev.hex(),
        "Gatectl-Head": upload.head.hex(),
        "Content-Type": "application/x-ndjson",
    }


def body(upload: Upload) -> bytes:
    return b"".join(line + b"\n" for line in upload.lines)


def issued(number: int) -> f.TicketIssued:
    ticket = TicketNumber(f"{number:06}-K7QF")
    return f.TicketIssued(ticket, number, IN, AREA, None, "CAR", None, "t1", START_MS, TimeQuality.SYNCED)


def entered(number: int) -> f.VehicleEntered:
    return f.VehicleEntered(issued(number).ticket, IN, VendId(f"v{number}"), START_MS + 1_000)


def paid(number: int, amount_minor: int = 450, key: str | None = None, receipt: int | None = None) -> f.PaymentTaken:
    return f.PaymentTaken(
        payment=PaymentId(key or f"p{number}"),
        ticket=issued(number).ticket,
        method="CASH",
        amount_minor=amount_minor,
        currency="EUR",
        tendered_minor=amount_minor,
        change_minor=0,
        due_minor=amount_minor,
        tariff="t1",
        lines=(f.Line("2 h at 2.25", amount_minor),),
        till="till-1",
        by="mia",
        series="till-1",
        receipt=receipt or number,
        paid_ms=START_MS + 2_000,
    )


def left(number: int) -> tuple[f.Fact, ...]:
    ticket, vend = issued(number).ticket, VendId(f"x{number}")
    return (
        f.TicketSpent(ticket, OUT, vend),
        f.VendIntended(vend, OUT, "paid", ticket),
        f.VendConfirmed(vend, OUT),
        f.VehicleExited(ticket, OUT, AREA, vend, START_MS + 3_000),
        f.VendClosed(vend, OUT),
    )


def stay(number: int, amount_minor: int = 450) -> tuple[f.Fact, ...]:
    """A whole stay: in, paid, out."""
    return issued(number), entered(number), paid(number, amount_minor), *left(number)
