"""``omisync doctor``: look at everything a sync needs, and name the next step of each fault."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from omisync import config as configs
from omisync import control, errors, file, places, show, store, sync
from omisync.cli import care
from omisync.daemon import threads
from omisync.errors import OmisyncError, StoreBusy, StoreUnusable
from omisync.store.notes import LastRun, Refusal

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from omisync.api import OmiClient
    from omisync.config import Config

CLOCK_OFF = 60.0
"""Seconds between our clock and the server's from which dates may surprise."""
NOTICES = 3
"""Warnings of the file that are quoted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``code`` is 0 when it is well, else the exit code it stands for."""

    name: str
    code: int
    what: str
    advice: str = ""


def doctor(options: Namespace) -> int:
    """Run all checks; the exit code is the worst of them."""
    checks: list[Check] = []
    for check in _checks(options, checks):
        checks.append(check)
        if not options.json:  # as soon as it is known: a server can take its time
            well = check.code == errors.OK
            show.check(check.name, check.what, check.advice, sys.stdout, well=well)
    code = errors.worst(*(check.code for check in checks))
    if options.json:
        told = [
            asdict(c) | {"what": show.commands(c.what), "advice": show.commands(c.advice)}
            for c in checks
        ]
        facts = {"version": 1, "code": code, "checks": told}
        show.write_json(facts, sys.stdout)
    return code


def _checks(options: Namespace, before: Sequence[Check]) -> Iterator[Check]:
    """Yield what is found of each; ``before`` are those that were yielded so far."""
    config_file = places.config_path(options.config, os.environ)
    try:
        config = configs.load(config_file, os.environ)
    except OmisyncError as error:
        yield _failed("config", error)
        return
    yield Check("config", errors.OK, f"{config_file}; {_meaning_of_a_date(config)}")
    yield _guarded("file", lambda: _todo(config))
    if config.two_way:
        yield _guarded("writing", lambda: _writable(config))
    yield threads.run(_watching(config))
    if config.watch.notify_command:
        yield _alarm(config)
    yield _guarded("state", lambda: _state(config))
    yield _guarded("daemon", lambda: _daemon(config))
    yield _unit(options)
    try:
        key = places.find_key(config.key_file, os.environ, config.omi.base_url)
    except OmisyncError as error:
        yield _failed("key", error)
    else:
        yield Check("key", errors.OK, f"{key} from {key.where}")
        yield from threads.run(_server(config, key))
    yield _guarded("last sync", lambda: _last(config, {one.what for one in before}))


def _meaning_of_a_date(config: Config) -> str:
    """Return when a date alone is due: a TZ that names no zone is UTC, and shows here."""
    now = datetime.now(config.zone())
    return f"a date alone is due at {config.sync.due_time} {now:%Z} (now UTC{now:%z})"


def _alarm(config: Config) -> Check:
    """Look for the person's command without running it."""
    from omisync.daemon.alarm import notify_line

    command = notify_line(config)[0]
    if shutil.which(command) is None:
        advice = "Correct notify_command under [watch], or give its whole path."
        return Check("alarm", errors.BAD_CONFIG, f"there is no command {command} to run", advice)
    return Check("alarm", errors.OK, f"{command} will be run")


def _failed(name: str, error: OmisyncError) -> Check:
    later = "It passes by itself, most likely; run `omisync doctor` again later."
    advice = error.advice or (later if error.exit_code == errors.TEMPORARY else "")
    return Check(name, error.exit_code, error.message, advice)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except OmisyncError as error:
        return _failed(name, error)


def _todo(config: Config) -> Check:
    document = sync.parsed(config, file.read(config.todo_path))
    what = f"{config.todo_path}: {show.count(len(document.entries), 'task')}"
    if document.notices:
        alike = [*show.alike(document.notices).items()]
        told = [f"{show.lines(numbers)}: {message}" for message, numbers in alike[:NOTICES]]
        shown = "; ".join(told + ["…"] * (len(alike) > NOTICES))
        what += f", {show.count(len(document.notices), 'warning')} ({shown})"
    return Check("file", errors.OK, what)


def _writable(config: Config) -> Check:
    """Look whether two-way sync can replace the file; nothing is written for that."""
    folder = file.check_replaceable(config.todo_path)
    disk = os.statvfs(folder)
    # Some file systems of programs tell nothing of their room.
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < config.todo_path.stat().st_size:
        what = f"no room on the disk to replace the file in its folder {folder}"
        return Check("writing", errors.TEMPORARY, what, "Free some space.")
    return Check("writing", errors.OK, f"the file can be replaced in its folder {folder}")


async def _watching(config: Config) -> Check:
    """Watch the file for a moment: the kernel's limits show only when asked."""
    from omisync.watch import Watch

    said: list[str] = []
    async with Watch(
        config.todo_path, settle=config.watch.settle, rescan=config.watch.rescan, warn=said.append
    ):
        pass
    if said:
        return Check("watch", errors.TEMPORARY, said[0], "See the message; syncs come later.")
    return Check("watch", errors.OK, "saves are noticed at once")


def _state(config: Config) -> Check:
    opened = store.Store.peek(config.store_path, thorough=True)
    store.check_place(config.store_path)
    if opened is None:
        return Check("state", errors.OK, f"{config.store_path}: none yet, nothing was synced")
    with opened:
        links, intents = tuple(opened.links()), len(opened.intents())
        sync.check_bound(opened, config)
        opened.check_usable()
    parked = sum(link.parked is not None for link in links)
    what = f"{config.store_path}: {show.count(len(links), 'task')}, {parked} parked"
    if intents:
        what += f", {show.count(intents, 'create')} without an answer"
        return Check("state", errors.TEMPORARY, what, "The next sync asks Omi about that.")
    if parked:
        return Check("state", errors.PARKED, what, "`omisync status` says why.")
    return Check("state", errors.OK, what)


def _last(config: Config, told: Collection[str]) -> Check:
    """Tell how the last sync ended; ``told`` is what was said before, and is not said again."""
    opened = store.Store.peek(config.store_path)
    last: LastRun | None = None
    refused: Refusal | None = None
    if opened is not None:
        with opened:
            last, refused = opened.note(LastRun), opened.note(Refusal)
    if last is None or last.code is None:
        return Check("last sync", errors.OK, "none yet; `omisync --dry-run` shows the first one")
    at = show.ago(time.time() - last.at) if last.at is not None else "at an unknown time"
    if last.code in errors.WELL:
        return Check("last sync", errors.OK, f"well, {at}")
    message, advice = (last.troubles or [("not finished", "")])[0]
    if message in told:
        return Check("last sync", last.code, f"stopped by what is told above ({at})")
    if mended := care.overcome(config, last, refused):
        advice = f"{mended[0].upper()}{mended[1:]}, and the next sync tries again."
    return Check("last sync", last.code, f"{message} ({at})", advice)


def _daemon(config: Config) -> Check:
    control.check_alive(config.store_path, os.environ)
    who = store.holder(config.store_path)
    what = f"{who} is at work" if who else "not running; `omisync` or the systemd unit keeps it so"
    return Check("daemon", errors.OK, what)


def _unit(options: Namespace) -> Check:
    from omisync.cli import service

    try:
        is_well, found = service.standing(options)
    except OmisyncError as error:
        return _failed("unit", error)
    return Check("unit", errors.OK if is_well else errors.BAD_CONFIG, found)


async def _server(config: Config, key: places.Key) -> list[Check]:
    """Ask the server whether the key may read and write, and what time it is."""
    try:
        return await _asked(config, key)
    except OmisyncError as error:  # before any request, as of a proxy that is none
        return [_failed("server", error)]


async def _asked(config: Config, key: places.Key) -> list[Check]:
    from omisync.api import OmiClient

    waits = _waits(config)
    async with OmiClient(config.omi.base_url, key.value) as client:
        checks = [_limited("server", "read", waits) or await _reading(client, config)]
        if checks[0].code == errors.OK:
            checks += await _account(config, key)
            checks.append(_limited("write scope", "write", waits) or await _writing(client))
        if client.clock_skew is not None:
            checks.append(_clock(client.clock_skew))
    return checks


def _waits(config: Config) -> dict[str, float]:
    """Return how many seconds the server asked to wait, by bucket."""
    with contextlib.suppress(OmisyncError):  # told as the state's
        opened = store.Store.peek(config.store_path)
        if opened is not None:
            with opened:
                return {name: gate.wait(time.time()) for name, gate in opened.gates().items()}
    return {}


def _limited(name: str, bucket: str, waits: Mapping[str, float]) -> Check | None:
    """Return the check that is not made because the server asked to wait; None if it did not."""
    wait = waits.get(bucket, 0.0)
    if wait <= 0:
        return None
    until = show.clock_time(time.time() + wait)
    advice = "Run `omisync doctor` again then."
    return Check(name, errors.TEMPORARY, f"not asked: {bucket}s are limited until {until}", advice)


async def _reading(client: OmiClient, config: Config) -> Check:
    try:
        await client.check_reads()
    except OmisyncError as error:
        return _failed("server", error)
    return Check("server", errors.OK, f"{config.omi.base_url} accepts the key")


async def _account(config: Config, key: places.Key) -> list[Check]:
    """See whether a key that is another than the last one opens the account of this list."""
    try:
        opened = store.Store.peek(config.store_path)
        if opened is None:
            return []
        with opened:
            if opened.fact("fingerprint") in {None, key.fingerprint}:
                return []
            await sync.glance(config, os.environ, opened, time.time())
    except (StoreBusy, StoreUnusable):  # told as the state's
        return []
    except OmisyncError as error:
        return [_failed("account", error)]
    return [Check("account", errors.OK, "is that of this list, with another key than before")]


async def _writing(client: OmiClient) -> Check:
    """Send a write that changes nothing: it shows that the key may write."""
    try:
        await client.check_writes()
    except OmisyncError as error:
        return _failed("write scope", error)
    return Check("write scope", errors.OK, "the key may write")


def _clock(skew: float) -> Check:
    if abs(skew) < CLOCK_OFF:
        return Check("clock", errors.OK, "agrees with the server's")
    which = "behind" if skew > 0 else "ahead of"
    return Check(
        "clock",
        errors.OK,
        f"is {show.duration(abs(skew))} {which} the server's; syncs work, but dates may surprise",
        "Let the machine set its clock (systemd-timesyncd or ntpd).",
    )
