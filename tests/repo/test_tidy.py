"""The habits of the repository that no linter checks: size, pure rules, whole numbers for money, words that must not appear."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("gatectl", "drivers", "sync", "config", "central")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
FROZEN = "central/migrations/versions/"
"""Migrations are never edited, so not for tidiness either."""
MONEY = ("gatectl/domain/", "sync/records.py", "central/db/")
"""Where money passes: whole minor units, no float."""
PURE = frozenset(
    {
        "abc",
        "base64",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fractions",
        "functools",
    }
    | {"hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re", "string", "struct", "types", "typing"}
    | {"zoneinfo"}
)
"""What the rules may import of the standard library: nothing that reads a clock, a disk, a socket or chance."""
DRAWS_BY_HAND = "gatectl/domain/diagrams.py"
"""Run by hand to draw docs/lanes; nothing imports it."""


@cache
def files() -> tuple[str, ...]:
    """What git keeps, or would: new files too, but nothing that is ignored or deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return tuple(sorted({name for name in listed if (ROOT / name).is_file()}))


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(text(name))


def product() -> list[str]:
    return [name for name in files() if name.endswith(".py") and name.startswith(ROOMS) and FROZEN not in name]


def python() -> list[str]:
    return [name for name in files() if name.endswith(".py") and FROZEN not in name]


def pages() -> list[str]:
    return [name for name in files() if name.endswith(".md")]


def imported(name: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports are banned"
            yield node.lineno, node.module


# -- size --------------------------------------------------------------------------------------------------------------


def test_the_rooms_are_found() -> None:
    """The other tests look at something."""
    assert set(ROOMS) == {name.partition("/")[0] for name in product()}
    assert len(product()) > 100


def test_a_function_fits_on_a_screen() -> None:
    """At most 70 lines from `def` to its end."""
    long = [
        f"{name}:{node.lineno} {node.name}: {lines} lines"
        for name in product()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert [] == long


def test_a_file_has_one_idea() -> None:
    """At most 600 lines."""
    assert [] == [name for name in product() if len(text(name).splitlines()) > FILE_LINES_MAX]


def test_packages_begin_empty_and_tests_are_no_packages() -> None:
    """An `__init__.py` holds nothing but the version, so that importing one module imports no other."""
    inits = [name for name in files() if name.endswith("__init__.py")]

    assert [] == [name for name in inits if name.startswith("tests/")]
    assert ["gatectl/__init__.py"] == [name for name in inits if text(name).strip()]


# -- exceptions have reasons -------------------------------------------------------------------------------------------


def test_every_silenced_finding_has_its_reason() -> None:
    """`# noqa: X  # why` and `# type: ignore[x]  # why`; neither without a code."""
    pattern = re.compile(
        r"#\s*(noqa|type:\s*ignore)(?P<code>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[a-z-]+(?:,\s*[a-z-]+)*\])?(?P<rest>.*)"
    )
    bare = [
        f"{name}:{number} {line.strip()}"
        for name in python()
        if name != "tests/repo/test_tidy.py"
        for number, line in enumerate(text(name).splitlines(), 1)
        if (found := pattern.search(line)) and not (found["code"] and re.search(r"[#-]\s*\w", found["rest"]))
    ]

    assert [] == bare


# -- pure rules, whole money -------------------------------------------------------------------------------------------


def test_the_rules_import_nothing_that_does_something() -> None:
    """`gatectl.domain` knows the standard library's pure half and itself: no clock, disk, socket, thread, log, chance."""
    foreign = [
        f"{name}:{line} {module}"
        for name in product()
        if name.startswith("gatectl/domain/") and name != DRAWS_BY_HAND
        for line, module in imported(name)
        if module.partition(".")[0] not in PURE and not module.startswith("gatectl.domain")
    ]

    assert [] == foreign


def test_the_rules_never_ask_what_time_it_is() -> None:
    """`now` is an argument. `datetime.now` and its kin read the clock."""
    asking = [
        f"{name}:{node.lineno} .{node.attr}"
        for name in product()
        if name.startswith("gatectl/domain/")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    ]

    assert [] == asking


def without_isinstance(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, but for questions what something is."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "isinstance"):
            yield child
            yield from without_isinstance(child)


def test_no_float_touches_money() -> None:
    """Amounts are whole minor units: where money passes no value is a float and none is made one, but to refuse it."""
    floats = [
        f"{name}:{node.lineno}"
        for name in product()
        if name.startswith(MONEY)
        for node in without_isinstance(tree(name))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]

    assert [] == floats


def test_modules_are_named_where_they_are_imported() -> None:
    """Loading by name is invisible to the import contracts; entry points are loaded in one place."""
    loading = [
        name
        for name in product()
        if re.search(r"\bimport_module\(|__import__\(|\bentry_points\(|\brunpy\b", text(name))
        and name != "drivers/catalog.py"
    ]

    assert [] == loading


# -- promises kept in code ---------------------------------------------------------------------------------------------


def test_every_driver_loads() -> None:
    """Each entry point of `pyproject.toml` is a family of its own name."""
    import tomllib

    named = tomllib.loads(text("pyproject.toml"))["project"]["entry-points"]["gatectl.drivers"]
    installed = {point.name: point for point in entry_points(group="gatectl.drivers")}

    assert set(named) == set(installed), "install again: make"
    assert set(named) == {point.load().name for point in installed.values()}


def test_every_driver_has_its_contract_test() -> None:
    """A family that no test puts on a bad wire is not a driver."""
    tests = "".join(text(name) for name in files() if name.startswith("tests/drivers/"))

    for point in entry_points(group="gatectl.drivers"):
        assert point.value.partition(":")[0] in tests, point.name


# -- words that must not appear ----------------------------------------------------------------------------------------


def forbidden() -> list[str]:
    """Put together here, so that this file does not hold them."""
    hosts = [
        "py" + "pi.org",
        "python" + "hosted.org",
        "registry.npm" + "js.org",
        "npm" + "mirror",
        "registry.yarn" + "pkg",
    ]
    places = [
        "/wo" + "rk/",
        "sub" + "agent",
        "notes/" + "devices",
        "notes/" + "field",
        "notes/" + "sync",
        "../sha" + "red",
    ]
    people = ["co-authored" + "-by", "generated " + "with", "lan" + "guage model", "lorem " + "ipsum"]
    return [*hosts, *places, *people]


@pytest.mark.parametrize("word", forbidden())
def test_it_is_nowhere(word: str) -> None:
    """Addresses of registries, names of where this was written, and left-overs are in no file."""
    assert [] == [name for name in files() if word.lower() in text(name).lower()]


def test_nothing_is_left_to_do() -> None:
    """What is not done is an issue, not a comment."""
    marks = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", "Not" + "ImplementedError"]))

    assert [] == [name for name in python() if marks.search(text(name))]


# -- documents ---------------------------------------------------------------------------------------------------------


def outside_fences(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", text(page), flags=re.S | re.M)


def slug(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_a_page_has_one_title() -> None:
    """On its first line."""
    for page in pages():
        titles = re.findall(r"^# .+$", outside_fences(page), flags=re.M)
        assert [text(page).splitlines()[0]] == titles, page


def test_no_link_is_dead() -> None:
    """Links inside the repository lead to a file, and to a heading in it if they say so."""
    dead = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", outside_fences(page)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (ROOT / page).parent / file if file else ROOT / page
            if not path.exists():
                dead.append(f"{page}: {target}")
            elif anchor:
                headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
                dead += [] if anchor in map(slug, headings) else [f"{page}: {target}"]

    assert [] == dead


def test_pages_about_the_house_name_tests_that_exist() -> None:
    """`tests/...py::name` in a page is a test that somebody can run."""
    wrong = []
    for page in pages():
        for file, name in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text(page)):
            if file not in files() or (name and not re.search(rf"def {name}\(", text(file))):
                wrong.append(f"{page}: {file}::{name}")

    assert [] == wrong


def test_python_is_the_one_that_is_promised() -> None:
    """What runs here is what pyproject.toml allows."""
    import tomllib

    least = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]

    assert ">=3.11" == least
    assert sys.version_info >= (3, 11)
