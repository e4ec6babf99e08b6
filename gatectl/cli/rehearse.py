"""`gatectl simulate --site FILE`: a real site's file rehearsed, live on a terminal, as lines without one, or as JSON."""

import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from gatectl.cli import rehearse_view as view
from gatectl.cli.config import checked, refused
from gatectl.cli.errors import CommandFailed
from gatectl.cli.screen import Screen
from gatectl.cli.show import emit
from gatectl.domain.codes import Exit
from gatectl.world.named import FaultRefused
from gatectl.world.rehearsal import Rehearsal, Told
from gatectl.world.simulation import Result

SPEED: Final = 20.0
SPEED_MIN, SPEED_MAX = 1.0, 3_600.0
"""Simulated seconds per second."""
FRAME_S: Final = 0.25
SLICE_MS: Final = 5_000
"""Without a terminal what needs a person is looked at so often."""
MINUTES_MIN: Final = 30.0
"""A rehearsal lasts so long at least, and so long after the last of its faults, if nobody says how long."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `minutes` None: as long as the faults need."""

    site: Path
    faults: tuple[str, ...]
    per_hour: float
    oddity: float
    seed: int
    minutes: float | None
    speed: float
    plain: bool
    as_json: bool


def rehearse(wish: Wish) -> Exit:
    """Run it, and tell it as was asked."""
    world = _world(wish)
    minutes = (
        wish.minutes if wish.minutes is not None else max(MINUTES_MIN, world.last_fault_ms() / 60_000 + MINUTES_MIN)
    )
    head = view.Head(world.plan.site, world.plan.name, world.plan.zone, minutes, wish.speed, paused=False)
    began_s = time.perf_counter()
    interrupted = False
    if wish.as_json:
        _quick(world, minutes)
    elif wish.plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _lines(world, head)
    else:
        interrupted = _live(world, head)
    ended_ms = world.kernel.now_ms
    if not world.broken:
        world.attempt(world.wind_up)
    result = world.result(time.perf_counter() - began_s)
    if wish.as_json:
        emit(world.plain(result))
    else:
        _sum_up(world, result, ended_ms)
    return Exit.FAILED if not result.ok else Exit.INTERRUPTED if interrupted else Exit.OK


def _world(wish: Wish) -> Rehearsal:
    site, faults = checked(wish.site)
    if site is None or faults:
        raise refused(wish.site, faults)
    try:
        return Rehearsal(site, wish.faults, wish.seed, wish.oddity, wish.per_hour)
    except FaultRefused as refusal:
        instead = f"{refusal.instead}; gatectl simulate --list-faults explains them" if refusal.instead else ""
        raise CommandFailed("E-USE-01", f"{refusal}.", cause=f"{wish.site}", action=instead) from None


def _quick(world: Rehearsal, minutes: float) -> None:
    if world.attempt(world.begin):
        world.attempt(lambda: world.go_on(int(minutes * 60_000)))


# -- without a terminal -------------------------------------------------------------------------------------------------


def _lines(world: Rehearsal, head: view.Head) -> None:
    """One line an event of interest, as fast as it goes."""

    def say(event: Told) -> None:
        if event.kind not in view.ROUTINE:
            click.echo(view.event_line(event, head.zone).strip())

    world.on_told = say
    known: set[str] = set()
    going = world.attempt(world.begin)
    while going and world.kernel.now_ms < head.minutes * 60_000:
        going = world.attempt(lambda: world.advance(SLICE_MS))
        known = _news(world, head, known)
    world.on_told = lambda _: None


def _news(world: Rehearsal, head: view.Head, known: set[str]) -> set[str]:
    """What newly needs a person, and what to do, in the words of `gatectl status`."""
    sight = world.sight()
    for problem in sight.problems:
        if problem["sentence"] not in known:
            at = view.clock(sight.at_ms, head.zone)
            click.echo(f"{at}  needs a person: {problem['code']} {problem['sentence']} Do: {problem['action']}")
    return {problem["sentence"] for problem in sight.problems}


# -- on a terminal ------------------------------------------------------------------------------------------------------


def _live(world: Rehearsal, head: view.Head) -> bool:
    """Until its end, `q` or Ctrl-C (True)."""
    going = world.attempt(world.begin)
    with Screen(colour=click.get_current_context().color is not False) as screen:
        ends_ms = int(head.minutes * 60_000)
        while going and not screen.interrupted and world.kernel.now_ms < ends_ms:
            size = screen.size()
            screen.paint(view.frame(head, world.sight(), tuple(world.told), *size), size)
            began_s = time.monotonic()
            key = screen.key(FRAME_S)
            if key in ("q", "Q", "\x1b"):
                break
            head = _heeded(head, key)
            if not head.paused:
                pace_ms = int((time.monotonic() - began_s) * 1_000 * head.speed)
                going = world.attempt(partial(world.advance, min(pace_ms, ends_ms - world.kernel.now_ms)))
        return screen.interrupted


def _heeded(head: view.Head, key: str) -> view.Head:
    if key == " ":
        return replace(head, paused=not head.paused)
    if key in ("+", "="):
        return replace(head, speed=min(SPEED_MAX, head.speed * 2))
    if key == "-":
        return replace(head, speed=max(SPEED_MIN, head.speed / 2))
    return head


def _sum_up(world: Rehearsal, result: Result, ended_ms: int) -> None:
    click.echo(
        f"\n{world.plan.site}  {world.plan.name}: {ended_ms / 60_000:.0f} minutes rehearsed, then all was mended."
    )
    for text, style in view.summary(world.sight(), world.met, ended_ms):
        click.echo(click.style(text, bold=True) if style == "bold" else text)
    if result.ok:
        click.echo("\nEvery invariant held, and every lane served again.")
    else:
        click.echo(f"\nBROKEN: {result.broken}")
    click.echo(f"Journal head {result.head[:16]}, {result.records} records, seed {result.seed}.")
