"""Whether a device of the payment protocol is there: its link, its heartbeat, its will. Sans-IO."""

from drivers.api import Health
from drivers.codecs.pay_json import Status


class Presence:
    """Up: the link is, and a heartbeat came within `fresh_ms` that the broker had not kept. Says each change once."""

    def __init__(self, device: str, fresh_ms: int) -> None:
        self.up: bool | None = None
        self.why = ""
        self.beat = ""
        self.beat_at_ms = 0
        self._device, self._fresh_ms = device, fresh_ms
        self._linked: bool | None = None
        self._since_ms = 0
        self._gone = ""

    def connected(self, now_ms: int) -> None:
        self._linked, self._since_ms, self.beat, self._gone = True, now_ms, "", ""

    def disconnected(self, why: str) -> None:
        self._linked, self.beat, self._gone = False, "", why

    def heard(self, status: Status, retained: bool, now_ms: int) -> bool:
        """Take a status. False if it was kept by the broker: that it was online once says nothing about now."""
        if not status.online:
            self.beat, self._gone = "", "the device is offline"
        elif not retained:
            self.beat, self.beat_at_ms, self._gone = status.beat, now_ms, ""
        return not (retained and status.online)

    def judge(self, now_ms: int) -> Health | None:
        """The change that is to be told, if there is one."""
        fresh = bool(self.beat) and now_ms - self.beat_at_ms <= self._fresh_ms
        up = self._linked is True and fresh
        waited = self._linked is False or bool(self._gone) or now_ms - self._since_ms > self._fresh_ms
        if up is self.up or (self.up is None and not up and (self._linked is None or not waited)):
            return None
        self.up = up
        self.why = "" if up else self._gone or f"no heartbeat for {self._fresh_ms} ms"
        return Health(self._device, up, self.why)

    def wake_at_ms(self) -> int | None:
        """When `judge` may have something to say, if nothing arrives."""
        if self._linked is not True:
            return None
        if self.beat:
            return self.beat_at_ms + self._fresh_ms + 1
        return self._since_ms + self._fresh_ms + 1 if self.up is None else None
