"""The road between a site and its office: everything that networks do to a question and to its answer.

It keeps nothing but what is under way, and a few old questions that a box on the way may let go later.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from gatectl.world.kernel import Kernel
from gatectl.world.office import Office
from sync.ports import Answer, Request, Unreachable

ROADS_MS: Final = ((20, 120), (20, 120), (200, 900), (600, 3_000))
"""There and back, by wire and over the air."""
OLD_KEPT_MAX: Final = 50
"""Questions that may arrive a second time, long after."""
TROUBLED: Final = 0.7
"""The share of questions that a troubled road spoils."""

Answered = Callable[[Answer | Unreachable], None]


@dataclass(slots=True)
class Road:
    """`trouble`: "" for none, "mixed" for all in turn, or one of `TROUBLES`."""

    kernel: Kernel
    rng: Random
    office: Office
    trouble: str = ""
    ms: tuple[int, int] = ROADS_MS[0]
    met: dict[str, int] = field(default_factory=dict)
    """How often each trouble has spoilt a question."""
    _old: deque[Request] = field(default_factory=lambda: deque(maxlen=OLD_KEPT_MAX))

    def ask(self, request: Request, answered: Answered) -> None:
        """`answered` is called later, once."""
        trouble = self.rng.choice(sorted(TROUBLES)) if self.trouble == "mixed" else self.trouble
        if trouble and self.rng.random() < TROUBLED:
            self.met[trouble] = self.met.get(trouble, 0) + 1
            TROUBLES[trouble](self, request, answered)
        else:
            self._well(request, answered)
        self._old.append(request)

    def _well(self, request: Request, answered: Answered) -> None:
        """There and back; the office hears it half-way."""
        there_ms, back_ms = self.rng.randint(*self.ms) // 2, self.rng.randint(*self.ms) // 2

        def arrives() -> None:
            answer = self.office.ask(request)
            self.kernel.after(back_ms, lambda: answered(answer))

        self.kernel.after(there_ms, arrives)

    def _later(self, delay_ms: int, answered: Answered, answer: Answer | Unreachable) -> None:
        self.kernel.after(delay_ms, lambda: answered(answer))

    def _arrives(self, delay_ms: int, request: Request) -> None:
        """The office hears it; nobody hears the office."""

        def arrives() -> None:
            self.office.ask(request)

        self.kernel.after(delay_ms, arrives)

    # -- what is lost --------------------------------------------------------------------------------------------------

    def away(self, request: Request, answered: Answered) -> None:
        self._later(self.rng.randint(1, 3_000), answered, Unreachable("no route"))

    def half_open(self, request: Request, answered: Answered) -> None:
        """The connection stands, and nobody is at the other end."""
        self._later(request.total_ms, answered, Unreachable("no answer in time"))

    def request_lost(self, request: Request, answered: Answered) -> None:
        self._later(self.rng.randint(*self.ms), answered, Unreachable("reset"))

    def reply_lost(self, request: Request, answered: Answered) -> None:
        self._arrives(self.rng.randint(*self.ms) // 2, request)
        self._later(self.rng.choice([200, request.total_ms]), answered, Unreachable("reset"))

    def reordered(self, request: Request, answered: Answered) -> None:
        """The site has given it up long before it arrives, behind newer ones."""
        self._arrives(self.rng.randint(1, 3 * request.total_ms), request)
        self._later(self.rng.choice([200, request.total_ms]), answered, Unreachable("reset"))

    # -- what comes twice, or spoilt --------------------------------------------------------------------------------------

    def duplicated(self, request: Request, answered: Answered) -> None:
        """At the same moment, and an old one too."""
        self.office.ask(request)
        self._well(request, answered)
        if self._old:
            old = self.rng.choice(list(self._old))
            self._arrives(self.rng.randint(1, 5_000), old)

    def slow(self, request: Request, answered: Answered) -> None:
        answer = self.office.ask(request)
        self._later(self.rng.randrange(request.total_ms), answered, answer)

    def cut(self, request: Request, answered: Answered) -> None:
        """The answer's body ends too early."""
        answer = self.office.ask(request)
        short = replace(answer, body=answer.body[: self.rng.randrange(len(answer.body) or 1)])
        self._later(self.rng.randint(*self.ms), answered, short)

    # -- who else answers -------------------------------------------------------------------------------------------------

    def portal(self, request: Request, answered: Answered) -> None:
        """Somebody's wireless network, before the terms are accepted, in one of its shapes."""
        html = "<html>Free WiFi: please accept our terms</html>"
        answer = self.rng.choice(
            [
                _page(200, "text/html", html),
                _page(302, "text/html", html, location="http://wifi.example/login"),
                _page(200, "application/json", json.dumps({"schema": "wifi/1", "status": "ok", "ack": 10**6})),
                _page(200, "application/json", '{"schema":"gatectl.ack/1","site":"another"}'),
                _page(204, "", ""),
                _page(511, "text/html", html),
            ]
        )
        self._later(self.rng.randint(*self.ms), answered, answer)

    def proxy(self, request: Request, answered: Answered) -> None:
        """A proxy's own refusals; the office never hears of it, but for 502, where it may."""
        status = self.rng.choice([413, 429, 502, 503])
        if status == 502 and self.rng.random() < 0.5:
            self.office.ask(request)
        retry = {"retry_after": str(self.rng.randint(1, 40))} if status in (429, 503) else {}
        self._later(self.rng.randint(*self.ms), answered, _page(status, "text/html", "<html>proxy</html>", **retry))


def _page(status: int, content_type: str, body: str, **headers: str) -> Answer:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, content_type, pairs, body.encode())


TROUBLES: Final[Mapping[str, Callable[[Road, Request, Answered], None]]] = {
    "away": Road.away,
    "half-open": Road.half_open,
    "request-lost": Road.request_lost,
    "reply-lost": Road.reply_lost,
    "reordered": Road.reordered,
    "duplicated": Road.duplicated,
    "slow": Road.slow,
    "cut": Road.cut,
    "portal": Road.portal,
    "proxy": Road.proxy,
}
