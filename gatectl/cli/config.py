"""`gatectl config`: is the site file good, what is in force, where does a value come from."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit

if TYPE_CHECKING:
    from config.faults import Fault
    from config.site import Site


@click.group()
def config() -> None:
    """Check the site file; say where a value comes from."""


@config.command()
@json_option
@pass_places
@click.pass_context
def check(ctx: click.Context, places: Places, as_json: bool) -> None:
    """Every mistake in the site file and its drop-ins at once, each with its place. Changes nothing."""
    site, faults = checked(places.config)
    summary: dict[str, Any] = {}
    if site is not None:
        summary = {
            "site": site.site.id,
            "lanes": len(site.lanes),
            "devices": len(site.devices),
            "digest": site.digest(),
        }
    if as_json:
        plain = [fault.plain() for fault in faults]
        emit(
            {
                "schema": "gatectl.config-check/1",
                "file": str(places.config),
                "ok": not faults,
                "faults": plain,
                **summary,
            }
        )
        ctx.exit(1 if faults else 0)
    if not faults:
        click.echo(
            f"{places.config}: good. Site {summary['site']}, {summary['lanes']} lanes, {summary['devices']} devices."
        )
        click.echo("It takes effect with: systemctl restart gatectl")
        return
    raise refused(places.config, faults)


def checked(path: Path) -> "tuple[Site | None, list[Fault]]":
    """The site in a file, and every mistake in the file and its drop-ins: `[daemon]` and the rest."""
    from config.faults import SiteFileRefused
    from config.settings import Settings
    from gatectl.runtime.site_check import load_checked

    site: Site | None = None
    faults: list[Fault] = []
    try:
        site = load_checked(path)
    except SiteFileRefused as refusal:
        faults += refusal.faults
    try:
        Settings.load(config=path)
    except SiteFileRefused as refusal:
        faults += [fault for fault in refusal.faults if fault not in faults]
    return site, faults


def refused(path: Path, faults: "list[Fault]") -> CommandFailed:
    """Tells every fault on stdout; returns what to raise."""
    for fault in faults:
        click.echo(fault.text())
    many = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
    return CommandFailed("E-CFG-01", f"{path}: {many}.", cause="Each is listed with its place.")


@config.command()
@json_option
@pass_places
def show(places: Places, as_json: bool) -> None:
    """Everything in force: settings with their source, then the site."""
    settings, site = _loaded(places)
    if as_json:
        plain = {row.key: {"value": _plain(row.value), "source": row.source} for row in settings}
        emit({"schema": "gatectl.config/1", "settings": plain, "site": site})
        return
    for row in settings:
        click.echo(f"daemon.{row.key} = {_text(row.value)}  # {row.source}")
    for key, value in _flat(site):
        click.echo(f"{key} = {_text(value)}")


@config.command()
@click.argument("key")
@json_option
@pass_places
def explain(places: Places, key: str, as_json: bool) -> None:
    """The value of KEY and where it comes from: state_dir, site.timezone, lanes[0].wiring.closing ..."""
    from config.files import read_tables

    settings, site = _loaded(places)
    short = key.removeprefix("daemon.")
    found = next((row for row in settings if row.key == short), None)
    if found is not None:
        value, source = _plain(found.value), found.source
    else:
        values = dict(_flat(site))
        if key not in values:
            from config.faults import did_you_mean

            known = [*values, *(row.key for row in settings)]
            raise CommandFailed("E-NOT-01", f"there is no key {key!r}. {did_you_mean(key, known)}".strip())
        value = values[key]
        source = _source(read_tables(places.config), key)
    if as_json:
        emit({"schema": "gatectl.config-value/1", "key": key, "value": value, "source": source})
    else:
        click.echo(f"{key} = {_text(value)}\nfrom {source}")


def _loaded(places: Places) -> tuple[list[Any], dict[str, Any]]:
    from config.faults import SiteFileRefused
    from config.settings import Settings
    from config.site import load_site

    try:
        site = load_site(places.config).model_dump(mode="json")
        for table in (*site["ports"].values(), *site["devices"].values()):
            table.update(table.pop("options"))  # as they stand in the file
        return Settings.explained(config=places.config), site
    except SiteFileRefused as refused:
        data = {"faults": [fault.plain() for fault in refused.faults]}
        raise CommandFailed("E-CFG-01", str(refused), data=data) from None


def _source(tables: Any, key: str) -> str:
    """The line where a key of the site stands, or "default"."""
    value: Any = tables.values
    parts: tuple[str | int, ...] = ()
    for part in _parts(key):
        inside = isinstance(value, Mapping) and part in value
        inside = inside or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        if not inside:
            return "default"
        value, parts = value[part], (*parts, part)
    file, line = tables.place(parts)
    return f"{file}:{line}" if line else str(file)


def _parts(key: str) -> Iterator[str | int]:
    for piece in key.split("."):
        name, *indices = piece.replace("]", "").split("[")
        yield name
        yield from (int(index) for index in indices if index.isdigit())


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(item, f"{key}[{index}]")
    elif value is not None:
        yield key, value


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _text(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False) if not isinstance(value, dict | list) else json.dumps(value)
