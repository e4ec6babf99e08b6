"""Site files of every shape, for rehearsals: written by a table of lanes."""

from dataclasses import dataclass

HEAD = """
[site]
id = "shape-01"
name = "Every Shape"
timezone = "Asia/Tokyo"
currency = "JPY"

[[tariffs]]
id = "flat-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "flat"
base_minor = 500
entry_grace_minutes = 2
exit_grace_minutes = 15
lost_ticket_minor = 1500
"""
_SAFE = '{ polarity = "normally-closed" }'


@dataclass(frozen=True)
class Shape:
    """One lane. `extra`: broken, door and fire contacts, as far as the module has inputs."""

    lane: str
    kind: str
    layout: str = "two-loop"
    area: str = "main"
    vehicle: str = "CAR"
    closes: bool = True
    terminal: bool = False
    extra: bool = True
    printer: str = "custom-kpm216"


def site_file(areas: dict[str, int], *lanes: Shape) -> str:
    """`areas`: spots of each type."""
    return HEAD + "".join(_area(*area) for area in areas.items()) + "".join(_lane(lane) for lane in lanes)


def _area(name: str, spots: int) -> str:
    types = ", ".join(f'{{ type = "{kind}", count = {spots} }}' for kind in ("COMPACT", "LARGE"))
    return f'\n[[areas]]\nid = "{name}"\nname = "{name}"\nlevels = [{{ level = 0, spots = [{types}] }}]\n'


def _lane(lane: Shape) -> str:
    module, whole = f"io-{lane.lane}", _whole(lane)
    inputs = {"arming": _SAFE, "closing": _SAFE}
    if lane.layout == "three-loop":
        inputs["reset"] = _SAFE
    if lane.layout != "no-limits":
        inputs |= {"arm_up": "{}", "arm_down": "{}"}
    if lane.kind == "entry":
        inputs["button"] = '{ mode = "pulse", shortest_ms = 150 }'
    if lane.extra:
        inputs |= dict.fromkeys(("broken", "door", "fire")[: 8 - len(inputs)], "{}")
    text = _device(module, "modbus-io", "waveshare-io-8ch", "serial", "address = 1")
    text += f"[devices.{module}.inputs]\n" + "".join(f"di{n} = {how}\n" for n, how in enumerate(inputs.values()))
    text += "".join(_device(*device) for device in whole.values())
    wiring = {role: f"{module}/di{n}" for n, role in enumerate(inputs)} | {"open": f"{module}/do0"}
    wiring |= {"close": f"{module}/do1"} if lane.closes else {}
    wiring |= {role: device[0] for role, device in whole.items()}
    return (
        text
        + (
            f'\n[[lanes]]\nid = "{lane.lane}"\nkind = "{lane.kind}"\nlayout = "{lane.layout}"\narea = "{lane.area}"\n'
            f'vehicle_type = "{lane.vehicle}"\n[lanes.wiring]\n'
        )
        + "".join(f'{role} = "{point}"\n' for role, point in wiring.items())
    )


def _whole(lane: Shape) -> dict[str, tuple[str, str, str, str, str]]:
    """The devices that play a role as a whole: name, driver, model, kind of port, further options."""
    found = {}
    if lane.kind == "entry":
        found["printer"] = (f"printer-{lane.lane}", "escpos", lane.printer, "serial", "")
    else:
        found["reader"] = (f"reader-{lane.lane}", "code-reader", "generic-line", "serial", "")
    if lane.terminal:
        found["terminal"] = (f"pay-{lane.lane}", "pay-mqtt", "terminal", "mqtt", "")
    return found


def _device(name: str, driver: str, model: str, kind: str, more: str) -> str:
    where = f'path = "/dev/{name}"' if kind == "serial" else 'host = "127.0.0.1"'
    return (
        f'\n[ports.port-{name}]\nkind = "{kind}"\n{where}\n\n[devices.{name}]\ndriver = "{driver}"\nmodel = "{model}"\n'
        f'port = "port-{name}"\n{more}\n'
    )
