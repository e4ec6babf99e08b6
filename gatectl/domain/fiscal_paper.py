"""Receipts that wait for their entry in the fiscal journal: paper without its code would be worth nothing.

Rule 1: what waits is in memory: after a restart the driver has gone, and the receipt can be asked for at the desk.
Rule 2: a receipt whose money makes no entry is printed at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gatectl.domain import fiscal_pt, fiscal_rksv
from gatectl.domain.business.rule import Context
from gatectl.domain.effects import Effect, PrintReceipt
from gatectl.domain.facts import Fact
from gatectl.domain.fiscal import PT, FiscalPlan
from gatectl.domain.records.payments_fiscal import FiscalEntered, FiscalSigned

HELD_MAX: Final = 256
"""Receipts that wait; the oldest is not printed when there are more."""

Place = tuple[str, int]
"""Series and number: of a receipt, or of an entry."""


@dataclass(slots=True)
class HeldPaper:
    """Owned by the core thread."""

    _held: dict[Place, tuple[PrintReceipt, FiscalEntered]] = field(default_factory=dict)
    """By the place of the entry."""

    def due(self, context: Context, facts: Sequence[Fact], effects: Iterable[Effect]) -> tuple[Effect, ...]:
        """What is done of `effects`, and of what waited, once `facts` are durable."""
        entered = {(fact.receipt_series, fact.receipt): fact for fact in facts if isinstance(fact, FiscalEntered)}
        ready: list[Effect] = []
        for effect in effects:
            entry = entered.get((effect.series, effect.receipt)) if isinstance(effect, PrintReceipt) else None
            if entry is not None and isinstance(effect, PrintReceipt):
                self._hold(effect, entry)
            else:
                ready.append(effect)
        plan = context.plan.money.fiscal
        assert plan is not None
        for fact in facts:
            found = self._held.pop((fact.series, fact.number), None) if isinstance(fact, FiscalSigned) else None
            if found is not None and isinstance(fact, FiscalSigned):
                ready.append(_with_code(context, plan, *found, fact))
        return tuple(ready)

    def _hold(self, effect: PrintReceipt, entry: FiscalEntered) -> None:
        self._held[entry.series, entry.number] = (effect, entry)
        if len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]


def _with_code(
    context: Context, plan: FiscalPlan, effect: PrintReceipt, entry: FiscalEntered, signed: FiscalSigned
) -> PrintReceipt:
    code, notes = printed(context, plan, entry, signed)
    return replace(effect, code=code, notes=notes)


def printed(
    context: Context, plan: FiscalPlan, entry: FiscalEntered, signed: FiscalSigned
) -> tuple[str, tuple[str, ...]]:
    """The QR code of an entry, and the lines that the law wants beside it."""
    if plan.regime != PT:
        marked = (fiscal_rksv.FAILED_WORDS.decode(),) if signed.failed else ()
        return fiscal_rksv.machine_code(signed.code), marked
    zone, gross = context.plan.zone, abs(entry.amount_minor)
    code = fiscal_pt.qr_text(plan, entry.series, entry.number, entry.entered_ms, zone, gross, signed.code)
    document = fiscal_pt.document_no(entry.series, entry.number)
    letters = fiscal_pt.shown_letters(signed.code)
    notes = (
        document,
        f"ATCUD:{fiscal_pt.atcud(plan, entry.series, entry.number)}",
        f"{letters}-Processado por programa certificado n. {plan.software}/AT",
    )
    return code, notes
