"""Tells the fleet page how the site does, now and then. Telemetry: what is lost is said better by the next."""

from collections.abc import Callable

from sync.ports import Answer, Office, Request
from sync.records import Vitals

VITALS_EVERY_MS = 60_000
VITALS_TOTAL_MS = 5_000
VITALS_BYTES_MAX = 65_536


class VitalsSender:
    """Rides on the puller's thread, between two polls; holds up an order for at most VITALS_TOTAL_MS."""

    def __init__(self, office: Office, source: Callable[[], Vitals]) -> None:
        self._office, self._source = office, source
        self._due_ms = 0
        self.sent = self.lost = 0

    def send_when_due(self, now_ms: int) -> None:
        """One try a period, whatever becomes of it."""
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + VITALS_EVERY_MS
        vitals = self._source()
        body = vitals.to_json()
        if len(body) > VITALS_BYTES_MAX:
            self.lost += 1
            return
        path = f"/sync/v1/sites/{vitals.site}/vitals"
        headers = (("content-type", "application/json"),)
        answer = self._office.ask(Request("PUT", path, body, headers, VITALS_TOTAL_MS))
        if isinstance(answer, Answer) and answer.status == 204:
            self.sent += 1
        else:
            self.lost += 1
