"""Draw the lanes from their tables, so that the picture cannot differ from what a lane does.

`python -m gatectl.domain.diagrams docs/lanes` writes entry.md and exit.md: a state diagram (Mermaid) and the table in full.
What a handler may lead to is what it declares, and `Table.step` holds it to that; an arrow is drawn for each.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

from gatectl.domain import entry_lane, exit_lane
from gatectl.domain.lane import ArmingLoopChanged, ClosingLoopChanged, Phase, ResetLoopChanged
from gatectl.domain.lane_common import RESTING
from gatectl.domain.table import INPUTS, Handler, Kind, Table

TABLES: Final = {"entry": entry_lane.TABLE, "exit": exit_lane.TABLE}
REST: Final = "at_rest"
"""The point from which a lane goes to where its state says that it rests (`lane_common.resting`)."""
_LOOPS: Final[dict[Kind, str]] = dict.fromkeys((ArmingLoopChanged, ClosingLoopChanged, ResetLoopChanged), "loops")
GENERAL_PHASES_MIN: Final = 6
"""A handler that serves so many phases is told in a sentence: its arrows would hide the others."""


def page(name: str, table: Table) -> str:
    """The page of one kind of lane, Markdown with a Mermaid diagram."""
    return "\n".join(
        [
            f"# The {name} lane",
            "",
            "Drawn from the table by `python -m gatectl.domain.diagrams docs/lanes`; a test compares. Do not edit.",
            "",
            "Arrows are what a handler may lead to; from `at_rest` a lane goes where its state says that it rests.",
            "Left out of the picture, because they start in nearly every phase:",
            "",
            *_general(table),
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {_id(Phase.STARTING)}",
            *_arrows(table),
            "```",
            "",
            "## The table",
            "",
            "What each phase does with each input. `-` is ignored, `!` cannot happen, *(stays)* never leaves the phase.",
            "",
            *_rows(table),
            "",
        ]
    )


def _id(phase: Phase) -> str:
    return phase.value.replace("-", "_")


def _phases(table: Table) -> list[Phase]:
    return [phase for phase in Phase if phase in table.phases]


def _served(table: Table) -> dict[Handler, list[Phase]]:
    served: dict[Handler, list[Phase]] = defaultdict(list)
    for phase in _phases(table):
        for kind in INPUTS:
            if (phase, kind) in table.transitions:
                served[table.transitions[phase, kind]].append(phase)
    return served


def _general_handlers(table: Table) -> list[Handler]:
    return [handler for handler, phases in _served(table).items() if len(phases) >= GENERAL_PHASES_MIN]


def _general(table: Table) -> list[str]:
    handlers = sorted(_general_handlers(table), key=lambda handler: handler.kind.__name__)
    return [
        f"- `{handler.kind.__name__}`: {handler.name.replace('_', ' ')}, may lead to {_where(handler)}"
        for handler in handlers
    ]


def _where(handler: Handler) -> str:
    targets = [phase.value for phase in Phase if phase in handler.leads_to]
    return ", ".join(targets) if targets else "no other phase"


def _arrows(table: Table) -> list[str]:
    general = set(_general_handlers(table))
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (phase, kind), handler in table.transitions.items():
        for target in () if handler in general else _targets(handler, phase):
            labels[_id(phase), target].add(_LOOPS.get(kind, kind.__name__))
    order = [_id(phase) for phase in Phase] + [REST]
    ordered = sorted(labels, key=lambda arrow: (order.index(arrow[0]), order.index(arrow[1])))
    rest = [f"    {REST} --> {_id(phase)}" for phase in _phases(table) if phase in RESTING]
    arrows = [f"    {source} --> {target}: {', '.join(sorted(labels[source, target]))}" for source, target in ordered]
    return [f"    state {REST} <<choice>>", *arrows, *rest]


def _targets(handler: Handler, phase: Phase) -> set[str]:
    """Where the arrows of a handler end; those to every phase of rest end in one point."""
    others = handler.leads_to - {phase}
    if others >= RESTING - {phase}:
        return {REST} | {_id(target) for target in others - RESTING}
    return {_id(target) for target in others}


def _rows(table: Table) -> list[str]:
    lines = []
    for phase in _phases(table):
        lines += [f"### {phase.value}", "", "| input | what follows | may lead to |", "| --- | --- | --- |"]
        lines += [_row(table, phase, kind) for kind in INPUTS]
        lines.append("")
    return lines[:-1]


def _row(table: Table, phase: Phase, kind: Kind) -> str:
    handler = table.transitions.get((phase, kind))
    if handler is None:
        mark = "!" if (phase, kind) in table.impossible else "-"
        return f"| {kind.__name__} | {mark} | |"
    targets = [target.value for target in _phases(table) if target in handler.leads_to and target is not phase]
    return f"| {kind.__name__} | {handler.name.replace('_', ' ')} | {', '.join(targets) or '*(stays)*'} |"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        (folder / f"{name}.md").write_text(page(name, table), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
