"""The family of ESC/POS ticket printers: Epson TM, and Custom kiosk printers with an ejector. One printer a port."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from drivers.api import DeviceSpec, OptionFault, PortSpec, SerialEngine
from drivers.escpos_engine import EscposEngine
from drivers.escpos_profile import profiles
from drivers.options import Options, line_of, nearest, read_line

COLUMNS_MIN: Final = 24
COLUMNS_MAX: Final = 96


class EscposFamily:
    """`drivers.api.Family`. Options of a device: `columns`, `code_page`."""

    name = "escpos"
    link: Literal["serial", "mqtt"] = "serial"

    @property
    def models(self) -> Sequence[str]:
        return tuple(profiles())

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults: list[OptionFault] = []
        read_line(port, faults)
        faults += [OptionFault(f"devices.{d.name}.port", f"{port.name!r} has a printer already") for d in devices[1:]]
        for device in devices:
            profile = profiles().get(device.model)
            if profile is None:
                hint = nearest(device.model, profiles())
                faults.append(OptionFault(f"devices.{device.name}.model", f"{device.model!r} is no model", hint))
                profile = next(iter(profiles().values()))
            options = Options(f"devices.{device.name}", device.options, faults)
            options.integer("columns", profile.columns, COLUMNS_MIN, COLUMNS_MAX, "characters")
            options.one_of("code_page", profile.code_page, profile.code_pages)
            options.finish()
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        profile = profiles().get(device.model)
        if profile is not None and profile.mouth:
            return {"": frozenset({"print", "mouth", "retract"})}
        return {"": frozenset({"print"})}

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> SerialEngine:
        (device,) = devices
        profile = profiles()[device.model]
        return EscposEngine(device.name, profile, profile.style(device.options), line_of(port).wire_ms)


family = EscposFamily()
