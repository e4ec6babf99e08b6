"""The one table of codes: what a person reads, what a script gets, what to type next.

A code is a promise: `gatectl help CODE` explains it for as long as any version says it. Exit codes are the command
line's published table (`EXITS`); an exit code that is not in it means failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DEGRADED = 3
    NOT_FOUND = 4
    NOT_RUNNING = 5
    NO_PERMISSION = 6
    NO_ANSWER = 7
    REFUSED = 8
    CANCELLED = 9
    INTERRUPTED = 130


EXITS: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "the command was not understood",
    Exit.DEGRADED: "degraded: something needs a person (status)",
    Exit.NOT_FOUND: "no such lane, ticket, device or key",
    Exit.NOT_RUNNING: "the daemon is not running",
    Exit.NO_PERMISSION: "no permission",
    Exit.NO_ANSWER: "a device did not answer",
    Exit.REFUSED: "refused by safety or by state",
    Exit.CANCELLED: "cancelled by the person",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `sentence` is what is wrong, `cause` why it can be, `action` what to do or type."""

    code: str
    sentence: str
    cause: str
    action: str
    exit: Exit
    http: int


_F, _N, _R, _D = Exit.FAILED, Exit.NOT_FOUND, Exit.REFUSED, Exit.DEGRADED

_TABLE = (
    Code(
        "E-USE-01",
        "The command or request was not understood.",
        "A word, an option or a value is not one that gatectl knows.",
        "Add --help to the command.",
        Exit.USAGE,
        400,
    ),
    Code(
        "E-BUSY-01",
        "The daemon is answering as many callers as it can.",
        "Too many watchers or commands are connected to the control socket.",
        "Close a `--watch` or `-f` window and try again.",
        _F,
        503,
    ),
    Code(
        "E-BUG-01",
        "gatectl made a mistake while answering; nothing was done that is not in the journal.",
        "A defect in this version of gatectl.",
        "Look at `journalctl -u gatectl -n 50` and send it with `gatectl version --json` to whoever supports the site.",
        _F,
        500,
    ),
    Code(
        "E-CON-01",
        "The daemon is not running.",
        "It was stopped, is starting, or refuses its site file.",
        "systemctl status gatectl; then: gatectl config check; then: systemctl start gatectl",
        Exit.NOT_RUNNING,
        503,
    ),
    Code(
        "E-CON-02",
        "This user may not talk to the daemon.",
        "Only root and members of the group gatectl may.",
        "sudo adduser $USER gatectl, then log in again (or put sudo before the command).",
        Exit.NO_PERMISSION,
        403,
    ),
    Code(
        "E-CON-03",
        "The daemon is there but does not answer in time.",
        "It is starting, or the machine is overloaded, or its disk is wedged.",
        "journalctl -u gatectl -n 50; the watchdog restarts it by itself.",
        Exit.NOT_RUNNING,
        504,
    ),
    Code(
        "E-NOT-01",
        "There is no such thing.",
        "The lane, ticket, device, area or key does not exist at this site.",
        "gatectl lane list; gatectl ticket find TEXT",
        _N,
        404,
    ),
    Code(
        "E-LANE-01",
        "Refused by safety: the closing loop is not known to be clear.",
        "A vehicle stands under the arm, or the loop is faulted, stale or was never read.",
        "Look at the lane; gatectl loop watch LANE shows the loop. There is no force.",
        _R,
        409,
    ),
    Code(
        "E-LANE-02",
        "The lane cannot do that in its present state.",
        "It is locked, held, under fire alarm, out of service, or busy with a vehicle.",
        "gatectl lane show LANE says the state and who set it.",
        _R,
        409,
    ),
    Code(
        "E-LANE-03",
        "The device did not answer; nobody can say whether the arm moved.",
        "The I/O module, its cable or its power.",
        "Look at the arm, then: gatectl lane show LANE. The order is not repeated by itself.",
        Exit.NO_ANSWER,
        504,
    ),
    Code(
        "E-LANE-04",
        "A code came without a vehicle.",
        "Somebody on foot, or a blind loop.",
        "gatectl loop watch LANE",
        _R,
        409,
    ),
    Code(
        "E-TKT-01",
        "The code could not be read as a ticket.",
        "Dirty or torn paper, or a code of something else.",
        "Read the number from the paper: gatectl ticket show NUMBER",
        _F,
        422,
    ),
    Code(
        "E-TKT-02",
        "The ticket is from another site.",
        "It was issued elsewhere.",
        "Send the driver to that site, or: gatectl ticket lost",
        _R,
        409,
    ),
    Code(
        "E-TKT-03",
        "The ticket is not authentic.",
        "Its code was not signed by this site: forged, damaged, or from before a key was withdrawn.",
        "Look the stay up by time: gatectl ticket find TEXT; else: gatectl ticket lost",
        _R,
        409,
    ),
    Code(
        "E-TKT-04",
        "The ticket was used at an exit already.",
        "A copy, or the vehicle has left.",
        "gatectl ticket show NUMBER says where and when.",
        _R,
        409,
    ),
    Code(
        "E-TKT-05",
        "The ticket is void.",
        "It was never taken, the vehicle backed out, or a person voided it.",
        "gatectl ticket show NUMBER says why; if the vehicle is inside: gatectl ticket lost",
        _R,
        409,
    ),
    Code(
        "E-TKT-06",
        "The ticket is not paid.",
        "Nothing was paid, or the time to leave after paying is over.",
        "gatectl pay NUMBER",
        _R,
        402,
    ),
    Code(
        "E-TKT-07",
        "The ticket is not known here.",
        "Misread, or issued before the disk was replaced.",
        "gatectl ticket find TEXT; else: gatectl ticket lost",
        _N,
        404,
    ),
    Code(
        "E-TKT-08",
        "No vehicle is inside on this ticket.",
        "The vehicle never passed the entry, or has left.",
        "gatectl ticket show NUMBER says where it ended.",
        _R,
        409,
    ),
    Code(
        "E-FULL-01",
        "The area is full.",
        "No free spot fits the vehicle.",
        "gatectl status shows the counts; recount if they are wrong.",
        _R,
        409,
    ),
    Code(
        "E-CLOSED-01",
        "The lane is closed.",
        "It is locked, or the site has closed its entries.",
        "gatectl lane show LANE; gatectl lane unlock LANE",
        _R,
        409,
    ),
    Code(
        "E-PAY-01", "Nothing is due.", "The stay is paid, or free until now.", "Let the driver go to the exit.", _R, 409
    ),
    Code(
        "E-PAY-02",
        "This payment key was used before with other content.",
        "The same key came with another ticket or amount.",
        "Use a new key for a new payment; the same key only to ask again.",
        _R,
        422,
    ),
    Code(
        "E-PAY-03",
        "Too little was given.",
        "The amount tendered is less than what is due.",
        "Ask for the rest.",
        _R,
        422,
    ),
    Code(
        "E-PAY-04",
        "The ticket cannot be paid.",
        "It is void, has left, or waits for a payment in a lane.",
        "gatectl ticket show NUMBER",
        _R,
        409,
    ),
    Code(
        "E-PAY-05",
        "More than is due cannot be taken.",
        "The amount is higher than the price now.",
        "Take what `gatectl ticket show NUMBER` says; what is tendered beyond it is change.",
        _R,
        409,
    ),
    Code(
        "E-PAY-06",
        "The terminal took nothing, try after try.",
        "Card or provider.",
        "Take cash: gatectl pay NUMBER",
        _R,
        402,
    ),
    Code(
        "E-TIME-01",
        "The clock is not set, so nothing can be priced.",
        "The machine started without network time and its battery clock is wrong.",
        "timedatectl; connect the network, or: timedatectl set-time",
        _R,
        503,
    ),
    Code(
        "E-CFG-01",
        "The site file is refused.",
        "It holds at least one mistake; each is listed with its place.",
        "Mend what is listed, then: gatectl config check",
        _F,
        422,
    ),
    Code(
        "E-CFG-02",
        "The state directory cannot be used.",
        "Another daemon holds it, it may not be written, or its database is damaged or from a newer version.",
        "systemctl status gatectl; df -h; then as the message says.",
        _F,
        503,
    ),
    Code(
        "E-DEMO-01",
        "The demo cannot run.",
        "A part of it is not installed, or a process of it did not do what it must.",
        "pip install 'gatectl[demo]', or `make demo` in a checkout.",
        _F,
        503,
    ),
    Code(
        "E-INC-01",
        "The incident file is damaged.",
        "It was cut off or changed on its way.",
        "Copy it again, in binary; else export it again: gatectl incident export FILE",
        _R,
        422,
    ),
    Code(
        "E-INC-02",
        "The file is not an incident that this version can replay.",
        "It is another kind of file, or of a newer version of gatectl.",
        "gatectl version; replay it with the version that made it.",
        _R,
        422,
    ),
    Code(
        "E-INC-03",
        "Nothing is captured of that time.",
        "It is longer ago than captures are kept, or the disk was almost full then.",
        "gatectl events --since TIME says what the journal knows.",
        _N,
        404,
    ),
    Code(
        "E-SYNC-01",
        "The office cannot be reached.",
        "The line, a firewall, or the office itself; the site goes on and keeps every record.",
        "gatectl sync status says the last error; nothing is lost meanwhile.",
        _D,
        503,
    ),
    Code(
        "E-SYNC-02",
        "The site is not enrolled at an office.",
        "No credential was made yet, or it was revoked.",
        "Get a code from the office, then: gatectl sync enrol --office URL --code CODE",
        _D,
        409,
    ),
    Code(
        "E-SYNC-03",
        "The office holds another history for this site.",
        "A restored backup or a cloned disk: two journals claim the same place.",
        "Do not copy disks between machines. Call the office; compare: gatectl sync prove",
        _D,
        409,
    ),
    Code(
        "E-JNL-01",
        "The journal on this disk is damaged.",
        "A failing disk or card, a power supply that fails, or somebody edited the file.",
        "gatectl journal check says where. Then: systemctl stop gatectl; gatectl journal repair; systemctl start gatectl",
        _D,
        409,
    ),
    Code(
        "E-JNL-02",
        "The journal cannot be repaired now.",
        "The office cannot be reached, or what it sends does not come to the head that was written here.",
        "Nothing was changed. Mend what the message says and try again; save the state directory before anything else.",
        _F,
        409,
    ),
    Code(
        "E-JNL-03",
        "Damaged records lie only on this disk.",
        "They were written after the last contact with the office, so nobody can send them back.",
        "Let the site reach the office first if it can. Else gatectl journal repair --set-aside takes them out and keeps them.",
        _R,
        409,
    ),
    Code(
        "E-DSK-01",
        "The disk of the state directory is almost full.",
        "Something else fills it, mostly logs. The daemon's own reserve is in use, or could not be made.",
        "df -h; journalctl --vacuum-size=200M; systemctl restart gatectl. A full disk stops the daemon: no record, no gate.",
        _D,
        409,
    ),
    Code(
        "E-BAR-01",
        "The arm does not report closed.",
        "Limit switch, boom blocked, or the operator's own safety input.",
        "Check the boom and the closed limit switch, then: gatectl lane reset LANE",
        _D,
        409,
    ),
    Code(
        "E-BAR-02",
        "The arm does not report open.",
        "Limit switch, motor, or the open relay. Vehicles are let out by hand.",
        "Check the open limit switch and the relay, then: gatectl lane reset LANE",
        _D,
        409,
    ),
    Code(
        "E-BAR-03",
        "The boom is broken off.",
        "A vehicle drove through it.",
        "Mount a new boom, then: gatectl lane reset LANE",
        _D,
        409,
    ),
    Code(
        "E-BAR-04",
        "The arm's position is not known.",
        "Both limit switches or none report, or their module is lost.",
        "Check the limit switches' wiring and polarity.",
        _D,
        409,
    ),
    Code(
        "E-BAR-05",
        "The arm is up and nobody asked for it.",
        "Opened at the operator's own board, by its key switch or by force.",
        "Look at the lane; if all is well: gatectl lane reset LANE",
        _D,
        409,
    ),
    Code(
        "E-LOOP-01",
        "The arming loop is stuck occupied.",
        "A parked vehicle, or the detector needs tuning.",
        "Look at the lane; reset the detector; gatectl loop watch LANE",
        _D,
        409,
    ),
    Code(
        "E-LOOP-02",
        "The closing loop is stuck occupied: the arm stays up.",
        "A vehicle or metal under the arm, or the detector needs tuning.",
        "Look under the arm; reset the detector; gatectl loop watch LANE",
        _D,
        409,
    ),
    Code(
        "E-LOOP-03",
        "A loop detects nothing while vehicles pass.",
        "Broken loop wire or a dead detector.",
        "Measure the loop; gatectl loop watch LANE while a vehicle stands on it.",
        _D,
        409,
    ),
    Code(
        "E-LOOP-04",
        "A loop's signal cannot be trusted.",
        "Its module answers late or reports a fault; it is treated as occupied.",
        "Check the module and its cable; gatectl loop watch LANE",
        _D,
        409,
    ),
    Code("E-PRN-01", "Ticket paper is low.", "Normal wear.", "Put in a new roll soon.", _D, 409),
    Code(
        "E-PRN-02",
        "Ticket paper is out.",
        "The roll is used up.",
        "Put in a new roll; the lane goes on by itself.",
        _D,
        409,
    ),
    Code(
        "E-PRN-03",
        "The printer is jammed.",
        "Paper in the cutter or in the mouth.",
        "Open the cover, clear the paper, close it; gatectl printer test DEVICE",
        _D,
        409,
    ),
    Code(
        "E-PRN-04",
        "The printer does not answer.",
        "Power, cable, or its cover is open.",
        "Check power and cable; gatectl printer status",
        _D,
        503,
    ),
    Code(
        "E-DEV-01",
        "A device is lost.",
        "Power, cable, address, or the network between.",
        "gatectl status names it; check its power and cable. It comes back by itself.",
        _D,
        503,
    ),
    Code(
        "E-DEV-02",
        "The payment terminal does not answer.",
        "Power, network, or its provider.",
        "Take cash: gatectl pay NUMBER. The terminal comes back by itself.",
        _D,
        503,
    ),
    Code(
        "E-DOOR-01",
        "A cabinet door is open.",
        "Somebody works at it, or it was forced.",
        "Look at the lane and close the door.",
        _D,
        409,
    ),
)

CODES: Mapping[str, Code] = {row.code: row for row in _TABLE}
assert len(CODES) == len(_TABLE), "two rows share a code"

FAULT_CODES: Mapping[str, str] = {
    "arming-loop-stuck": "E-LOOP-01",
    "closing-loop-stuck": "E-LOOP-02",
    "loop-dead": "E-LOOP-03",
    "loop-untrusted": "E-LOOP-04",
    "fails-to-close": "E-BAR-01",
    "fails-to-open": "E-BAR-02",
    "arm-broken": "E-BAR-03",
    "arm-unknown": "E-BAR-04",
    "arm-forced": "E-BAR-05",
    "printer-low": "E-PRN-01",
    "printer-out": "E-PRN-02",
    "printer-jam": "E-PRN-03",
    "printer-offline": "E-PRN-04",
    "door-open": "E-DOOR-01",
    "device-lost": "E-DEV-01",
    "terminal-offline": "E-DEV-02",
}
"""By gatectl.domain.facts.LaneFault, whose members are these words. Not imported: a command would pay 20 ms for all facts."""


def code_of(code: str) -> Code:
    """The row of a code; for one that this build does not know, a row that says so."""
    known = CODES.get(code)
    if known is not None:
        return known
    return Code(code, "An unknown code.", "The daemon is newer than this command.", "gatectl version", Exit.FAILED, 500)


def problem(subject: str, code: str, detail: str = "") -> dict[str, str]:
    """One entry of "problems": `subject` is a lane, device or part of the site; see the control API."""
    row = code_of(code)
    sentence = f"{subject}: {row.sentence}" if subject else row.sentence
    if detail:
        sentence = f"{sentence[:-1]} ({detail})."
    return {"code": code, "sentence": sentence, "action": row.action, "see": f"gatectl help {code}"}
