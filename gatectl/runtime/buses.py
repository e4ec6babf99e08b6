"""Opens every port of the site with the engines of the devices on it."""

from collections.abc import Callable
from typing import cast

from config.site import Site
from drivers import catalog
from drivers.api import Bus, MqttEngine, SerialEngine, ServerFamily
from drivers.links.mqtt_link import MqttBus
from drivers.links.serial_link import SerialBus, Tap
from drivers.options import line_of
from drivers.signs_mqtt import SignsEngine
from gatectl.runtime.plan import devices_on, port_spec


def build_buses(site: Site, tap: Callable[[str], Tap] | None = None) -> dict[str, Bus]:
    """Port name to its bus, not started yet; ports without devices are left out. `tap` makes a capture for a port."""
    return {name: bus for name in site.ports if (bus := _bus(site, name, tap)) is not None}


def _bus(site: Site, name: str, tap: Callable[[str], Tap] | None) -> Bus | None:
    port, devices = port_spec(site, name), devices_on(site, name)
    if not devices:
        return None
    if port.kind == "ocpp":
        return cast("ServerFamily", catalog.family(devices[0].driver)).bus(port, devices)
    if port.kind == "mqtt":
        engines = {
            device.name: cast("MqttEngine", catalog.family(device.driver).engine(port, [device])) for device in devices
        }
        will = next((engine.will for engine in engines.values() if isinstance(engine, SignsEngine)), None)
        return MqttBus(port, engines, will=will)
    engine = cast("SerialEngine", catalog.family(devices[0].driver).engine(port, devices))
    names = [device.name for device in devices]
    if tap is None:
        return SerialBus(name, line_of(port), engine, names)
    return SerialBus(name, line_of(port), engine, names, tap=tap(name))


def devices_of(site: Site, buses: dict[str, Bus]) -> dict[str, Bus]:
    """Device name to the bus that serves it."""
    return {name: buses[device.port] for name, device in site.devices.items() if device.port in buses}
