"""Telling systemd: sd_notify(3), one datagram a message. Without systemd it does nothing."""

import os
import socket
from typing import Final

SEND_S_MAX: Final = 1.0
"""How long the datagram may wait for room in the socket's queue."""


def notify(state: str) -> bool:
    """Send e.g. "READY=1" or "WATCHDOG=1"; False when nobody asked to be told, or nobody is there to hear it.

    Like sd_notify(3) it is no reason to stop: if systemd misses the watchdog's word, systemd acts on that.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(SEND_S_MAX)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def watchdog_interval_s() -> float | None:
    """How often the watchdog must be fed (half of WatchdogSec); None when it is not asked for."""
    usec = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 2_000_000
