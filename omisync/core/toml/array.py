"""The bytes of ``todo = [...]`` with inline tables in it changed, removed and added.

Rule: what is not set, gone or added keeps its bytes, whatever its layout. Nothing
here is verified.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from omisync.core.splice import Splice, spliced
from omisync.core.toml.lines import quoted, said
from omisync.core.toml.scan import inline_tables, inline_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from omisync.core.toml.lines import Setting
    from omisync.core.toml.scan import Cell

REST = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(?=\r?\n)")
"""What may stand behind the last table of a line."""
GAP = re.compile(rb"(?:[ \t]*(?=[{\]]))?")
"""The blanks between a comma and what follows it in its line, a comment aside."""


def changed(
    source: bytes,
    changes: Iterable[tuple[int, Sequence[Setting]]],
    removed: Collection[int],
    ending: bytes,
) -> Iterator[Splice]:
    """Yield what changes and removes tables of the array."""
    cells, _ = inline_tables(source)
    for index, settings in changes:
        yield from _set(source, cells[index], settings, ending)
    if removed:
        yield from _removed(source, cells, removed)


def _set(
    source: bytes, table: Cell, settings: Iterable[Setting], ending: bytes
) -> Iterator[Splice]:
    """Yield what makes an inline table say the settings; a new key is its last."""
    cells = inline_values(source, table)
    last = cells[-1].end
    for setting in settings:
        own = (n for n, cell in enumerate(cells) if cell.path[0] in setting.names)
        number = next(own, None)
        if number is None:
            yield Splice(last, last, b", " + said(setting))
        elif setting.value is not None:
            start, end, *_ = cells[number]
            yield Splice(start, end, _value(setting, source[start:end], ending))
        elif number:
            yield Splice(cells[number - 1].end, cells[number].end)
        else:
            yield Splice(cells[0].key, cells[1].key)


def _value(setting: Setting, old: bytes, ending: bytes) -> bytes:
    import tomlkit

    if isinstance(setting.value, str):
        return quoted(setting.value, old.decode(), ending.decode()).encode()
    return tomlkit.item(setting.value).as_string().encode()


def _removed(source: bytes, cells: Sequence[Cell], removed: Collection[int]) -> Iterator[Splice]:
    """Yield what takes tables out, with the line of one that has a line of its own."""
    kept = [cell for index, cell in enumerate(cells) if index not in removed]
    if kept and cells[-1].comma < kept[-1].comma:  # the array has no comma at its end
        comma = kept[-1].comma
        yield Splice(comma, _gap_end(source, comma + 1))
    for index in sorted(removed):
        start, end, comma, *_ = cells[index]
        is_apart = comma >= 0 and bool(source[end:comma].strip(b" \t"))
        stop = max(end, comma + 1)
        line = _own_line(source, start)
        rest = REST.match(source, stop)
        if is_apart:
            yield from (Splice(start, end), Splice(comma, _gap_end(source, stop)))
        elif line is None or rest is None:
            yield Splice(start, _gap_end(source, stop) if comma >= 0 else stop)
        else:
            yield Splice(line, source.index(b"\n", rest.end()) + 1)


def _gap_end(source: bytes, at: int) -> int:
    gap = GAP.match(source, at)
    return gap.end() if gap else at


def _own_line(source: bytes, at: int) -> int | None:
    """Return where the line begins that nothing but blanks precede in, None where more does."""
    start = source.rfind(b"\n", 0, at) + 1
    return None if source[start:at].strip(b" \t") else start


def added(source: bytes, additions: Sequence[Sequence[Setting]], ending: bytes) -> bytes:
    """Return a file with tables at the end of its array, laid out as the last one."""
    if not additions:
        return source
    new = [b"{" + b", ".join(map(said, settings)) + b"}" for settings in additions]
    cells, close = inline_tables(source)
    if not cells:
        return spliced(source, [Splice(close, close, b", ".join(new))])
    start, end, comma, *_ = cells[-1]
    stop = max(end, comma + 1)
    line = _own_line(source, start)
    before = b" " if line is None else ending + source[line:start]
    rest = REST.match(source, stop) if line is not None else None
    at = rest.end() if rest else stop
    if comma >= 0:
        return spliced(source, [Splice(at, at, b"".join([before + one + b"," for one in new]))])
    text = b",".join([before + one for one in new])
    return spliced(source, [Splice(end, end, b","), Splice(at, at, text)])
