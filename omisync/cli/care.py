"""Looking after it: status, log, repair, retry, forget, undo, restore."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omisync import errors, places, quick, show, store
from omisync.cli.arguments import config_of
from omisync.errors import OmisyncError, StoreBusy, StoreUnusable, UsageError
from omisync.store.holding import is_there
from omisync.store.notes import LastRun, Refusal, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omisync.config import Config
    from omisync.core.model import Document, Link
    from omisync.store import Event
    from omisync.sync import Repaired

NEXT_SYNC = "the next sync looks anew"
STOPPING_SECONDS = 5.0
"""For a daemon that is stopping, or another run, to let the state go."""


def status(options: Namespace) -> int:
    """Tell how things stand, from the store and the file; a daemon only shows that it lives."""
    config = config_of(options)
    facts = _facts(config)
    if options.json:
        show.write_json(show.status_data(facts), sys.stdout)
    else:
        show.status(facts, sys.stdout)
    return facts.code if facts.code is not None else errors.OK


def _facts(config: Config) -> show.StatusFacts:
    from omisync import sync

    now = time.time()
    key, problem = _key(config)
    opened = store.Store.peek(config.store_path)
    links: Sequence[Link] = ()
    gates, last, refused, settled, anew = {}, LastRun(), None, None, False
    unsure: set[str] = set()
    if opened is not None:
        with opened:
            sync.check_bound(opened, config)
            links, unsure = tuple(opened.links()), {intent.key for intent in opened.intents()}
            gates = {name: gate.wait(now) for name, gate in opened.gates().items()}
            last, refused = opened.note(LastRun) or last, opened.note(Refusal)
            settled, anew = opened.note(Settled), bool(opened.fact("anew"))
    since, is_begun = "", False
    if last.code in errors.WELL:
        since = NEXT_SYNC if anew else _since(config, settled)
        waits = any(_may_come_back(link, now - config.sync.removal_grace) for link in links)
        is_begun = settled is None and not (anew or waits)
    elif last.kinds:
        since = overcome(config, last, refused)
    hindrance = _hindrance(config)
    if hindrance is not None:
        code = errors.worst(hindrance.exit_code, last.code or errors.OK)
        first = (hindrance.message, hindrance.advice)
        last = replace(last, code=code, troubles=tuple(dict.fromkeys((first, *last.troubles))))
        since = ""  # whatever is new, no sync gets that far
    document = _document(config)
    return show.StatusFacts(
        todo_path=config.todo_path,
        store_path=config.store_path,
        base_url=config.omi.base_url,
        tasks=last.tasks,
        linked=sum(link.remote_id is not None for link in links),
        absent=tuple(link for link in links if link.is_absent and link.parked is None),
        parked=tuple(link for link in links if link.parked is not None),
        gone=tuple(link for link in links if _is_gone(link) and link.key not in unsure),
        lines=_lines(document, links),
        notices=() if document is None else document.notices,
        intents=len(unsure),
        is_begun=is_begun,
        gates={name: wait for name, wait in gates.items() if wait > 0},
        last=last,
        since=since,
        refused=refused,
        now=now,
        running=store.holder(config.store_path),
        is_frozen=isinstance(hindrance, StoreBusy),
        key=key,
        key_problem=problem,
    )


def _since(config: Config, settled: Settled | None) -> str:
    """Return what was different since all of it was in sync; "" if nothing was."""
    from omisync import file

    if settled is None:
        return ""
    if file.signature(config.todo_path) is None:
        return "the file is not there now"
    if not quick.is_of(settled.setting, config.source):
        return "the config has changed since"
    with contextlib.suppress(OmisyncError):  # the next sync tells
        known = (settled.digest, settled.signature, settled.at)
        return "" if quick.same_bytes(config.todo_path, *known) else "the file has changed since"
    return ""


def overcome(config: Config, last: LastRun, refused: Refusal | None) -> str:
    """Return what stopped the last sync and does so no longer; "" while some of it may."""
    document = _document(config)
    found = [
        _is_over(config, kind, message, refused, document)
        for kind, (message, _) in zip(last.kinds, last.troubles, strict=False)
    ]
    return " and ".join(dict.fromkeys(found)) if all(found) else ""


def _is_over(
    config: Config, kind: str, message: str, refused: Refusal | None, document: Document | None
) -> str:
    from omisync import file

    if kind in {"ConfigError", "KeyProblem"}:
        return _has_key(config) if message.startswith((places.NO_KEY, places.KEY_FILE)) else ""
    if document is None:
        return ""
    if kind == "GuardStopped":
        same = refused is None or refused.version.split()[0] == file.digest(document.source)
        return "" if same else "the file has changed since"
    if kind in {"FileMissing", "FileUnusable", "ParseError"}:
        with contextlib.suppress(OmisyncError):
            if config.two_way:
                file.check_replaceable(config.todo_path)
            return "the file can be used now"
    return ""


def _has_key(config: Config) -> str:
    """Return that there is a key, where whoever syncs next will find it."""
    with contextlib.suppress(OmisyncError):
        key = places.find_key(config.key_file, os.environ, config.omi.base_url)
        # A daemon has an environment of its own, and reads what is put right in a file.
        if key.where not in os.environ or store.holder(config.store_path) is None:
            return "there is a key now"
    return ""


def _hindrance(config: Config) -> OmisyncError | None:
    """Return why nothing is synced now, if nobody could write that down."""
    from omisync import control

    try:
        store.check_place(config.store_path)
        control.check_alive(config.store_path, os.environ)
    except OmisyncError as error:
        return error
    return None


def _may_come_back(link: Link, since: float) -> bool:
    """Return whether a removal waits for its line, which was there at this time (Unix seconds)."""
    is_free = link.parked is None and not link.doubt
    return is_free and link.absent_since is not None and link.absent_since > since


def _is_gone(link: Link) -> bool:
    """Return whether this is an open line whose item was deleted in Omi, and which gets none."""
    is_open = not link.seen.completed and link.parked is None
    return link.remote_id is None and link.base is not None and is_open


def _document(config: Config) -> Document | None:
    """Return the file as it stands now, None if it cannot be read: the next sync tells why."""
    from omisync import file, sync

    with contextlib.suppress(OmisyncError):
        return sync.parsed(config, file.read(config.todo_path))
    return None


def _lines(document: Document | None, links: Sequence[Link]) -> dict[str, int]:
    """Return the line of each task as the file stands now, by key."""
    from omisync.core import match

    if document is None or not any(link.parked or _is_gone(link) for link in links):
        return {}
    entries = document.entries
    pairs = match.pair(entries, links).pairs
    return {links[link].key: entries[entry].line for entry, link in pairs}


def _key(config: Config) -> tuple[str | None, str | None]:
    """Return the key as it may be shown, or what is wrong with it."""
    try:
        key = places.find_key(config.key_file, os.environ, config.omi.base_url)
    except OmisyncError as error:
        return None, error.message
    return f"{key} from {key.where}", None


def log(options: Namespace) -> int:
    """Show the history, or with ``--clashes`` the values that gave way."""
    config = config_of(options)
    opened = store.Store.peek(config.store_path)
    events: list[Event] = []
    clashes: list[store.Clashed] = []
    if opened is not None:
        with opened:
            events = opened.history(options.lines)
            clashes = opened.clashes(options.lines)
    if options.clashes:
        if options.json:
            show.write_json(show.clashes_data(clashes), sys.stdout)
        else:
            show.clashes(clashes, sys.stdout)
        return errors.OK
    if options.json:
        show.write_json(show.history_data(events), sys.stdout)
    else:
        show.history(events, sys.stdout)
    return errors.OK


def repair(options: Namespace) -> int:
    """Link lines with items again; a damaged store is kept aside once that is done."""
    config = config_of(options)
    path = config.store_path
    with store.lock(path, "omisync repair"):
        left = _left_of_damaged(path)
        if left is None:
            repaired, aside = _repaired(config, path, options, None), None
        else:
            with store.Instead(path) as new:
                repaired, aside = _repaired(config, new.path, options, left), new.aside
    if options.json:
        show.write_json(show.repaired_data(repaired, aside), sys.stdout)
    else:
        show.repaired(repaired, aside, config.todo_path, sys.stdout)
    return errors.OK


def _repaired(
    config: Config,
    path: Path,
    options: Namespace,
    left: tuple[list[Link], dict[str, object]] | None,
) -> Repaired:
    """Repair the store at ``path``, in which what is left of a damaged one is written first.

    Raises:
        OmisyncError: the file or the server cannot be read; nothing was repaired.
    """
    from omisync import sync
    from omisync.cli import run as running

    with store.Store.open(path) as opened:
        if left is not None:
            _taken_over(opened, *left)
        desk = sync.Desk(config, opened, os.environ)

        async def run(_bar: show.Progress | None) -> Repaired:
            try:
                return await sync.repair(desk, accept_account=options.accept_account)
            except errors.RateLimited as error:
                then = show.clock_time(time.time() + error.retry_after)
                error.advice = f"Run `omisync repair` again at {then}; nothing was changed."
                raise
            finally:
                await desk.close()

        return running.shown(options, config.omi.base_url, run)


def _left_of_damaged(path: Path) -> tuple[list[Link], dict[str, object]] | None:
    """Return what a damaged store still tells (``Store.readable``), None where it is sound.

    Raises:
        StoreUnusable: it is not damaged but of a newer version, or cannot be read.
    """
    try:
        if is_there(path):
            with store.Store.open(path) as opened:
                _read_through(opened)
    except StoreUnusable as error:
        if not error.damaged:
            raise
        return store.Store.readable(path)
    return None


def _taken_over(opened: store.Store, links: Sequence[Link], owner: dict[str, object]) -> None:
    """Write what a damaged store still told into the new one: a reworded line keeps its item."""
    if links:
        with opened.transaction():
            opened.put_links(links)
            for name, value in owner.items():
                opened.put_fact(name, value)


def _read_through(opened: store.Store) -> None:
    """Read every row: a row can be damaged in a file whose structure is sound.

    Raises:
        StoreUnusable: one cannot be read.
    """
    tuple(opened.links())  # each is read when it is looked at
    for table in (opened.intents, opened.gates, opened.clashes, opened.history):
        table()
    opened.tombstones(0.0)


def retry(options: Namespace) -> int:
    """Un-park tasks."""
    return _tell(options, _commanded(options, "retry"), "will be tried again by the next sync")


def forget(options: Namespace) -> int:
    """Give up removals, of tasks with this in their text, that are parked or wait."""
    return _tell(options, _commanded(options, "forget"), "forgotten; it stays in Omi as it is")


def _tell(options: Namespace, texts: list[str], said: str) -> int:
    """Name each task that was treated."""
    if options.json:
        show.write_json({"version": 1, "tasks": texts}, sys.stdout)
    else:
        for text in texts:
            sys.stdout.write(f"{show.safe(text)}: {said}.\n")
    return errors.OK


def undo(options: Namespace) -> int:
    """Take back the last write to the file, and sync that."""
    return _taken_back(options, "undo")


def restore(options: Namespace) -> int:
    """Put the lost value of a clash into its line, and sync that."""
    return _taken_back(options, "restore")


def _taken_back(options: Namespace, verb: str) -> int:
    said = _commanded(options, verb)
    if not options.json:
        sys.stdout.write(f"{show.safe(said)}.\n")
    from omisync.cli import run

    asked = {"once": True, "timeout": 60.0, "allow_removals": False, "grace": False, "yes": False}
    return run.once(Namespace(**{**vars(options), **asked}))


def _commanded(options: Namespace, verb: str) -> Any:
    """Do it here or, while a daemon runs, there; return what was done."""
    from omisync import sync
    from omisync.cli import run

    config = config_of(options)
    if not is_there(config.store_path):
        raise UsageError("Nothing was synced yet", "Run `omisync --once` first.")
    text = str(getattr(options, "text", ""))
    with contextlib.ExitStack() as stack:
        answer = run.answered_or_locked(
            config.store_path,
            f"omisync {verb}",
            STOPPING_SECONDS,
            lambda: _asked(config, verb, text),
            stack,
        )
        if answer is None:
            opened = stack.enter_context(store.Store.open(config.store_path))
            return sync.COMMANDS[verb](sync.Desk(config, opened, os.environ), text)
    if "error" in answer:
        raise run.refused(answer)
    return answer["tasks"] if "tasks" in answer else answer["done"]


def _asked(config: Config, verb: str, text: str) -> dict[str, Any] | None:
    """Return what a running daemon answered; None where none runs, or one that is stopping."""
    from omisync import control
    from omisync.cli import run

    # What is asked of one that is frozen would be done later, when nobody expects it.
    control.check_alive(config.store_path, os.environ)
    request = {**run.meant(config), "do": verb, "text": text}
    answer = control.ask(config.store_path, os.environ, request)
    return None if answer is None or answer.get("stopping") else answer
