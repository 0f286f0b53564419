"""What is handed out: the version, the wheel, the sdist, and that the README tells the truth."""

from __future__ import annotations

import ast
import email
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from functools import cache
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hatchling import build as hatch

import omisync
from omisync import cli, config, errors
from omisync.cli import arguments
from omisync.core import toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
VERSION = omisync.__version__

SHELL = {"sh", "bash", "shell", "console"}
"""The languages of a code block that a person copies into a terminal."""

FOREIGN = [
    "/".join(parts)
    for parts in (
        ("", "work", ""),
        ("", "root", ""),
        ("", "home", "runner"),
        ("", "Users", ""),
    )
] + [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("deb", "debian"))]
"""What only one machine or one network has; said in parts, for this file is searched too."""

TEXT = {".cfg", ".json", ".md", ".py", ".service", ".timer", ".toml", ".typed", ".yml", ".yaml", ""}
"""The endings of text files."""


class Block(NamedTuple):
    """A fenced code block of the README; ``line`` is where its content begins, 1-based."""

    language: str
    text: str
    line: int


def sources() -> list[Path]:
    """Return every text file of the repository that is not made by a tool."""
    tops = [ROOT / name for name in ("omisync", "tests", "systemd", ".ci")]
    below = [path for top in tops for path in top.rglob("*")]
    return sorted(
        path
        for path in (*ROOT.iterdir(), *below)
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts
    )


# The version.


def test_the_version_is_one() -> None:
    """The package, its metadata and ``--version`` name the same version."""
    said = subprocess.run(
        [sys.executable, "-m", "omisync", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert said.stdout == f"omisync {VERSION}\n"
    assert distribution("omisync").version == VERSION


def test_the_changelog_tells_of_this_version() -> None:
    """Its newest section, but for what is not released yet, is of this version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[?([\w.]+)", text, re.MULTILINE)
    assert [name for name in sections if name != "Unreleased"][:1] == [VERSION]


def test_the_command_is_installed() -> None:
    """``omisync`` on the command line is the main function."""
    (command,) = entry_points(group="console_scripts", name="omisync")
    assert command.load() is cli.main


# The wheel and the sdist.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The wheel and the sdist, built from this folder."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield folder / hatch.build_wheel(str(folder)), folder / hatch.build_sdist(str(folder))


def below(folder: str) -> set[str]:
    """Return the files below a folder of the repository, as the repository names them."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {p.relative_to(ROOT).as_posix() for p in paths if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_package_and_the_units(built: tuple[Path, Path]) -> None:
    """The modules, py.typed, the systemd units, the example of a config, and nothing else."""
    wheel = zipfile.ZipFile(built[0])
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    units = {name.replace("systemd/", "omisync/_systemd/") for name in below("systemd")}
    assert names == below("omisync") | units | {"omisync/config/config.example.toml"}
    assert "omisync/py.typed" in names
    assert "omisync/_systemd/omisync.service" in names


def test_the_wheel_says_what_it_is(built: tuple[Path, Path]) -> None:
    """Version, licence and README are in the metadata; the command is declared."""
    wheel = zipfile.ZipFile(built[0])
    info = f"omisync-{VERSION}.dist-info"
    meta = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert (meta["Version"], meta["License-Expression"]) == (VERSION, "MIT")
    assert meta["Requires-Python"] == ">=3.11"
    assert meta.get_payload(decode=True) == README.read_bytes()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert b"omisync = omisync.cli:main" in wheel.read(f"{info}/entry_points.txt")


def test_the_sdist_holds_all_that_is_needed_to_work_on_it(built: tuple[Path, Path]) -> None:
    """Package, tests, units, CI and every document."""
    with tarfile.open(built[1]) as archive:
        files = {member.name for member in archive.getmembers() if member.isfile()}
    names = {name.removeprefix(f"omisync-{VERSION}/") for name in files}
    top = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "config.example.toml"}
    needed = below("omisync") | below("tests") | below("systemd") | below(".ci") | top
    assert needed - names == set()


def test_the_licence_is_mit() -> None:
    """LICENSE has the words of the licence that the metadata names."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n")
    assert "without restriction" in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text


PROVIDED_BY = {"multidict": "aiohttp", "pydantic-core": "pydantic", "yarl": "aiohttp"}
"""Libraries that are the public types of another one, which declares them."""


def test_what_is_imported_is_declared() -> None:
    """Each library that the package imports is a dependency, and each dependency is imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", need)[0] for need in project["dependencies"]}
    found: set[str] = set()
    for _, node in nodes():
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    libraries = {name.replace("_", "-") for name in found - sys.stdlib_module_names - {"omisync"}}
    assert {PROVIDED_BY.get(name, name) for name in libraries} == declared


@pytest.mark.parametrize("foreign", FOREIGN)
def test_no_file_names_one_machine(foreign: str) -> None:
    """No text names a path of one machine or the host of a package registry."""
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if foreign in line
    ]
    assert named == []


# The README.


def blocks(*languages: str) -> list[Block]:
    """Return the README's fenced blocks in these languages."""
    found = re.finditer(
        r"^( *)```(\w+)[^\n]*\n(.*?)^ *```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [
        Block(match[2], match[3], match.string.count("\n", 0, match.start(3)) + 1)
        for match in found
        if match[2] in languages
    ]


def typed(block: Block) -> Iterator[tuple[str, int]]:
    """Yield what a person types of a block, each with its line; the output is left out."""
    held = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        prompt = re.match(r" *[$>] ", line) if block.language == "console" else None
        if block.language == "console" and prompt is None:
            continue
        held += line[prompt.end() if prompt else 0 :].removesuffix("\\")
        if not line.endswith("\\"):
            yield held, number
            held = ""


def ours(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each omisync that a line of shell runs."""
    redirected = r"\d*[<>]+(&\d| *\S+)"
    lexer = shlex.shlex(re.sub(redirected, "", line), posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    command: list[str] = []
    for word in (*lexer, ";"):
        if word not in {"|", "||", "&&", ";", "&", "(", ")"}:
            command.append(word)
            continue
        while command and re.fullmatch(r"\w+=.*", command[0]):
            del command[0]
        if command and Path(command[0]).name == "omisync":
            yield command[1:]
        elif command[1:3] == ["-m", "omisync"]:
            yield command[3:]
        command = []


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the real command line says against these arguments, else nothing."""
    try:
        arguments.parsed(argv)
    except SystemExit as left:
        said = capsys.readouterr().err.strip().splitlines()
        return said[-1] if left.code else ""
    return ""


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every omisync in a shell block is taken by the real command line."""
    lines = [found for block in blocks(*SHELL) for found in typed(block)]
    commands = [(argv, number) for line, number in lines for argv in ours(line)]
    assert ["demo"] in [argv[:1] for argv, _ in commands]
    wrong = [f"README.md:{number}: {refused(argv, capsys)}" for argv, number in commands]
    assert [line for line in wrong if not line.endswith(": ")] == []


def test_a_wrong_command_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """What the README types is found in the shell around it, and refused if there is none such."""
    text = (
        "$ cd x && A=1 .venv/bin/omisync --once \\\n> --nope 2>&1 | cat  # omisync x\nomisync y\n"
    )
    found = [argv for line, _ in typed(Block("console", text, 1)) for argv in ours(line)]
    assert found == [["--once", "--nope"]]
    assert "--nope" in refused(["--once", "--nope"], capsys)
    assert refused(["--help"], capsys) == ""


def mentioned(text: str) -> set[str]:
    """Return the commands that a text puts in backticks: `omisync demo`, not `omisync.service`."""
    return set(re.findall(r"`(omisync [^`…<>]+)`", text))


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Return every node of the program's source with its file."""
    trees = [
        (path, ast.parse(path.read_text(encoding="utf-8")))
        for path in (ROOT / "omisync").rglob("*.py")
    ]
    return [(path, node) for path, tree in trees for node in ast.walk(tree)]


def said_by_the_program() -> Iterator[tuple[str, str]]:
    """Yield every string of the program with its place; what is filled in reads ``1``."""
    for path, node in nodes():
        if isinstance(node, ast.JoinedStr | ast.Constant):
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            if isinstance(node, ast.JoinedStr):
                yield place, "".join(_piece(part) for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield place, node.value


def _piece(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "1"


def test_the_commands_that_are_advised_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every `omisync …` in a document, a unit or a message is a command, its arguments aside."""
    documents = [path for path in sources() if path.suffix in {".md", ".toml", ".service"}]
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in documents]
    wrong = []
    for place, text in (*texts, *said_by_the_program()):
        for command in sorted(mentioned(text)):
            typed_so = re.sub(r"[][]", "", command).replace("NUMBER", "1")
            said = refused(shlex.split(typed_so)[1:], capsys)
            if said and "are required" not in said:
                wrong.append(f"{place}: {command}: {said}")
    assert wrong == []


def test_the_settings_of_the_readme_exist() -> None:
    """Its TOML blocks are configs or todo files, and each `table.key` in its text is a setting."""
    tables = config.Settings().model_dump()
    for block in blocks("toml"):
        table = tomllib.loads(block.text)
        if isinstance(table.get("todo"), list):
            assert toml.parse(block.text.encode()).entries, f"README.md:{block.line} holds no task"
        else:
            config.Settings.model_validate(table)
    names = "|".join(tables)
    keys = re.findall(rf"`({names})\.(\w+)`", README.read_text(encoding="utf-8"))
    assert [f"{table}.{key}" for table, key in keys if key not in tables[table]] == []


def test_the_variables_of_the_readme_exist() -> None:
    """Every environment variable of ours that it names is one that the program knows."""
    named = set(re.findall(r"\b(?:OMI|OMISYNC)_[A-Z_]+\b", README.read_text(encoding="utf-8")))
    known = {word for _, text in said_by_the_program() for word in re.findall(r"\w+", text)}
    assert "OMI_API_KEY" in named
    assert named - known == set()


def test_the_links_of_the_readme_lead_somewhere() -> None:
    """Each relative link is a file or folder of the repository or a heading of the README."""
    text = README.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\((?!https://)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert (ROOT / file).exists(), target
        assert not anchor or anchor in anchors, target


def codes_in(lines: Iterable[str]) -> set[int]:
    """Return the numbers in the first column of a Markdown table."""
    rows = (re.match(r"\|\s*`?(\d+)`?\s*\|", line) for line in lines)
    return {int(row[1]) for row in rows if row}


def test_the_exit_codes_are_told() -> None:
    """The README's table and ``--help`` list exactly the codes that omisync ends with."""
    codes = {*errors.SEVERITY, errors.OWN_FAULT, errors.INTERRUPTED}
    parts = re.split(r"\n(?=#+ )", README.read_text(encoding="utf-8"))
    tables = [part for part in parts if re.search(r"exit (code|status)", part.lower())]
    assert codes in [codes_in(part.splitlines()) for part in tables]
    assert {int(number) for number in re.findall(r"\b\d+\b", arguments.CODES)} == codes
