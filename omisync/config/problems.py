"""What is wrong with a config, as its person reads it: file, line, key, and what is allowed."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omisync.config.settings import SECTIONS, Section, nearest, quoted
from omisync.core import toml
from omisync.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MARKS = ("todo", "done_marks"), ("todo", "open_marks")
"""Keys whose values must differ; the second is told of."""
EXAMPLE = "config.example.toml"
BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML writes without quotes."""


def example() -> str:
    """Return where config.example.toml is: a wheel has it here, a checkout at its top."""
    here = Path(__file__)
    beside = here.with_name(EXAMPLE)
    found = beside if beside.is_file() else here.parents[2] / EXAMPLE
    return os.fsencode(found).decode(errors="replace")


def explained(path: Path, source: bytes, details: list[ErrorDetails], base_url: str) -> ConfigError:
    """Return one error that names all problems, in the order of their lines."""
    lines = toml.key_lines(source)
    problems: list[tuple[int, str]] = []
    for detail in details:
        loc = tuple(str(part) for part in detail["loc"])
        if loc == ("omi", "base_url") and base_url:
            problems.append((0, f"OMI_API_BASE: {_said(detail)}"))
            continue
        if loc == MARKS[1] not in lines:
            loc = MARKS[0]  # the other of the two was written, and it is there that they meet
        line = line_of(lines, loc)
        problems.append((line, f"{path}:{line}: {_problem(loc, detail)}"))
    texts = [text for _, text in sorted(problems)]
    advice = f"correct {path}; {example()} explains every key"
    if not any(line for line, _ in problems):
        advice = "correct OMI_API_BASE, or unset it"
    return ConfigError("\n".join(texts), advice)


def line_of(lines: dict[tuple[str, ...], int], loc: tuple[str, ...]) -> int:
    """Return the line of the key, or of what stands below it, or of the table around it."""
    for size in range(len(loc), 0, -1):
        below = [line for path, line in lines.items() if path[:size] == loc[:size]]
        if below:
            return lines.get(loc[:size], min(below))
    return 1


def _problem(loc: tuple[str, ...], detail: ErrorDetails) -> str:
    name = _name(loc)
    if detail["type"] == "extra_forbidden":
        return _unknown(loc)
    if detail["type"] == "value_error" and (said := _said(detail)):
        return f"{name}: {said}"
    section = SECTIONS[loc[0]]
    if len(loc) == 1:
        return f"{name} must be a table: write [{name}] and its keys below it ({_listed(section)})"
    allowed = section.model_fields[loc[1]].description
    return f"{name} is {_shown(loc, detail['input'])}; allowed is {allowed}"


def _said(detail: ErrorDetails) -> str:
    """Return what one of our own validators says, else what pydantic says."""
    return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["msg"]


def _shown(loc: tuple[str, ...], value: object) -> str:
    """Return a value as TOML would have it, short; never what may be a key."""
    if loc == ("omi", "api_key_file"):
        return "not a path"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        text = quoted(value)
    else:  # hex, because Python refuses to write a huge number in decimals
        text = hex(value) if isinstance(value, int) and abs(value) > sys.maxsize else str(value)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - short enough for a line


def _name(loc: tuple[str, ...]) -> str:
    """Return a dotted key as TOML would have it."""
    return ".".join(part if BARE.fullmatch(part) else quoted(part) for part in loc)


def _unknown(loc: tuple[str, ...]) -> str:
    """Name an unknown key, with the key that was probably meant."""
    if len(loc) == 1:
        homes = [name for name, section in SECTIONS.items() if loc[0] in section.model_fields]
        if homes:
            return f"unknown key {_name(loc)} outside of a table; it belongs below [{homes[0]}]"
        hint = nearest(loc[0], SECTIONS, "[{}]")
        return f"unknown table or key {_name(loc)}{hint or '; the tables are ' + _tables()}"
    section, key = loc[0], loc[-1]
    fields = SECTIONS[section].model_fields
    homes = [name for name, other in SECTIONS.items() if key in other.model_fields]
    if homes:
        return f"unknown key {_name(loc)}; {key} belongs below [{homes[0]}]"
    hint = nearest(key, fields)
    return f"unknown key {_name(loc)}{hint or f'; the keys are {_listed(SECTIONS[section])}'}"


def _listed(section: type[Section]) -> str:
    return ", ".join(section.model_fields)


def _tables() -> str:
    return ", ".join(f"[{name}]" for name in SECTIONS)
