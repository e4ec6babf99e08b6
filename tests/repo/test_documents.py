"""What the pages say, held against the code: the README's site file, tables of codes, keys, schemas, limits."""

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from central.cli import app as central
from config.settings import Settings
from config.site import Site, Wiring
from gatectl.cli.main import app
from gatectl.domain.codes import EXITS
from gatectl.domain.lane import Timing
from sync import records

ROOT = Path(__file__).parents[2]


@cache
def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(name: str, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page(name), flags=re.S | re.M)


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*prefix, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


# -- the README --------------------------------------------------------------------------------------------------------


def test_the_two_commands_come_first() -> None:
    """A newcomer's first lines."""
    first = [line.split("#")[0].strip() for line in fences("README.md")[0].splitlines()]

    assert ["make demo", "make test"] == first
    for line in first:
        assert re.search(rf"^{line.removeprefix('make ')}:", page("Makefile"), flags=re.M)


def test_the_readmes_site_file_is_good(tmp_path: Path) -> None:
    """Copied out of the page, checked as a technician would."""
    (file,) = fences("README.md", "toml")
    (tmp_path / "site.toml").write_text(file)

    result = CliRunner().invoke(app, ["--config", str(tmp_path / "site.toml"), "config", "check"])

    assert (0, "") == (result.exit_code, result.stderr)
    assert "harbour-01, 2 lanes" in result.stdout


@pytest.mark.parametrize("name", ["README.md", "docs/install.md", "docs/cli.md", "CHANGELOG.md"])
def test_commands_in_the_pages_exist(name: str) -> None:
    """Each `gatectl ...` in a fence is a command with known options."""
    roots = {"gatectl": app, "gatectl-central": central}
    for line in "".join(fences(name)).splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["sudo", "-u"]:
            words = words[3:]
        if not words or words[0] not in roots:
            continue
        command: click.Command = roots[words[0]]
        known = {option for param in command.params for option in param.opts}
        rest = words[1:]
        while rest and isinstance(command, click.Group):
            word = rest.pop(0)
            if word.startswith("-"):
                assert word in known, line
                rest.pop(0)
                continue
            found = command.get_command(click.Context(command), word)
            assert found is not None, line
            command = found
        known = {option for param in command.params for option in param.opts}
        assert {word for word in rest if word.startswith("-")} <= known, line


def test_the_licences_of_the_demand_are_named() -> None:
    """Both, where the data is used and in the README."""
    data = next((ROOT / "gatectl/world/data").glob("*.csv")).read_text()

    for text in (data, page("README.md")):
        assert "Open Government Licence v3.0" in text
        assert "CC BY 4.0" in text


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [app, central], ids=["gatectl", "gatectl-central"])
def test_every_command_and_option_has_help(group: click.Group) -> None:
    """`--help` works everywhere and says something."""
    for words, command in commands(group):
        result = CliRunner().invoke(group, [*words, "--help"], prog_name="x")
        assert 0 == result.exit_code, words
        assert command.help, words


def test_exit_codes_are_those_of_the_page() -> None:
    """The table is the promise; the code keeps it."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page("docs/cli.md"), flags=re.M)

    assert {str(int(code)): meaning for code, meaning in EXITS.items()} == dict(rows)


def test_schemas_are_those_of_the_page() -> None:
    """Each that a command of the site prints has its row, and no other."""
    told = set(re.findall(r"`(gatectl\.[a-z]+/\d)`", page("docs/cli.md")))
    printed = set()
    result = ROOT / "gatectl/world/simulation.py"
    for source in (*(ROOT / "gatectl/cli").glob("*.py"), *(ROOT / "gatectl/demo").glob("*.py"), result):
        printed |= set(re.findall(r'"(gatectl\.[a-z]+/\d)"', source.read_text()))
    inner = {"gatectl.payments/1"}

    assert set() == told - printed - desk_schemas()
    assert set() == printed - told - inner


def desk_schemas() -> set[str]:
    """What the daemon answers and a command passes on."""
    files = (*(ROOT / "gatectl/runtime").glob("*.py"), *(ROOT / "gatectl/store").glob("*.py"))
    return {name for file in files for name in re.findall(r'"(gatectl\.[a-z]+/\d)"', file.read_text())}


# -- the site file -----------------------------------------------------------------------------------------------------


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those inside its fields."""
    yield model
    for field in model.model_fields.values():
        todo = [field.annotation]
        while todo:
            hint = todo.pop()
            todo += get_args(hint)
            if inspect.isclass(hint) and issubclass(hint, BaseModel):
                yield from models(hint)


def named(keys: set[str], where: str) -> set[str]:
    return {key for key in keys if f"`{key}`" not in page(where) and f"{key} =" not in page(where)}


def test_every_key_of_the_site_file_is_on_the_page() -> None:
    """What config reads."""
    fields = [(name, field) for model in models(Site) for name, field in model.model_fields.items()]
    keys = {field.alias or name for name, field in fields} - {"options"} - set(Site.model_fields)
    tables = {f"[{name}" for name in Site.model_fields}

    assert set() == named(keys | set(Settings.model_fields) - {"config"}, "docs/site-file.md")
    assert {name for name in tables if name not in page("docs/site-file.md")} == set()


def test_every_option_of_the_drivers_is_on_the_page() -> None:
    """What drivers and links read of their tables, and which models there are."""
    from importlib.metadata import entry_points

    reading = re.compile(
        r"(?:options|output|inner)\.(?:text|integer|boolean|table|one_of|one_of_numbers)\(\s*\"(\w+)\""
        r"|_optional\(\w+, \"(\w+)\"|read_topic\(\w+, \"(\w+)\""
    )
    keys = {
        next(filter(None, found))
        for file in (ROOT / "drivers").glob("*.py")
        for found in reading.findall(file.read_text())
    }
    assert len(keys) > 20
    families = [point.load() for point in entry_points(group="gatectl.drivers")]

    assert set() == named(keys, "docs/site-file.md")
    assert set() == named({model for family in families for model in family.models}, "docs/site-file.md")
    assert {family.name for family in families if f"### {family.name}\n" not in page("docs/site-file.md")} == set()


def test_the_waits_of_a_lane_are_those_of_the_page() -> None:
    """Each with the default that the domain has."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page("docs/site-file.md"), flags=re.M))
    told = {key: int(value) for key, value in rows.items() if key in Timing.__dataclass_fields__}

    assert {name: field.default for name, field in Timing.__dataclass_fields__.items()} == told


def test_the_roles_are_those_of_the_page() -> None:
    """Every role that a point can play, and no other."""
    section = page("docs/site-file.md").partition("### [lanes.wiring]")[2].partition("###")[0]
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    told = {role for row in rows for role in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert set(Wiring.model_fields) == told


# -- the wire to the office --------------------------------------------------------------------------------------------


def test_the_protocol_page_names_what_is_sent() -> None:
    """Every message, limit and problem of sync.records."""
    text = page("docs/sync-protocol.md")
    messages = {
        found.schema
        for found in vars(records).values()
        if inspect.isclass(found) and issubclass(found, records.Message) and found is not records.Message
    }
    numbers = {records.BATCH_RECORDS_MAX, records.BATCH_BYTES_MAX, records.BODY_BYTES_MAX, records.FEED_ROWS_MAX}
    assert records.__doc__
    problems = set(re.findall(r"\b4\d\d ([a-z]+(?:-[a-z]+)*)\b", records.__doc__))

    assert {name for name in messages if name not in text} == set()
    assert {number for number in numbers if not re.search(rf"\b{number}\b", text)} == set()
    assert {name for name in problems if f"`{name}`" not in text} == set()


def test_every_address_of_the_office_is_on_the_page() -> None:
    """As the docstring of sync.records lists them."""
    assert records.__doc__
    addresses = re.findall(r"^ {4}(?:GET|PUT|POST) +(/\S+?)(?:\?\S*)?(?: |$)", records.__doc__, flags=re.M)
    assert len(addresses) >= 8

    assert {address for address in addresses if f"/sync/v1{address}" not in page("docs/sync-protocol.md")} == set()


def test_the_version_is_one() -> None:
    """pyproject.toml and the package agree."""
    from gatectl import __version__

    assert tomllib.loads(page("pyproject.toml"))["project"]["version"] == __version__
