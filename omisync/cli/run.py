"""Syncing: once, as a plan, and as a daemon."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from argparse import Namespace
from typing import TYPE_CHECKING, Any, TypeVar

from omisync import errors, libc, places, quick
from omisync.cli.arguments import config_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from omisync import show
    from omisync.config import Config
    from omisync.core.model import Document, Listing
    from omisync.core.plan import Plan
    from omisync.store import Store
    from omisync.sync import Desk, Outcome

T = TypeVar("T")


PENDING = "Nothing is lost: run `omisync --once` again later, or let `omisync` keep trying.\n"

DECLINED = (
    'Nothing was written. With sync.import_since or import_items = "linked" in the config fewer of'
    " them come in, or none."
)

NOTHING_DONE: dict[str, object] = {
    "waiting": 0,
    "done": {},
    "retry_at": None,
    "troubles": [],
    "parked_tasks": [],
    "absent_tasks": [],
    "failed_tasks": [],
    "remarks": [],
    "notices": [],
}
"""The rest of what ``show.outcome_data`` tells, for a run that found nothing to do."""

ANSWER = 5.0
"""Seconds that a request may take at least, however little time there is."""
ASK_AGAIN = 1.0
"""Seconds between two requests to a daemon that has not finished."""


def once(options: Namespace) -> int:
    """Sync once: ``omisync --once``."""
    ready = quick.look(places.config_path(options.config, os.environ), os.environ)
    if ready is not None and not (options.json and ready.parked):  # programs are told which
        _say_quickly(options, ready)
        return ready.code
    from omisync import show

    config = config_of(options)
    with contextlib.ExitStack() as stack:
        path, deadline = config.store_path, time.monotonic() + options.timeout
        answered = answered_or_locked(
            path,
            "omisync --once",
            options.timeout,
            lambda: _asked(config, options, deadline),
            stack,
        )
        if answered is not None:
            return answered
        from omisync import sync

        opened = stack.enter_context(_opened(config))
        desk = sync.Desk(config, opened, os.environ, quick.setting(config.source, os.environ))
        desk.timeout = min(desk.timeout, max(options.timeout, ANSWER))
        outcome = _synced(desk, options)
        agreed = None if options.json else _agreed(outcome, config.todo_path)
        if agreed is False:
            print(DECLINED)  # noqa: T201 - the answer to an answer
            return outcome.code
        if agreed:
            outcome = _synced(desk, Namespace(**{**vars(options), "yes": True}))
        if outcome.code in errors.WELL:
            try:
                desk.find_key()  # a run that needed none still tells what the next one will meet
            except errors.OmisyncError as error:
                outcome = sync.failed_after(desk, outcome, error)
    if options.json:
        show.write_json(show.outcome_data(outcome), sys.stdout)
    else:
        verbosity = -1 if options.quiet else options.verbose
        show.outcome(
            outcome, config.todo_path, verbose=verbosity, stream=sys.stdout, err=sys.stderr
        )
        if outcome.code == errors.TEMPORARY and not options.quiet:
            sys.stderr.write(show.commands(PENDING))
    return outcome.code


def _opened(config: Config) -> Store:
    """Return the state store; one that cannot be used is told after a key that cannot.

    Raises:
        KeyProblem: there is no key either, which is the worse of the two.
        ConfigError: the key's file cannot be used either.
        StoreUnusable: the store is damaged, or cannot be written.
        StoreBusy: another process holds it, or the disk is full.
        NoRoom: the disk is too full to make it.
    """
    from omisync import show, store

    try:
        return store.Store.open(config.store_path)
    except errors.StoreUnusable as error:
        try:
            places.find_key(config.key_file, os.environ, config.omi.base_url)
        except errors.OmisyncError:
            show.error(error, sys.stderr)
            raise
        raise


def _agreed(outcome: Outcome, todo_path: Path) -> bool | None:
    """Show a first two-way plan that would flood the file, and ask; None where nobody is asked."""
    floods = [one for one in outcome.troubles if isinstance(one, errors.ImportStopped)]
    if not floods or outcome.plan is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    from omisync import show
    from omisync.core.model import Document

    notices = Document(b"", (), outcome.notices)
    show.plan(notices, outcome.plan, todo_path, links_exist=True, stream=sys.stdout)
    # Not input(): its prompt goes to stderr, which may be no terminal.
    print(f"Write {floods[0].items} tasks of Omi into {todo_path}? [y/N] ", end="", flush=True)  # noqa: T201 - a question
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D
        print()  # noqa: T201 - ends the line of the question
    return answer.strip().lower() in {"y", "yes"}


def _say_quickly(options: Namespace, ready: quick.Ready) -> None:
    """Print the same as a full run that found nothing to do."""
    if options.json:
        facts = {"version": 1, "in_sync": True, **ready._asdict(), **NOTHING_DONE}
        if ready.look_at is not None:
            from omisync.show.words import instant

            facts["look_at"] = instant(ready.look_at)
        print(json.dumps(facts))  # noqa: T201 - data
        return
    if ready.parked:
        from omisync import show

        print(show.commands(quick.sentence(ready)))  # noqa: T201 - data
    elif not options.quiet:
        print(quick.sentence(ready))  # noqa: T201 - data


def _progress(options: Namespace) -> contextlib.AbstractContextManager[show.Progress | None]:
    """Return what shows how it goes, to a person who wants to know."""
    from omisync import show

    quiet = options.quiet or options.json
    return contextlib.nullcontext() if quiet else show.Progress(sys.stderr)


def shown(
    options: Namespace,
    server: str,
    work: Callable[[show.Progress | None], Coroutine[Any, Any, T]],
) -> T:
    """Do this work with its progress shown; as long as ``server`` does not answer it is named."""
    import asyncio

    from omisync.daemon import threads

    with _progress(options) as bar:

        async def watched() -> T:
            if bar is not None:
                asyncio.get_running_loop().call_later(bar.patience, bar.asking, server)
            return await work(bar)

        return threads.run(watched())


def _synced(desk: Desk, options: Namespace) -> Outcome:
    """Run the loop to its end, with progress shown."""
    from omisync import daemon

    async def run(bar: show.Progress | None) -> Outcome:
        def waiting(seconds: float, outcome: Outcome) -> None:
            if bar is not None and outcome.troubles:
                bar.wait(seconds, outcome.troubles[0].message)

        desk.report = None if bar is None else bar.report
        try:
            return await daemon.once(
                desk,
                grace=desk.config.sync.removal_grace if options.grace else 0.0,
                allow_removals=options.allow_removals,
                yes=options.yes,
                patience=options.timeout,
                waiting=waiting,
            )
        finally:
            await desk.close()

    return shown(options, desk.config.omi.base_url, run)


def answered_or_locked(
    path: Path,
    holder: str,
    patience: float,
    ask: Callable[[], T | None],
    stack: contextlib.ExitStack,
) -> T | None:
    """Return what a running daemon answers to ``ask``; or hold the store on this stack, and None.

    Another run is waited for up to ``patience`` seconds. It may be a daemon whose door
    is not open at this moment, or one that is stopping, so each time it is asked again.

    Raises:
        StoreBusy: the other run did not end.
    """
    from omisync import store

    deadline = time.monotonic() + patience
    while True:
        answered = ask()
        if answered is not None:
            return answered
        try:
            stack.enter_context(store.lock(path, holder))
        except errors.StoreBusy:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return None


@contextlib.contextmanager
def _named(bar: show.Progress | None) -> Iterator[None]:
    """Say that the daemon is asked, should it not have answered soon."""
    if bar is None:
        yield
        return
    import threading

    late = threading.Timer(bar.patience, bar.asking, ["the omisync that runs"])
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()
        late.join()


def meant(config: Config) -> dict[str, str]:
    """Return what tells a daemon which list is meant: it may have the state store of another."""
    return {"todo": str(config.todo_path), "server": config.omi.base_url}


def refused(answer: dict[str, Any]) -> errors.OmisyncError:
    """Return the error that a daemon answered with, and its exit code."""
    error = errors.UsageError(answer["error"], answer.get("advice", ""))
    error.exit_code = answer.get("code", error.exit_code)
    return error


def _asked(config: Config, options: Namespace, deadline: float) -> int | None:
    """Have a running daemon sync now, and show what came of it; None when none answers.

    Raises:
        OmisyncError: it works on another list, or with another server.
    """
    from omisync import control

    request = {
        **meant(config),
        "do": "cycle",
        "allow_removals": options.allow_removals,
        "grace": options.grace,
        "yes": options.yes,
    }
    patience = max(options.timeout, 2 * control.BEAT)
    if options.allow_removals or options.yes:  # one that is frozen would do it later, unexpected
        control.check_alive(config.store_path, os.environ)
    with _progress(options) as bar, _named(bar):
        told = False
        while True:
            longest = max(deadline - time.monotonic(), ANSWER)
            answer = control.ask(config.store_path, os.environ, request, patience, longest)
            if answer is None or "error" in answer:
                if answer is not None and "code" in answer:
                    raise refused(answer)
                return None  # none runs, or it is stopping: its lock is waited for
            left = deadline - time.monotonic()
            wait = max(0.0, (answer["retry_at"] or 0.0) - time.time())
            if not answer["temporary"] or left <= 0 or wait > left:
                break
            if bar is not None and not told and answer["data"]["troubles"]:
                bar.wait(left, answer["data"]["troubles"][0]["message"])
                told = True  # once: it goes on trying until then
            time.sleep(min(max(wait, ASK_AGAIN), left))
    if options.json:
        from omisync import show

        show.write_json(answer["data"], sys.stdout)
    elif not options.quiet or answer["code"] != errors.OK:
        sys.stdout.write(answer["out"])
        sys.stderr.write(answer["err"])
    return int(answer["code"])


def plan(options: Namespace) -> int:
    """Print what the next sync would do; change nothing, and ask Omi for a two-way plan alone."""
    from omisync import file, show, store, sync

    config = config_of(options)
    opened = store.Store.peek(config.store_path)
    with contextlib.nullcontext() if opened is None else opened:
        document, decided, read = _previewed(config, opened, options)
        known = opened is not None and bool(opened.links())
        asks = read and sync.floods(opened, decided)
        digest = file.digest(document.source)
        noted = sync.is_refused(opened, config, digest, decided)
        refused = _refused(config, decided)
    if options.json:
        data = show.plan_data(document, decided, config.todo_path, links_exist=known, asks=asks)
        if config.two_way:
            data["listed"] = read
            data["refused"] = None if refused is None else refused.message
        show.write_json(data, sys.stdout)
    else:
        met = known or read or not config.sync.adopt  # with Omi's list at hand a create is no link
        show.plan(
            document,
            decided,
            config.todo_path,
            links_exist=met,
            asks=asks,
            noted=noted,
            stream=sys.stdout,
        )
        if refused is not None:
            show.error(refused, sys.stderr)
    if decided.removal.drastic or decided.departure.drastic or asks:
        return errors.BAD_FILE
    return errors.OK if refused is None else refused.exit_code


def _refused(config: Config, decided: Plan) -> errors.OmisyncError | None:
    """Return why the file will not take what the plan writes into it, None where it will."""
    from omisync import file

    if decided.local:
        try:
            file.check_replaceable(config.todo_path)
        except errors.OmisyncError as error:
            return error
    return None


def _previewed(
    config: Config, opened: Store | None, options: Namespace
) -> tuple[Document, Plan, bool]:
    """Return the plan, and whether it knows what Omi has.

    A two-way plan that cannot ask Omi is made without, and that is told.

    Raises:
        OtherAccount: what Omi has is somebody else's.
        OmisyncError: the file or the store cannot be used.
    """
    from omisync import show, sync

    listing: Listing | None = None
    now = time.time()
    if config.two_way:
        if opened is not None:
            sync.check_bound(opened, config)  # before another server gets to see the key

        async def glance(_bar: show.Progress | None) -> Listing:
            return await sync.glance(config, os.environ, opened, now)

        try:
            listing = shown(options, config.omi.base_url, glance)
        except errors.OtherAccount:
            raise
        except errors.OmisyncError as error:
            if isinstance(error, errors.RateLimited):
                until = show.clock_time(now + error.retry_after)
                error.advice = f"It may be asked again at {until}."
            error.message = (
                f"Omi could not be asked, so only what would be sent is shown: {error.message}"
            )
            show.error(error, sys.stderr)
    document, decided = sync.preview(config, opened, now, listing)
    return document, decided, listing is not None


def daemon(options: Namespace) -> int:
    """Stay in the foreground and sync each save."""
    # None of them is lost, and none ends a start that has not come to listen yet.
    early = {signal.SIGHUP, signal.SIGINT, signal.SIGUSR1}
    if signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, early):  # as an exec leaves it
        os.environ.pop(libc.HEAP, None)  # not for the programs that the daemon starts
    elif options.own_process:
        libc.take_its_heap(os.environ)
    from omisync.daemon import threads
    from omisync.daemon.serve import serve

    # What loads a module would swallow it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    level = "debug" if options.verbose else "warning" if options.quiet else None
    if options.json:
        raise errors.UsageError(
            "--json goes with --once, --dry-run and the commands",
            'For JSON logs of the daemon set format = "json" under [log].',
        )
    config_file = places.config_path(options.config, os.environ)
    return threads.run(serve(config_file, os.environ, level))
