"""A machine of one's own for the real command: a home folder, a todo file, and Omi in a thread."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from forks import FORKS, Forked

import omisync
from omisync.sandbox import KEY, READ_ONLY_KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from omisync.sandbox.faults import Fault

PATIENCE = 50
"""Seconds after which a command hangs; the suite allows a test 60."""

OTHER_KEY = "omi_dev_sandbox_other_0123456789abcdef"
"""A second account's key; ``Omi`` knows it only when a test adds it."""

OF_PYTHON = {
    "LANG": "C.UTF-8",
    "PYTHONMALLOC": "malloc",  # as a daemon starts itself anew, which a fork cannot
    "PYTHONPATH": str(Path(omisync.__file__).parents[1]),
}
"""What a command is told of how Python is to start: the same for all, see ``forks``."""

IMPORT = "import time:"
"""How ``-X importtime`` begins its lines."""

STREAMS = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
"""The streams of a command, where nothing else is said."""

SECRETS = (KEY, READ_ONLY_KEY, OTHER_KEY)


class Ran(NamedTuple):
    """The outcome of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything a person at the terminal reads."""
        return self.out + self.err

    @property
    def data(self) -> Any:
        """What a program reads of stdout."""
        return json.loads(self.out)


class Omi:
    """The sandbox in a thread of its own, so that commands can be waited for."""

    def __init__(self, **traits: object) -> None:
        self.sandbox = Sandbox(**traits)  # type: ignore[arg-type]  # passed through
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, doing: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(PATIENCE)

    def start(self) -> None:
        """Serve; again at the same port after a stop."""
        self._call(self.sandbox.__aenter__())

    def stop(self) -> None:
        """Go away: connections are refused from now on."""
        self._call(self.sandbox.__aexit__())

    def until(self, predicate: Callable[[Sandbox], bool]) -> None:
        """Return once this holds; it is asked whenever a request comes or is answered."""
        self._call(self.sandbox.wait_for(predicate))

    def when(
        self, predicate: Callable[[Sandbox], bool], action: Callable[[], None]
    ) -> Future[None]:
        """Act as soon as this holds, in Omi's own thread; cancel what is returned to forget it."""

        async def watch() -> None:
            await self.sandbox.wait_for(predicate)
            action()

        return asyncio.run_coroutine_threadsafe(watch(), self._loop)

    def release(self) -> None:
        """Let slow requests end, and each later one succeed at once."""

        async def let_go() -> None:
            self.sandbox.fault_rate({})
            self.sandbox.release()
            await self.sandbox.idle()

        self._call(let_go())

    def fail(self, fault: Fault) -> None:
        """Let every request fail so, until ``heal``."""
        self.sandbox.fault_rate({fault: 1.0})

    def heal(self) -> None:
        """Let requests succeed again."""
        self.sandbox.fault_rate({})

    def sent(self) -> list[tuple[str, int | None]]:
        """The requests since last asked, as (method, status); forgets them."""
        requests = [(request.method, request.status) for request in self.sandbox.requests]
        self.sandbox.requests.clear()
        return requests

    def writes(self) -> list[str]:
        """The methods of the writes since last asked; forgets all requests."""
        return [method for method, _ in self.sent() if method != "GET"]

    def items(self) -> dict[str, bool]:
        """What Omi holds: description to completed; two equal descriptions fail."""
        items = list(self.sandbox.items.values())
        tally = Counter(item.description for item in items)
        doubled = [item for item in items if tally[item.description] > 1]
        assert not doubled, f"doubled: {doubled}"
        return {item.description: item.completed for item in items}


@dataclass
class Machine:
    """Someone's home folder with a todo file and a config, and the commands they type."""

    home: Path
    omi: Omi
    name: str = "todo.md"
    settings: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str | None] = field(default_factory=lambda: {"OMI_API_KEY": KEY})
    real: bool = False
    """Whether commands start as in a shell; else they are forks, which start in an instant."""

    @property
    def todo(self) -> Path:
        """The todo file."""
        return self.home / self.name

    @property
    def config_file(self) -> Path:
        """The config file, where a person has it."""
        return self.home / ".config" / "omisync" / "config.toml"

    @property
    def state(self) -> Path:
        """The folder of the state store."""
        return self.home / ".local" / "state" / "omisync"

    @property
    def store(self) -> Path:
        """The state store; there is one of it."""
        (found,) = self.state.glob("*.db")
        return found

    def write(self, text: str) -> None:
        """Save the todo file."""
        self.todo.write_text(text, encoding="utf-8", newline="")

    def configure(self, **tables: str) -> Path:
        """Write the config: the usual one, or with the lines of these tables besides."""
        lines = {
            "todo": f'path = "{self.todo}"\n',
            "omi": f'base_url = "{self.omi.sandbox.url}"\n',
        }
        for table, text in {**self.settings, **tables}.items():
            lines[table] = lines.get(table, "") + text
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"[{table}]\n{some}\n" for table, some in lines.items())
        self.config_file.write_text(text, encoding="utf-8")
        return self.config_file

    def surroundings(self, **more: str | None) -> dict[str, str]:
        """Return the environment of a command: nothing of ours gets in but what is named."""
        kept = {k: v for k, v in os.environ.items() if k == "PATH" or k.startswith("COVERAGE")}
        own = {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            **OF_PYTHON,
        }
        every = {**kept, **own, **self.environ, **more}
        return {name: value for name, value in every.items() if value is not None}

    def start(self, *arguments: str, **environ: str | None) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return self._started(subprocess.DEVNULL, arguments, environ)

    def run(self, *arguments: str, typed: str = "", **environ: str | None) -> Ran:
        """Run a command to its end; whatever it says, it shows no key and no traceback."""
        with self._started(subprocess.PIPE, arguments, environ) as process:
            try:
                out, err = process.communicate(typed, PATIENCE)
            except BaseException:
                process.kill()
                raise
        return checked(Ran(process.returncode, out, err))

    def _started(
        self, stdin: int, arguments: tuple[str, ...], environ: Mapping[str, str | None]
    ) -> subprocess.Popen[str]:
        return started(
            arguments, self.home, self.surroundings(**environ), stdin=stdin, real=self.real
        )

    def watched(self, *arguments: str, **environ: str | None) -> tuple[Ran, set[str]]:
        """Run a command; return also the names of the packages that it loaded."""
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "omisync", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.home,
            env=self.surroundings(**environ),
            timeout=PATIENCE,
            check=False,
        )
        said = done.stderr.splitlines()
        loaded = {line.rsplit("|", 1)[1].strip() for line in said if line.startswith(IMPORT)}
        rest = "".join(f"{line}\n" for line in said if not line.startswith(IMPORT))
        packages = {name.partition(".")[0] for name in loaded}
        return checked(Ran(done.returncode, done.stdout, rest)), packages

    def once(self, *arguments: str, **environ: str | None) -> Ran:
        """Run ``omisync --once``."""
        return self.run("--once", *arguments, **environ)

    def settled(self, code: int = 0) -> None:
        """Check that a run from here on sends nothing and ends with this code."""
        self.omi.sent()
        ran = self.once()
        assert ran.code == code, ran.said
        assert self.omi.sent() == [], "a settled state sends nothing"

    def synced(self, text: str) -> None:
        """Save this file and sync it, as the start of a story."""
        self.write(text)
        ran = self.once()
        assert ran.code == 0, ran.said
        self.omi.sent()


def started(
    arguments: tuple[str, ...],
    folder: Path,
    environ: Mapping[str, str],
    *,
    real: bool = False,
    **streams: int | IO[Any],
) -> subprocess.Popen[str]:
    """Start ``omisync`` in a folder and an environment: as a shell does, or as a fork."""
    forked = not real and FORKS.suits(environ)
    process: subprocess.Popen[str] = (Forked if forked else subprocess.Popen)(
        [sys.executable, "-m", "omisync", *arguments],
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=environ,
        **{**STREAMS, **streams},  # type: ignore[call-overload]  # names of streams
    )
    return process


def checked(ran: Ran) -> Ran:
    """Return the outcome of a command, after making sure that it tells no secret."""
    for secret in SECRETS:
        assert secret not in ran.said, "the key is shown"
    assert "Traceback" not in ran.said, ran.said
    return ran


def ended(process: subprocess.Popen[str], patience: float = PATIENCE) -> Ran:
    """Wait for a command that was started, at most so many seconds; it said what a pipe got."""
    out, err = process.communicate(timeout=patience)
    return checked(Ran(process.returncode, out or "", err or ""))


def lines(*numbers: int) -> str:
    """Return a list of open tasks, ``task 1`` and so on."""
    return "".join(f"- [ ] task {n}\n" for n in numbers)


def tree(folder: Path) -> Mapping[str, object]:
    """Return all that a folder holds: name to mode, and of files the bytes and the time."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = (path.read_bytes(), status.st_mtime_ns) if path.is_file() else None
        found[str(path.relative_to(folder))] = (status.st_mode, content)
    return found
