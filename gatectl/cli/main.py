"""The command line's door. Each command's module is imported when the command is used: start-up time is a promise."""

import os
from pathlib import Path

import click

from config.places import find_places
from gatectl.cli.base import App


def _run() -> click.Command:
    from gatectl.cli.run import run

    return run


def _demo() -> click.Command:
    from gatectl.cli.run import demo

    return demo


def _simulate() -> click.Command:
    from gatectl.cli.simulate import simulate

    return simulate


def _status() -> click.Command:
    from gatectl.cli.status import status

    return status


def _lane() -> click.Command:
    from gatectl.cli.lane import lane

    return lane


def _loop() -> click.Command:
    from gatectl.cli.loop import loop

    return loop


def _printer() -> click.Command:
    from gatectl.cli.printer import printer

    return printer


def _ticket() -> click.Command:
    from gatectl.cli.ticket_export import ticket

    return ticket


def _why() -> click.Command:
    from gatectl.cli.why import why

    return why


def _tariff() -> click.Command:
    from gatectl.cli.tariff import tariff

    return tariff


def _pay() -> click.Command:
    from gatectl.cli.pay import pay

    return pay


def _charger() -> click.Command:
    from gatectl.cli.charger import charger

    return charger


def _refund() -> click.Command:
    from gatectl.cli.refund import refund

    return refund


def _debt() -> click.Command:
    from gatectl.cli.debt import debt

    return debt


def _fiscal() -> click.Command:
    from gatectl.cli.fiscal import fiscal

    return fiscal


def _shift() -> click.Command:
    from gatectl.cli.shift import shift

    return shift


def _availability() -> click.Command:
    from gatectl.cli.availability import availability

    return availability


def _spot() -> click.Command:
    from gatectl.cli.availability import spot

    return spot


def _count() -> click.Command:
    from gatectl.cli.availability import count

    return count


def _state() -> click.Command:
    from gatectl.cli.availability import state

    return state


def _coupon() -> click.Command:
    from gatectl.cli.coupon import coupon

    return coupon


def _valet() -> click.Command:
    from gatectl.cli.valet import valet

    return valet


def _validate() -> click.Command:
    from gatectl.cli.coupon import validate

    return validate


def _sync() -> click.Command:
    from gatectl.cli.sync import sync

    return sync


def _events() -> click.Command:
    from gatectl.cli.events import events

    return events


def _pass() -> click.Command:
    from gatectl.cli.passes import pass_group

    return pass_group


def _reservation() -> click.Command:
    from gatectl.cli.reservation import reservation

    return reservation


def _config() -> click.Command:
    from gatectl.cli.config import config

    return config


def _ports() -> click.Command:
    from gatectl.cli.ports import ports

    return ports


def _incident() -> click.Command:
    from gatectl.cli.incident import incident

    return incident


def _replay() -> click.Command:
    from gatectl.cli.replay import replay

    return replay


def _mirror() -> click.Command:
    from gatectl.cli.mirror import mirror

    return mirror


def _journal() -> click.Command:
    from gatectl.cli.journal import journal

    return journal


def _help() -> click.Command:
    from gatectl.cli.about import explain_code

    return explain_code


def _version() -> click.Command:
    from gatectl.cli.about import version

    return version


def _completion() -> click.Command:
    from gatectl.cli.about import completion

    return completion


COMMANDS = {
    "status": ("One screen: what is wrong, lanes, free spots, the office.", _status),
    "lane": ("Show lanes; open, close, hold, lock them by hand.", _lane),
    "loop": ("Watch a lane's inputs as they change.", _loop),
    "printer": ("Printers: state, test page.", _printer),
    "ticket": ("Tickets: find, show, void; lost, damaged, swapped, stale ones.", _ticket),
    "why": ("Why a lane does not open; what became of a ticket.", _why),
    "tariff": ("Check tariffs; price a stay; plot a price.", _tariff),
    "pay": ("Take money for a ticket.", _pay),
    "refund": ("Give back a payment, or a part of it.", _refund),
    "debt": ("What drivers owe who could not pay: make, list, pay, forgive.", _debt),
    "fiscal": ("The journal of receipts that the law wants: list, export, verify.", _fiscal),
    "shift": ("A cashier's shift: float, cash, count, difference.", _shift),
    "pass": ("Passes of monthly and annual parkers: make, show, suspend, set to neutral.", _pass),
    "charger": ("Chargers and charging sessions: list, show, start, stop.", _charger),
    "reservation": ("Places promised for some hours: make, show, extend, cancel.", _reservation),
    "coupon": ("Coupons: put on a ticket, make, sign, list; merchants.", _coupon),
    "valet": ("Vehicles taken over: park, queue, hand back; key tags and claim checks.", _valet),
    "validate": ("A merchant validates a ticket.", _validate),
    "events": ("What happened, in words.", _events),
    "availability": ("Free spots, who is let in, and how far to trust it.", _availability),
    "state": ("Say that an area or a lane is open, full or closed.", _state),
    "spot": ("Spots out of service.", _spot),
    "count": ("Correct a count by what was counted.", _count),
    "sync": ("The link to the office; proof that nothing is missing.", _sync),
    "config": ("Check the site file; say where a value comes from.", _config),
    "ports": ("What each port has counted: bad frames, refused messages.", _ports),
    "incident": ("Put what happened into one file, to be replayed elsewhere.", _incident),
    "replay": ("Run an incident through this version's core; find where it differs.", _replay),
    "mirror": ("Make the mirror again from the journal.", _mirror),
    "journal": ("Check the journal on this disk; repair it.", _journal),
    "help": ("Explain an error code.", _help),
    "run": ("Run the daemon (systemd does).", _run),
    "demo": ("A whole site on this machine, without hardware.", _demo),
    "simulate": ("Rehearse a site file, or a made-up site, with everything that breaks.", _simulate),
    "version": ("Versions, for the phone.", _version),
    "completion": ("Shell completion: bash, zsh, fish.", _completion),
}
NO_COLOUR = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


@click.group(
    cls=App,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "color": False if NO_COLOUR else None},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 degraded, 4 not found, 5 daemon not running, 6 no permission, "
    "7 device did not answer, 8 refused, 9 cancelled, 130 Ctrl-C. Any other code is a failure.",
)
@click.option("--config", type=click.Path(path_type=Path), help="The site file. [/etc/gatectl/gatectl.toml]")
@click.option("--state-dir", type=click.Path(path_type=Path), help="The mirror and the keys. [/var/lib/gatectl]")
@click.option("--runtime-dir", type=click.Path(path_type=Path), help="The control socket. [/run/gatectl]")
@click.pass_context
def app(ctx: click.Context, config: Path | None, state_dir: Path | None, runtime_dir: Path | None) -> None:
    """The gate controller of a parking site.

    \b
    gatectl status                     what is wrong?
    gatectl lane open OUT-1            let a car out by hand
    gatectl ticket show 000123-K7QF    what became of a ticket
    gatectl events -f                  watch what happens
    """
    ctx.obj = find_places(config, state_dir, runtime_dir)
