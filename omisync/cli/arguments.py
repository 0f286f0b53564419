"""What can be said on the command line, and the help that teaches it."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from omisync import __version__, places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omisync.config import Config

ABOUT = """\
omisync keeps Omi's action items saying what your todo file says.

Without a command it stays in the foreground, watches the file and syncs each
save; systemd starts it like that. Start with `omisync demo` (no key needed) or
`omisync init ~/todo.md`.
"""

LONGEST = 1e6
"""Seconds, some 11 days: systems cannot wait for any time that can be written."""

CODES = """\
exit codes:
  0 in sync     1 in sync, some tasks parked     2 command line
  65 todo file unusable, or a guard stopped it     66 todo file missing
  69 the server refuses this client     70 a fault of omisync     74 state store
  75 temporary, try again     77 key, scope or account     78 config     130 interrupted
"""


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; ``run`` is the function of the command.

    Raises:
        SystemExit: with code 2 and usage when the line makes no sense; 0 after help.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    for_once = options.allow_removals or options.grace or options.yes
    if (for_once or options.timeout is not None) and not options.once:
        parser.error("--allow-removals, --grace, --yes and --timeout go with --once")
    if options.command is None:
        _choose_run(options)
    elif options.once or options.dry_run:
        parser.error(f"--once and --dry-run do not go with the command {options.command}")
    elif options.json and options.command in SPEAKING:
        parser.error(f"--json does not go with the command {options.command}")
    return options


def config_of(options: argparse.Namespace) -> Config:
    """Return the config that the command line names; raises ``ConfigError``."""
    from omisync import config as configs

    return configs.load(places.config_path(options.config, os.environ), os.environ)


SPEAKING = {"demo", "sandbox"}
"""Commands that speak to a person only."""


def _choose_run(options: argparse.Namespace) -> None:
    if options.dry_run:
        options.run = _lazy("run", "plan")
    elif options.once:
        options.run = _lazy("run", "once")
    if options.timeout is None:
        options.timeout = 60.0


def _lazy(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Return a command that imports its module only when it runs."""

    def run(options: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int]
        command = getattr(import_module(f"omisync.cli.{module}"), name)
        return command(options)

    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omisync",
        description=ABOUT,
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=_lazy("run", "daemon"), command=None)
    _add_globals(parser, top=True)
    parser.add_argument("--version", action="version", version=f"omisync {__version__}")
    main = parser.add_argument_group("running")
    main.add_argument("--once", action="store_true", help="sync once and exit")
    main.add_argument(
        "--dry-run", action="store_true", help="show what would be done; changes nothing"
    )
    main.add_argument(
        "--allow-removals",
        action="store_true",
        help="with --once: let the removals pass that the guard refused last",
    )
    main.add_argument(
        "--yes",
        action="store_true",
        help="with --once: agree to what the first sync with an account asks (many tasks to"
        " bring in; a list of Omi's too long to be read whole)",
    )
    main.add_argument(
        "--grace",
        action="store_true",
        help="with --once: removed lines wait sync.removal_grace first (for timers)",
    )
    main.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="with --once: give up this long after the last success (default 60)",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_commands(commands)
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        seconds = float(text)
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, LONGEST)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 on")


def _port(text: str) -> int:
    with contextlib.suppress(ValueError):
        port = int(text)
        if 0 <= port < 65536:  # noqa: PLR2004 - TCP ports have 16 bits
            return port
    raise argparse.ArgumentTypeError(f"{text!r} is no port, 0 to 65535")


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        count = int(text)
        if count > 0:
            return min(count, sys.maxsize)  # more than that no store can count
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def _add_globals(parser: argparse.ArgumentParser, *, top: bool, alone: bool = False) -> None:
    """Add the options that every command takes, before or after its name.

    The help of a command leaves out what is for a sync only, and that of one which is
    ``alone``, without a config and without results for programs, those options too.
    """
    unset = None if top else argparse.SUPPRESS
    parser.add_argument(
        "-c",
        "--config",
        metavar="PATH",
        default=unset,
        help=argparse.SUPPRESS if alone else "the config file to use",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0 if top else argparse.SUPPRESS,
        help="say more" if top else argparse.SUPPRESS,
    )
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=False if top else argparse.SUPPRESS,
        help="say only what needs a person" if top else argparse.SUPPRESS,
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if top else argparse.SUPPRESS,
        help=argparse.SUPPRESS if alone else "results as JSON on stdout",
    )


def _add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    def add(name: str, module: str, text: str, more: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.\n\n{more}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=_lazy(module, name), command=name)
        _add_globals(command, top=False, alone=name in SPEAKING)
        return command

    init = add("init", "setup", "set omisync up for a todo file", INIT)
    init.add_argument("file", nargs="?", metavar="FILE", help="the todo file (default ~/todo.md)")
    add("plan", "run", "show what the next sync would do (the same as --dry-run)")
    add("status", "care", "tell how things stand; exits with the last sync's code", STATUS)
    add(
        "doctor",
        "doctor",
        "check everything a sync needs, with the next step of each fault",
        DOCTOR,
    )
    log = add("log", "care", "show what was done, to which task, and why")
    log.add_argument(
        "--clashes",
        action="store_true",
        help="values that gave way because both sides had changed the same field",
    )
    log.add_argument("-n", "--lines", type=_count, default=20, metavar="N", help="how many (20)")
    repair = add("repair", "care", "link tasks with Omi's again after a lost state", REPAIR)
    repair.add_argument(
        "--accept-account", action="store_true", help="the key or server is a new account's"
    )
    retry = add("retry", "care", "let parked tasks be tried again")
    retry.add_argument(
        "text", nargs="?", default="", metavar="TEXT", help="only tasks with this in their text"
    )
    forget = add("forget", "care", "give up removals that Omi refuses, or that wait", FORGET)
    forget.add_argument("text", metavar="TEXT", help="all with this in their text are given up")
    add("undo", "care", "take back what omisync last wrote into the file, and sync", UNDO)
    restore = add("restore", "care", "put back what a clash cost, and sync", RESTORE)
    restore.add_argument("text", type=_count, metavar="NUMBER", help="as in `log --clashes`")
    service = add("service", "service", "keep omisync running with systemd, as you", SERVICE)
    service.add_argument("action", choices=("install", "uninstall", "status"))
    service.add_argument(
        "--timer", action="store_true", help="install: a sync every 5 minutes instead of a daemon"
    )
    service.add_argument(
        "--force", action="store_true", help="install, uninstall: also a unit that was edited"
    )
    demo = add("demo", "demo", "show the whole thing on a local Omi server, no key needed", DEMO)
    demo.add_argument("file", nargs="?", metavar="FILE", help="your todo file (it is only read)")
    sandbox = add("sandbox", "sandbox", "serve a local Omi for trying things out", SANDBOX)
    sandbox.add_argument(
        "--port", type=_port, default=0, metavar="PORT", help="the port (default: a free one)"
    )
    sandbox.add_argument("--state", metavar="FILE", help="keep the items in this JSON file")
    sandbox.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="allow N reads and N writes an hour, as Omi allows 120 (default: no limit)",
    )
    sandbox.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND=SHARE",
        help="let this share of the requests fail so, as 5xx_after=0.3; can be given again",
    )


INIT = """\
Asks for the API key without showing it (or reads it from stdin when that is no
terminal), stores it readable only by you beside the config, and writes a short
config. Nothing that exists is overwritten.

Keys are made in the Omi app: Settings > Developer > Create Key, with the scopes
action_items:read and action_items:write.
"""
STATUS = """\
Reads the state store and the todo file (was it edited since? is a line odd?), and
asks nobody; it can be asked at any time, also while omisync runs. After a sync that
was well it exits with 75 while a create lacks its answer, with 74 or 75 where the
state could not be written now.
"""
DOCTOR = """\
Config, todo file (in two-way also whether it can be written), watching, state,
last sync, alarm, daemon, unit, key, server, write scope, clock. It asks the server for
the newest items and changes an item that cannot exist (one read and one write
of the limits); nothing else is touched.
"""
REPAIR = """\
Reads all action items and links every line with the item of the same text.
Creates and changes nothing in Omi. A damaged store is kept aside; the links
that can still be read in it stay.
"""
FORGET = """\
For a removed line whose item Omi will not complete or delete, or which is to be
removed soon: the item stays in Omi, omisync stops trying.
"""
UNDO = """\
For two-way sync: the file becomes what it was before the last write. Items whose
lines go with that stay in Omi. A file that was edited since is left alone; the
last 20 versions are kept beside the state store.
"""
RESTORE = """\
For two-way sync: where the file and Omi had both changed one field, one value gave
way. `omisync log --clashes` lists those values; this writes one into its line.
"""
SERVICE = """\
Writes the unit for the config (-c) into your systemd folder, with the paths of
this installation, and says what to run next; it starts and stops nothing. The
usual config gets omisync.service, another one omisync@NAME.service. A unit that
you edited is left alone. `status` exits with 78 when no unit is in place, or one
of another installation or config.
"""
DEMO = """\
Starts a sandbox server on this machine, syncs a sample list (or a copy of FILE)
with it, makes a few edits of the sample as a person would, and shows how they
travel; at the end one comes back from the app. Nothing outside a temporary
folder is touched.
"""
SANDBOX = """\
Behaves like the real server, its traps included, and shows each request as it
comes. Point OMI_API_BASE and OMI_API_KEY at what it prints.

With --fault requests fail, to see what becomes of them: 5xx_before and
reset_before before anything was done, 5xx_after, reset_after and garbage after
it was; hang, hang_after, slow, html, intercepted, redirect, or a status such as
429.
"""
