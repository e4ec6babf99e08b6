"""Charge points that speak OCPP 1.6-J or 2.0.1 (docs/protocols/ocpp.md): the site is their central system. The family.

Options of a port: `host`, `port`, `cert_file` and `key_file` for TLS. Of a device::

    identity = "CP-0001"                 # the last part of the address it calls; not given: the device's name
    password_file = "/etc/gatectl/..."   # security profile 1: the first line is its password; or no_password = true
    gone_ms = 60000                      # a charge point without a connection for so long is gone

Its libraries come with the extra [ev]; without them this family can only say that they are missing.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from drivers.api import Bus, DeviceSpec, OptionFault, PortSpec
from drivers.ocpp_options import read_point, read_server

LIBRARIES: Final = ("ocpp", "websockets")
INSTALL: Final = "pip install 'gatectl[ev]'"


class Ocpp:
    """`drivers.api.ServerFamily`. `libraries` are what a site with chargers needs besides."""

    name = "ocpp"
    link = "ocpp"
    models: Sequence[str] = ("",)

    def __init__(self, libraries: Sequence[str] = LIBRARIES) -> None:
        self._libraries = libraries

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults: list[OptionFault] = []
        absent = [library for library in self._libraries if find_spec(library) is None]
        if absent:
            what = f"charge points need {' and '.join(absent)}, which this installation does not have"
            faults.append(OptionFault(f"ports.{port.name}", what, INSTALL))
        read_server(port, faults)
        known: dict[str, str] = {}
        for device in devices:
            where = f"devices.{device.name}"
            if device.model:
                faults.append(
                    OptionFault(f"{where}.model", f"{device.model!r} is not a model of ocpp", "leave `model` out")
                )
            identity = read_point(device, faults).identity
            if identity in known:
                what = f"{identity!r} is {known[identity]}'s identity"
                faults.append(OptionFault(f"{where}.identity", what, "an identity of its own"))
            known.setdefault(identity, device.name)
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        return {"": frozenset({"charger"})}

    def bus(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> Bus:
        """The central system for devices that were checked before."""
        from drivers.links.ocpp_server import OcppBus  # noqa: PLC0415  # its libraries are an extra

        faults: list[OptionFault] = []
        server = read_server(port, faults)
        points = [read_point(device, faults) for device in devices]
        assert not faults, faults
        return OcppBus(port.name, server, points)


family = Ocpp()
