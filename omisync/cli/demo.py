"""``omisync demo``: the whole thing on a local Omi server, without a key.

Everything is real but the server's address: the config, the store, the plan and
the requests are those of ``omisync --once``, in a temporary folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from omisync import errors
from omisync.cli.setup import check_format

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from omisync.sandbox import Sandbox
    from omisync.sync import Desk, Outcome

SAMPLE = """\
# Home
- [ ] Buy milk and bread
- [ ] Call the dentist due:2030-01-15
- [x] Pay the rent

## Garden
- [ ] Plant the tomatoes
  - [ ] Get compost
- [ ] Fix the fence
"""

EDITS = (
    (
        "Tick a task, as in any editor",
        "- [ ] Buy milk and bread",
        "- [x] Buy milk and bread",
    ),
    (
        "Reword a task",
        "- [ ] Plant the tomatoes",
        "- [ ] Plant the tomatoes and the basil",
    ),
    (
        "Move a task to another section",
        "- [ ] Fix the fence\n",
        "",
        "# Home\n",
        "# Home\n- [ ] Fix the fence\n",
    ),
    (
        "Remove a line",
        "  - [ ] Get compost\n",
        "",
    ),
)
"""What a person does, each with the pairs of old and new text."""


SHOWN = 20
"""Items listed of a long list."""


def demo(options: Namespace) -> int:
    """Show a first sync, edits that travel as changes of the same items, and one the other way."""
    import asyncio

    with tempfile.TemporaryDirectory(prefix="omisync-demo-") as folder:
        home = Path(folder)
        if options.file:
            source = Path(options.file)
            check_format(source)
            todo = home / f"todo{source.suffix.lower()}"
            _copied(source, todo)
        else:
            source = todo = home / "todo.md"
            todo.write_text(SAMPLE, encoding="utf-8")
        try:
            return asyncio.run(_shown(home, todo, options.file))
        except errors.ParseError as error:
            # The person's file is meant, not the copy that is gone in a moment.
            message = error.message.replace(str(todo), str(source))
            raise errors.FileUnusable(message, error.advice) from None


def _copied(source: Path, todo: Path) -> None:
    """Copy the person's file, so that theirs is only read.

    Raises:
        FileMissing: there is none.
        FileUnusable: it cannot be read.
    """
    from omisync import file

    try:
        todo.write_bytes(file.read(source).data)
    except errors.FileMissing as error:
        raise errors.FileMissing(error.message, "Name a file that exists.") from None


async def _shown(home: Path, todo: Path, own: str | None) -> int:
    """Run the demo against a sandbox of its own."""
    from omisync import config as configs
    from omisync import store, sync
    from omisync.sandbox import KEY, Sandbox

    async with Sandbox() as sandbox:
        _say(f"A local Omi server listens on {sandbox.url}; nothing leaves this machine.")
        settings = home / "config.toml"
        settings.write_text(
            f'[todo]\npath = "{todo.name}"\n[omi]\nbase_url = "{sandbox.url}"\n'
            '[state]\npath = "state.db"\n',
            encoding="utf-8",
        )
        environ = {"OMI_API_KEY": KEY, "HOME": str(home), **_zone()}
        config = configs.load(settings, environ)
        with store.Store.open(config.store_path) as opened:
            desk = sync.Desk(config, opened, environ)
            try:
                return await _acts(desk, sandbox, own)
            finally:
                await desk.close()


def _zone() -> dict[str, str]:
    return {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}


async def _acts(desk: Desk, sandbox: Sandbox, own: str | None) -> int:
    todo = desk.config.todo_path
    if own is None:
        _say(f"\n1. The todo list, {todo.name}:\n")
        _say(todo.read_text(encoding="utf-8").rstrip())
    else:
        _say(f"\n1. A copy of your todo list, {todo}; your own is not touched.")
    _say("\n2. The plan (`omisync --dry-run`):\n")
    _show_plan(desk)
    _say("\n3. The sync (`omisync --once`):\n")
    outcome = await _synced(desk, sandbox)
    _show_items(sandbox)
    step = count(4)
    if own is None and outcome.code == errors.OK:
        _say(f"\n{next(step)}. Four edits, each synced. The items stay the same ones:")
        for title, *pairs in EDITS:
            _edit(todo, pairs)
            _say(f"\n   {title}:")
            outcome = await _synced(desk, sandbox)
        _show_items(sandbox)
    if outcome.code == errors.OK:
        _say(f"\n{next(step)}. And once more, with nothing changed:")
        outcome = await _synced(desk, sandbox)
    if outcome.code == errors.OK and not all(item.completed for item in sandbox.items.values()):
        told = 'With `direction = "two-way"`, a tick in the Omi app reaches the file'
        _say(f"\n{next(step)}. {told}:\n")
        outcome = await _both_ways(desk, sandbox)
    name = "~/todo.md" if own is None else shlex.quote(f"./{own}" if own[0] == "-" else own)
    _say(
        f"\nNext: `omisync init {name}` sets it up with your key;"
        " `omisync --dry-run` shows the plan before anything is sent."
    )
    return outcome.code


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the demo speaks to a person


def _edit(todo: Path, pairs: Sequence[str]) -> None:
    """Save the file as an editor does, by a rename over it."""
    text = todo.read_text(encoding="utf-8")
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        if old not in text:
            raise LookupError(old)
        text = text.replace(old, new, 1)
    fresh = todo.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(todo)


def _show_plan(desk: Desk) -> None:
    from omisync import show, sync

    document, decided = sync.preview(desk.config, desk.store, time.time())
    show.plan(document, decided, desk.config.todo_path, links_exist=False, stream=sys.stdout)


async def _synced(desk: Desk, sandbox: Sandbox) -> Outcome:
    """Sync, and show the requests that it took."""
    from omisync import daemon, show
    from omisync.sandbox import line

    before = len(sandbox.requests)
    outcome = await daemon.once(desk)
    for request in sandbox.requests[before:]:
        _say("   " + line(request))
    if len(sandbox.requests) == before:
        _say("   no request")
    show.outcome(outcome, desk.config.todo_path, verbose=0, stream=sys.stdout, err=sys.stdout)
    return outcome


async def _both_ways(desk: Desk, sandbox: Sandbox) -> Outcome:
    """Tick an item as the app does, sync both ways, and show what the file says then."""
    from difflib import SequenceMatcher

    from omisync import show, sync

    rules = desk.config.sync.model_copy(update={"direction": "two-way"})
    both = sync.Desk(desk.config.model_copy(update={"sync": rules}), desk.store, desk.environ)
    before = _lines(desk)
    ticked = next(item for item in sandbox.items.values() if not item.completed)
    ticked.completed = True
    try:
        outcome = await _synced(both, sandbox)
    finally:
        await both.close()
    after = _lines(desk)
    name = desk.config.todo_path.name
    for change, _, _, start, end in SequenceMatcher(None, before, after, False).get_opcodes():
        if change != "equal":
            for number, line in enumerate(after[start:end], start + 1):
                _say(f"   {name}:{number} now says {show.safe(line)}")
    return outcome


def _lines(desk: Desk) -> list[str]:
    text = desk.config.todo_path.read_text(encoding="utf-8-sig")  # line ends become "\n"
    return text.split("\n")


def _show_items(sandbox: Sandbox) -> None:
    """Show what the server holds, oldest first, cut to the window."""
    from omisync import show

    _say("\n   What Omi holds now:")
    items = list(sandbox.items.values())
    width = max(20, shutil.get_terminal_size().columns - 45)
    for item in items[:SHOWN]:
        box = "x" if item.completed else " "
        due = f"  due {item.due_at:%Y-%m-%d}" if item.due_at else ""
        text = show.safe(item.description)
        text = text if len(text) <= width else text[: width - 1] + "…"
        _say(f"   [{box}] {text}{due}  ({item.id})")
    if len(items) > SHOWN:
        _say(f"   … and {len(items) - SHOWN} more")
