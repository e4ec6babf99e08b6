"""What is free through the real daemon: the page's commands, and a sign on a real broker that outlives a kill."""

import re
import shlex
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from app_bench import WAIT_S_MAX, SiteUnderTest
from paho.mqtt.enums import CallbackAPIVersion
from test_rights import examples, gatectl

from drivers.sim.broker import HOST, Broker, mosquitto


def test_the_page_says_what_the_commands_print(site: SiteUnderTest) -> None:
    """In the order of the page; an ellipsis stands for what is another thing each time."""
    for command, printed in examples("places.md"):
        pattern = ".*".join(re.escape(part) for part in printed.split("…"))

        found = gatectl(site, *shlex.split(command)[1:])
        assert re.fullmatch(pattern, found), f"{command}\n{found}"
    site.kill()
    site.start()
    assert {"main": 2} == {row["area"]: row["inside"] for row in site.daemon.get("availability")["areas"]}


def test_whoever_watches_is_told_of_each_change(site: SiteUnderTest) -> None:
    """The control socket's stream: everything once, then the area that changed."""
    told = (row for row in site.daemon.stream("availability", "stream") if row is not None)
    assert [("main", "open"), ("IN-1", "open")] == [
        (row.get("area", row.get("lane")), row["status"]) for row in (next(told), next(told))
    ]
    gatectl(site, "state", "main", "closed", "--reason", "snow")
    assert ("main", "closed") == ((row := next(told))["area"], row["status"])


SIGNS = """
[ports.broker]
kind = "mqtt"
host = "{host}"
port = {port}
client_id = "gatectl-signs"
keepalive_s = 2

[devices.signs]
driver = "signs-mqtt"
model = "topics"
port = "broker"
topic = "parking/app"
"""


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
def test_a_sign_shows_what_is_free_and_that_it_is_stale_after_a_kill(tmp_path: Path) -> None:
    """A vehicle enters: one less. kill -9: the broker says stale. A start: live again, and estimated, for it was dark."""
    shown: dict[str, str] = {}
    changed = threading.Condition()

    def heard(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        with changed:
            shown[message.topic.removeprefix("parking/app/")] = message.payload.decode()
            changed.notify_all()

    def shows(**wanted: str) -> bool:
        names = {name.replace("__", "/"): text for name, text in wanted.items()}
        with changed:
            return changed.wait_for(
                lambda: all(text in shown.get(name, "") for name, text in names.items()), WAIT_S_MAX
            )

    with Broker(tmp_path / "broker", kind="mosquitto") as broker:
        sign = mqtt.Client(CallbackAPIVersion.VERSION2)
        sign.on_message = heard
        sign.on_connect = lambda client, *_: client.subscribe("parking/app/#")
        sign.connect(HOST, broker.port)
        sign.loop_start()
        site = SiteUnderTest(tmp_path / "site", more=SIGNS.format(host=HOST, port=broker.port))
        try:
            site.start()
            site.wait_ready_lanes()
            assert shows(link="live", area__main__free="5", area__main__full="0"), shown
            site.enter()
            assert shows(area__main__free="4", area__main='"quality":"live"'), shown
            site.kill()
            assert shows(link="stale", area__main__free="4"), shown
            site.start()
            assert shows(link="live", area__main='"doubt":"dark"'), shown
        finally:
            site.close()
            sign.disconnect()
            sign.loop_stop()
