"""What signs were told, and telling it again to one that came back. Called from the writer's thread and from ports' threads."""

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final

from drivers import api
from gatectl.domain.effects import Announce
from gatectl.runtime.wiring import OrderName

ANNOUNCE_MS: Final = 30_000
"""A figure that could not be handed over by then is dropped: the newest is told when the link is there again."""
VERB: Final = "announce"


class Signs:
    """The devices that carry announcements, and the newest text of every name."""

    def __init__(
        self,
        devices: Sequence[str] = (),
        buses: Mapping[str, api.Bus] | None = None,
        monotonic_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """No devices: nobody is told anything."""
        self._devices, self._buses, self._monotonic_ms = tuple(devices), buses or {}, monotonic_ms
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()
        self._number = count(1)

    def announce(self, effect: Announce) -> None:
        """Tell what has changed."""
        with self._lock:
            self._told.update(effect.signs)
            for device in self._devices:
                self._send(device, effect.signs)

    def heard(self, signal: api.Signal) -> None:
        """A link that came up has nothing of what was told meanwhile: it is told all."""
        if isinstance(signal, api.Health) and signal.up and signal.device in self._devices:
            with self._lock:
                self._send(signal.device, tuple(self._told.items()))

    def _send(self, device: str, signs: tuple[tuple[str, str], ...]) -> None:
        if signs:
            name = OrderName("", VERB, str(next(self._number)))
            self._buses[device].order(device, api.Announce(str(name), signs, self._monotonic_ms() + ANNOUNCE_MS))
