"""The rules of the house, checked on the source: who may import whom, and what core may not do.

The rules are the tables below; a change of the architecture is a changed row.
Each rule is also shown to catch a module that breaks it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "errors": "",
    "libc": "",
    "places": "errors",
    "core": "errors",
    "core.model": "",
    "core.due": "",
    "core.order": "",
    "core.unchanged": "",
    "core.assign": "",
    "core.splice": "",
    "core.markdown": "core.model core.due core.splice core.unchanged",
    "core.toml": "core.model core.due core.reword core.splice errors",
    "core.reword": "core.assign",
    "core.replace": "core.order core.reword",
    "core.renumber": "core.reword",
    "core.detail": "core.order core.reword",
    "core.board": "core.model core.reword",
    "core.equal": "core.board core.model core.reword",
    "core.match": (
        "core.model core.board core.detail core.due core.equal core.renumber core.replace"
        " core.reword"
    ),
    "core.merge": "core.model core.due",
    "core.adopt": "core.model core.match core.merge",
    "core.plan": "core.model core.match core.order core.merge core.adopt core.unchanged",
    "core.remains": "core.model core.plan",
    "config": "core places errors",
    "file": "libc errors",
    "store": "core.model core.unchanged places errors",
    "api": "core.model errors places",
    "sync": "file store api core config places errors",
    "quick": "file places errors",
    "watch": "file errors",
    "control": "errors",
    "log": "errors",
    "show": "core errors",
    "daemon": "sync watch control config show log store file quick places libc errors",
    "sandbox": "errors",
    "cli": "api config control core daemon errors file libc log places quick sandbox show store"
    " sync watch",
    "__main__": "cli",
}
"""What of ours each part may import, besides itself and ``omisync.__version__``.

``file``, ``store`` and ``api`` do not know each other: ``sync`` joins them. The
sandbox shares nothing with the client it tests, or both would share a mistake.
"""

TYPES_TOO = {"show": "sync store"}
"""What a part may name in annotations beyond that (under ``TYPE_CHECKING``)."""

LIBRARIES = {
    "aiohttp": "api sandbox",
    "multidict": "api sandbox",
    "pydantic": "config api sandbox",
    "pydantic_core": "config api sandbox",
    "pyromark": "core.markdown",
    "rapidfuzz": "core.reword",
    "rich": "show",
    "structlog": "log",
    "tomli_w": "config",
    "tomlkit": "core.toml",
    "watchfiles": "watch",
    "yarl": "api",
}
"""Each library we import and the parts that may."""

LIBRARY_TYPES = {"structlog": "daemon"}
"""The parts that may name a library in annotations beyond that."""

STDLIB_OF_CORE = (
    "__future__ array bisect collections contextlib dataclasses datetime functools itertools math"
    " operator re tomllib typing unicodedata"
)
"""All of the standard library that deciding needs: no I/O, clock, chance, await or logging."""

IMPURE_NAMES = frozenset({"open", "print", "input", "hash", "id"})
"""Built-ins that core never calls: they speak, read, or differ from run to run."""

PURE_ENOUGH = {"core.unchanged": "hash"}
"""But here, where what they return is compared within one run only."""

IMPURE_METHODS = frozenset({"now", "utcnow", "today", "read_text", "read_bytes", "write_text"})
"""Methods that core never calls: they ask the clock or the disk."""

HEAVY = (
    "aiohttp asyncio multidict pydantic pydantic_core rapidfuzz rich structlog"
    " tomli_w tomlkit watchfiles yarl"
)
"""What takes 15 ms and more to import, so a run with nothing to do never does."""

QUICK = "__main__ cli cli.arguments cli.run errors file places quick store"
"""The modules, with all of ``core``, that such a run may load."""

MEANINGLESS = frozenset(
    {"common", "helper", "helpers", "manager", "misc", "tools", "util", "utils"}
)
"""Names that say where code was put, not what it is for."""

LENGTH_LIMIT = 450
"""Lines of a module that is still read in one go."""

LONGER = {
    "store": (600, "one schema and its transactions: what must change together stands together"),
}
"""The modules that may be longer: up to how many lines, and why."""

When: TypeAlias = Literal["load", "call", "types"]


class Module(NamedTuple):
    """One source file; ``name`` is dotted, without the leading ``omisync.``."""

    name: str
    path: str
    text: str
    tree: ast.Module


class Import(NamedTuple):
    """One imported module; ``when`` is it loaded: with its importer, in a function, or never."""

    target: str
    line: int
    when: When
    names: tuple[str, ...] = ()


class Breach(NamedTuple):
    """A line that breaks a rule."""

    path: str
    line: int
    what: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; rule: {self.rule}"


# Reading the source.


def module(path: str, text: str) -> Module:
    """Return the module at this path, relative to the repository."""
    dotted = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    name = dotted.removeprefix("omisync").removeprefix(".")
    return Module(name, path, text, ast.parse(text, path))


@cache
def ours() -> tuple[Module, ...]:
    """Return every module of omisync."""
    paths = sorted((ROOT / "omisync").rglob("*.py"))
    return tuple(module(p.relative_to(ROOT).as_posix(), p.read_text("utf-8")) for p in paths)


@cache
def imports(of: Module) -> list[Import]:
    """Return every import of a module, wherever it stands."""
    return [found for node, when in _walk(of.tree, "load") for found in _imported(node, when)]


def _walk(node: ast.AST, when: When) -> Iterator[tuple[ast.AST, When]]:
    """Yield all nodes below one, each with when it is executed."""
    for child in ast.iter_child_nodes(node):
        inner = when
        if when != "types":
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                inner = "call"
            elif isinstance(node, ast.If) and child in node.body and _is_for_types(node.test):
                inner = "types"
        yield child, inner
        yield from _walk(child, inner)


def _is_for_types(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _imported(node: ast.AST, when: When) -> Iterator[Import]:
    """Yield the modules that a node imports; ``from omisync import x`` is the module x."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, when)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        inside = {alias.name for alias in node.names if is_module(f"{base}.{alias.name}")}
        for name in sorted(inside):
            yield Import(f"{base}.{name}", node.lineno, when)
        if names := tuple(alias.name for alias in node.names if alias.name not in inside):
            yield Import(base, node.lineno, when, names)


def is_module(dotted: str) -> bool:
    """Return whether this is a module of ours and not a name in one."""
    place = ROOT.joinpath(*dotted.split("."))
    there = place.is_dir() or place.with_suffix(".py").is_file()
    return dotted.startswith("omisync.") and there


def within(name: str, parts: str | Iterable[str]) -> bool:
    """Return whether a dotted name is one of these parts or below one."""
    parts = parts.split() if isinstance(parts, str) else parts
    return any(name == part or name.startswith(f"{part}.") for part in parts)


# The rules. Each takes modules and returns the breaches.


def wrong_direction(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield imports between our parts that no row of ``MAY_IMPORT`` allows."""
    for of in modules:
        row = row_of(of.name)
        if row is None:
            if of.name:
                yield Breach(of.path, 1, "is new", "each part has a row in MAY_IMPORT")
            continue
        allowed = f"{row} {MAY_IMPORT[row]}"
        for found in imports(of):
            target = found.target.removeprefix("omisync").removeprefix(".")
            if not within(found.target, "omisync") or (not target and not within(row, "core")):
                continue
            also = TYPES_TOO.get(row, "") if found.when == "types" else ""
            if not within(target, f"{allowed} {also}"):
                rule = f"{row} may import of ours only: {MAY_IMPORT[row] or 'nothing'}"
                if row in TYPES_TOO:
                    rule += f" (for types also: {TYPES_TOO[row]})"
                yield Breach(of.path, found.line, f"imports {found.target} ({found.when})", rule)


def row_of(name: str) -> str | None:
    """Return the row of ``MAY_IMPORT`` for a module: the nearest one above, never bare core."""
    rows = [row for row in MAY_IMPORT if within(name, [row])]
    best = max(rows, key=len, default=None)
    return None if best == "core" != name else best


def wrong_library(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield imports of libraries outside of the parts that ``LIBRARIES`` names."""
    for of in modules:
        for found in imports(of):
            top = found.target.split(".")[0]
            if top == "omisync" or top in sys.stdlib_module_names:
                continue
            allowed = LIBRARIES.get(top, "")
            if found.when == "types":
                allowed += " " + LIBRARY_TYPES.get(top, "")
            if not within(of.name, allowed):
                rule = f"{top} only in: {LIBRARIES.get(top, 'no part, it has no row in LIBRARIES')}"
                yield Breach(of.path, found.line, f"imports {found.target} ({found.when})", rule)


def relative_or_private(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield relative imports, and imports of another module's private names."""
    for of in modules:
        for found in imports(of):
            if found.target.startswith("."):
                yield Breach(of.path, found.line, f"imports {found.target}", "imports are absolute")
            last = found.target.split(".")[-1]
            secret = [n for n in (*found.names, last) if re.match(r"_(?!_)", n)]
            if secret and within(found.target, "omisync"):
                what = f"imports {secret[0]} of {found.target}"
                yield Breach(of.path, found.line, what, "a private name stays in its module")


def hidden_imports(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield imports by name, which the other rules cannot see. ``cli`` loads its commands so."""
    for of in modules:
        for node, _ in _walk(of.tree, "load"):
            if isinstance(node, ast.Call) and not within(of.name, "cli"):
                called = ast.unparse(node.func).split(".")[-1]
                if called in {"import_module", "__import__"}:
                    rule = "only cli imports by name, and only its own commands"
                    yield Breach(of.path, node.lineno, f"calls {called}", rule)


def impure_core(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield what would make core depend on more than its arguments."""
    for of in modules:
        if not within(of.name, "core"):
            continue
        for found in imports(of):
            top = found.target.split(".")[0]
            if top in sys.stdlib_module_names and top not in STDLIB_OF_CORE.split():
                rule = f"core uses of the standard library only {STDLIB_OF_CORE}"
                yield Breach(of.path, found.line, f"imports {found.target}", rule)
        yield from _impure_nodes(of)


def _impure_nodes(of: Module) -> Iterator[Breach]:
    rule = "core has no I/O, clock, chance or await"
    for node, _ in _walk(of.tree, "load"):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.split(".")[-1] if isinstance(node.func, ast.Attribute) else ""
            of_this_machine = last == "astimezone" and not node.args
            speaks = name in IMPURE_NAMES and name != PURE_ENOUGH.get(of.name)
            if last in IMPURE_METHODS or speaks or of_this_machine:
                yield Breach(of.path, node.lineno, f"calls {name}()", rule)
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global):
            yield Breach(of.path, node.lineno, f"has {type(node).__name__}", rule)


def heavy_at_load(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield heavy imports that a run with nothing to do would cause, with the way there."""
    known = {of.name: of for of in modules}
    way = {name: name for name in known if name in QUICK.split() or within(name, "core")}
    waiting = list(way)
    while waiting:
        of = known[waiting.pop()]
        for found in (found for found in imports(of) if found.when == "load"):
            top = found.target.split(".")[0]
            if top in HEAVY.split():
                rule = f"a run with nothing to do loads {way[of.name]}: nothing heavy there"
                yield Breach(of.path, found.line, f"imports {found.target} when loaded", rule)
            for name in _loaded(found.target, known):
                if name not in way:
                    way[name] = f"{way[of.name]} -> {name}"
                    waiting.append(name)


def _loaded(target: str, known: Mapping[str, Module]) -> list[str]:
    """Return those of our modules that importing one loads: itself and the packages above."""
    steps = target.split(".")[1:] if within(target, "omisync") else []
    names = [".".join(steps[: end + 1]) for end in range(len(steps))]
    return [name for name in names if name in known]


def cycles(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield the modules that import each other in a ring, in functions too."""
    known = {of.name: of for of in modules}
    lines: dict[str, dict[str, int]] = {}
    for of in known.values():
        for found in imports(of):
            if found.when != "types" and within(found.target, "omisync"):
                target = found.target.removeprefix("omisync").removeprefix(".")
                lines.setdefault(of.name, {})[target] = found.line
    try:
        TopologicalSorter({name: set(to) for name, to in lines.items()}).prepare()
    except CycleError as error:
        ring = error.args[1][::-1]
        line = lines[ring[0]][ring[1]]
        yield Breach(known[ring[0]].path, line, f"imports {' -> '.join(ring)}", "no import cycles")


def bad_names_and_lengths(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield modules without a meaning in their name or a docstring, and those too long."""
    for of in modules:
        if MEANINGLESS & set(of.name.split(".")):
            yield Breach(of.path, 1, f"is called {of.name}", "a name says what the module is for")
        if not ast.get_docstring(of.tree):
            yield Breach(of.path, 1, "has no docstring", "a module says what it decides or does")
        limit, _ = LONGER.get(of.name, (LENGTH_LIMIT, ""))
        if (length := of.text.count("\n")) > limit:
            yield Breach(of.path, length, f"has {length} lines", f"at most {limit} lines")


def not_on_the_map(modules: Iterable[Module]) -> Iterator[Breach]:
    """Yield differences between the map in ``omisync/__init__.py`` and what is there."""
    known = {of.name: of for of in modules}
    text = ast.get_docstring(known[""].tree) or ""
    shown = re.findall(r"^- ``(\w+)``", text, re.MULTILINE)
    there = {name.split(".")[0] for name in known} - {"", "__main__"}
    for name in sorted(there ^ set(shown)):
        what = f"{'does not show' if name in there else 'shows a missing'} {name}"
        yield Breach("omisync/__init__.py", 1, what, "the map shows each part that exists")


RULES = (
    wrong_direction,
    wrong_library,
    relative_or_private,
    hidden_imports,
    impure_core,
    heavy_at_load,
    cycles,
    bad_names_and_lengths,
    not_on_the_map,
)

# The claims.


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: object) -> None:
    """No line of omisync breaks this rule."""
    assert callable(rule)
    breaches = [str(breach) for breach in rule(ours())]
    assert not breaches, "\n" + "\n".join(breaches)


BREAKING = [
    ("core/plan.py", "import sqlite3", "impure_core", "imports sqlite3"),
    ("core/plan.py", "from time import monotonic", "impure_core", "imports time"),
    ("core/merge.py", "def f():\n    import random", "impure_core", "imports random"),
    ("core/due.py", "text = open('x')", "impure_core", "calls open()"),
    ("core/due.py", "def f(d):\n    return d.now()", "impure_core", "calls d.now()"),
    ("core/due.py", "def f(d):\n    return d.astimezone()", "impure_core", "d.astimezone()"),
    ("core/due.py", "async def f(): pass", "impure_core", "has AsyncFunctionDef"),
    ("core/match.py", "from omisync.core import plan", "wrong_direction", "imports omisync.core"),
    ("core/model.py", "from omisync import __version__", "wrong_direction", "imports omisync"),
    ("core/plan.py", "from omisync.store import Store", "wrong_direction", "imports omisync.store"),
    ("core/fresh.py", "x = 1", "wrong_direction", "is new"),
    ("fresh.py", "x = 1", "wrong_direction", "is new"),
    ("errors.py", "from omisync import places", "wrong_direction", "imports omisync.places"),
    ("places.py", "def f():\n    import omisync.config", "wrong_direction", "(call)"),
    ("store.py", "from omisync import api", "wrong_direction", "imports omisync.api"),
    ("store.py", "from omisync.core import plan", "wrong_direction", "imports omisync.core.plan"),
    ("api/wire.py", "import omisync.file as f", "wrong_direction", "imports omisync.file"),
    ("file/reading.py", "from omisync import store", "wrong_direction", "imports omisync.store"),
    ("sync/cycle.py", "from omisync import show", "wrong_direction", "imports omisync.show"),
    ("sync/cycle.py", "if TYPE_CHECKING:\n    from omisync.daemon import x", "wrong_direction",
     "imports omisync.daemon (types)"),
    ("show/plans.py", "from omisync.sync import Outcome", "wrong_direction",
     "imports omisync.sync (load)"),
    ("sandbox/server.py", "from omisync.api import wire", "wrong_direction", "imports omisync.api"),
    ("sandbox/server.py", "from omisync import store", "wrong_direction", "imports omisync.store"),
    ("sync/cycle.py", "import aiohttp", "wrong_library", "imports aiohttp"),
    ("core/model.py", "from pydantic import BaseModel", "wrong_library", "imports pydantic"),
    ("daemon/serve.py", "import structlog", "wrong_library", "imports structlog (load)"),
    ("daemon/serve.py", "def f():\n    import watchfiles", "wrong_library", "imports watchfiles"),
    ("cli/care.py", "def f():\n    import rich.table", "wrong_library", "imports rich.table"),
    ("cli/care.py", "import requests", "wrong_library", "imports requests"),
    ("sync/cycle.py", "from . import desk", "relative_or_private", "imports ."),
    ("sync/cycle.py", "from omisync.sync.desk import _x", "relative_or_private", "imports _x"),
    ("sync/cycle.py", "__import__('aiohttp')", "hidden_imports", "calls __import__"),
    ("store.py", "import asyncio", "heavy_at_load", "imports asyncio"),
    ("core/reword.py", "from rapidfuzz import fuzz", "heavy_at_load", "imports rapidfuzz"),
    ("cli/run.py", "from omisync import config", "heavy_at_load", "imports pydantic"),
    ("errors.py", "def f():\n    from omisync.sync import cycle", "cycles", " -> "),
    ("sync/utils.py", '"""Things."""', "bad_names_and_lengths", "is called sync.utils"),
    ("core/due.py", "x = 1", "bad_names_and_lengths", "has no docstring"),
    ("core/due.py", '"""Due."""' + "\n" * 451, "bad_names_and_lengths", "has 451 lines"),
    ("fresh.py", "x = 1", "not_on_the_map", "does not show fresh"),
    ("__init__.py", '"""- ``ghost`` no more."""', "not_on_the_map", "shows a missing ghost"),
]  # fmt: skip  # a table: path, source, the rule it breaks, what is said


@pytest.mark.parametrize(("path", "text", "rule", "said"), BREAKING)
def test_a_breach_is_found(path: str, text: str, rule: str, said: str) -> None:
    """A module that breaks the rule, put among ours, is named with its line."""
    others = [of for of in ours() if of.path != f"omisync/{path}"]
    check = next(check for check in RULES if check.__name__ == rule)
    breaches = [str(found) for found in check([*others, module(f"omisync/{path}", text)])]
    assert any(said in breach for breach in breaches), breaches
    assert all(re.match(r"omisync/[\w/]+\.py:\d+: .+; rule: .+", breach) for breach in breaches)


ALLOWED = [
    ("show/plans.py", "if TYPE_CHECKING:\n    from omisync.sync import Outcome"),
    ("daemon/serve.py", "if typing.TYPE_CHECKING:\n    import structlog"),
    ("store.py", "def f():\n    from omisync.core.model import Task\n    import asyncio"),
    ("core/due.py", "from datetime import time\nx = time.max"),
    ("sync/cycle.py", "from omisync import __version__, file"),
]


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_no_false_alarm(path: str, text: str) -> None:
    """What the tables allow is not reported."""
    one = [module(f"omisync/{path}", text)]
    rules = (wrong_direction, wrong_library, relative_or_private, impure_core, heavy_at_load)
    assert [str(breach) for rule in rules for breach in rule(one)] == []


def test_the_tables_name_only_what_exists() -> None:
    """A row for a part that is gone, or a limit no module needs, is removed."""
    names = {of.name: of for of in ours()}
    words = " ".join([*MAY_IMPORT, *MAY_IMPORT.values(), *LIBRARIES.values(), *TYPES_TOO.values()])
    assert set(words.split()) | set(QUICK.split()) <= set(names)
    used = {found.target.split(".")[0] for of in names.values() for found in imports(of)}
    assert set(LIBRARIES) <= used
    assert [name for name in LONGER if names[name].text.count("\n") <= LENGTH_LIMIT] == []


def test_loading_the_quick_path_loads_nothing_heavy() -> None:
    """What a run with nothing to do imports brings no heavy library along, not even indirectly."""
    loaded = [f"omisync.{name}" for name in QUICK.split() if name != "__main__"]
    script = f"import sys, {', '.join(loaded)}; print(*(set({HEAVY.split()!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == []
