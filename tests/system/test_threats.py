"""What each line of the README's section Security promises, with the real command.

| threat | tests |
|---|---|
| key at rest | here; test_places: ``..._that_others_can_read``, ``..._of_ones_own`` |
| key in anything shown | here; machine.checked (each command of the suite); test_api_errors: ``no_error_shows_the_key``; test_config: ``a_key_in_the_config_is_not_repeated`` |
| hostile server | tests/shell/test_fuzz_api; test_api_errors (redirect, gzip, endless, broken); test_api: ``any_id_arrives_as_it_is``, ``a_dangerous_id`` |
| hostile todo file | here; tests/core/test_fuzz; test_markdown: ``hostile_and_huge_files``; test_show: ``Escapes, controls``; test_file: 20 MB |
| other local users | here; test_store: ``0600``; test_control: ``only_the_owner_can_ask``; test_file_replace: rights, copies |
| symlinks and temporary files | here; test_file_replace: planted names, another user's folder |
| control socket | here; test_control; test_daemon_process: ``Garbage and silence``; tests/shell/test_fuzz_api |
| notify_command | here |
| TLS, proxy, redirect | test_api_way; test_api_errors: ``a_redirect``; test_places: ``a_base_url_that_is_not_safe`` |
| damaged state | tests/shell/test_fuzz_api: ``a_damaged_store``; test_once: damages; test_store |
| dependencies | test_packaging |
"""  # noqa: E501 - a table

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from machine import PATIENCE, ended, lines, tree

from omisync import control
from omisync.errors import StoreUnusable
from omisync.sandbox import KEY
from omisync.store import Store, check_place, lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from machine import Machine, Omi

OTHER_USER, NOBODY = 12345, 65534

COMMANDS = (
    ("--once",), ("--once", "--json"), ("-v", "--once"), ("--dry-run",), ("--dry-run", "--json"),
    ("status",), ("status", "--json"), ("log",), ("log", "--json"), ("doctor",),
    ("doctor", "--json"), ("repair",), ("repair", "--json"), ("retry",), ("forget", "x"),
    ("service", "status"), ("--help",), ("--version",), ("nonsense",),
)  # fmt: skip

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """Be nobody, in a folder that everybody can write to, with another user's things in it."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in folder.parents:
        if stat.S_IMODE(parent.stat().st_mode) & 0o005 != 0o005 and parent.stat().st_uid == 0:
            parent.chmod(0o755)
    os.seteuid(NOBODY)
    yield folder
    os.seteuid(0)


# The key.


@pytest.mark.parametrize("umask", [0, 0o277, 0o777])
def test_a_key_is_nobody_elses_whatever_the_umask(machine: Machine, umask: int) -> None:
    """Key file, state and all beside and above it are the owner's alone, who can use them."""
    machine.config_file.unlink()
    former = os.umask(umask)
    try:
        assert machine.run("init", str(machine.todo), typed=KEY, OMI_API_KEY=None).code == 0
        machine.configure(omi=f'api_key_file = "{machine.config_file.with_name("omi-api-key")}"\n')
        machine.write(lines(1, 2))
        with machine.start(OMI_API_KEY=None) as daemon:
            machine.omi.until(lambda omi: len(omi.items) == 2)
            modes = {
                path: stat.S_IMODE(path.stat().st_mode)
                for path in (
                    *(machine.state, machine.state.parent, machine.state.parent.parent),
                    *machine.state.iterdir(),
                    machine.config_file.with_name("omi-api-key"),
                )
            }
            daemon.send_signal(signal.SIGTERM)
            assert ended(daemon).code == 0
    finally:
        os.umask(former)
    assert len(modes) >= 7
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o677 != 0o600} == {}


class Echo(BaseHTTPRequestHandler):
    """Refuses each reading, and says with which key it came."""

    def do_GET(self) -> None:
        """Refuse it."""
        said = json.dumps({"detail": f"Invalid API key: {self.headers['Authorization']}"})
        self.send_response(401)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a server that says again what it is told."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_shows_the_key(machine: Machine, echo: str, words: tuple[str, ...]) -> None:
    """Refused by a server that echoes it, verbose, as JSON or wrong: ``machine.checked`` looks."""
    machine.write(lines(1))
    said = machine.once(OMI_API_BASE=echo).said
    assert "Invalid API key: Bearer omi_de" in said
    machine.run(*words, OMI_API_BASE=echo)


def test_a_key_in_the_wrong_place_is_not_repeated(machine: Machine) -> None:
    """In the server's address: 78, and the message does not show it."""
    machine.write(lines(1))
    assert machine.once(OMI_API_BASE=f"https://me:{KEY}@api.omi.me").code == 78


def test_a_crash_shows_no_key(machine: Machine) -> None:
    """Out of descriptors in the middle of everything, what is printed has no key in it."""
    machine.write(lines(1))
    for limit in (5, 9):
        done = subprocess.run(
            [sys.executable, "-m", "omisync", "-v", "--once"],
            capture_output=True,
            env=machine.surroundings(),
            preexec_fn=lambda limit=limit: resource.setrlimit(
                resource.RLIMIT_NOFILE, (limit, limit)
            ),
            timeout=PATIENCE,
            check=False,
        )
        assert KEY.encode() not in done.stdout + done.stderr


def test_a_running_daemon_leaves_no_core_and_no_key_in_its_arguments(machine: Machine) -> None:
    """Whoever lists processes sees no key; a crash writes no memory to the disk."""
    machine.write(lines(1))
    with machine.start() as daemon:
        machine.omi.until(lambda omi: len(omi.items) == 1)
        process = Path(f"/proc/{daemon.pid}")
        assert KEY.encode() not in (process / "cmdline").read_bytes()
        assert resource.prlimit(daemon.pid, resource.RLIMIT_CORE)[0] == 0
        assert stat.S_IMODE((process / "environ").stat().st_mode) == 0o400
        daemon.send_signal(signal.SIGTERM)
        assert ended(daemon).code == 0


def test_a_notify_command_gets_words_not_a_shell(machine: Machine) -> None:
    """Nothing in a message or a file's name is run; the key is not in its environment."""
    machine.name = "a $(touch pwned) `touch pwned`; touch pwned.md"
    told = machine.home / "told"
    script = machine.home / "tell"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" >"{told}.new"\nenv >>"{told}.new"\n'
                      f'mv "{told}.new" "{told}"\n')  # fmt: skip
    script.chmod(0o755)
    machine.configure(watch=f'notify_command = "{script} one"\nnotify_after = 0.0\n')
    machine.write(lines(1))
    machine.omi.fail("503")
    machine.real = True
    with machine.start(PYTHONMALLOC=None) as daemon:
        done = threading.Event()
        for _ in range(PATIENCE * 10):
            if told.exists() or done.wait(0.1):
                break
        daemon.send_signal(signal.SIGTERM)
        ended(daemon)
    count, first, message, *environ = told.read_text().splitlines()
    assert (count, first) == ("2", "one")
    assert "$(touch pwned)" in message
    assert not any(KEY in line or "PYTHONMALLOC" in line for line in environ)
    assert list(machine.home.rglob("pwned*")) == []


# The todo file.


def test_a_todo_file_that_speaks_to_terminals_is_only_shown(machine: Machine) -> None:
    """Titles, clipboards, colours and turned lines never reach stdout or stderr."""
    machine.write(
        "- [ ] a\x1b]0;pwned\x07\x1b[2J\x9b31m\u202eb due:\x1b[1m\n# \x1b]52;c;eA==\x07\n"
    )
    for words in (("--dry-run",), ("--once",), ("log",), ("status",), ("doctor",)):
        said = machine.run(*words).said
        assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(said), words


# Other users of this machine.


@needs_root
def test_a_store_of_another_user_is_not_used(nobody: Path) -> None:
    """Who plants a state, or its lock, decides nothing; it is named with its owner."""
    path = nobody / "todo.db"
    os.seteuid(0)
    Store.open(path).close()
    with lock(path, "planted"):
        pass
    for planted in nobody.iterdir():
        planted.chmod(0o666)
        os.chown(planted, OTHER_USER, OTHER_USER)
    os.seteuid(NOBODY)
    with pytest.raises(StoreUnusable, match="another user"):
        Store.open(path)
    with pytest.raises(StoreUnusable, match="another user"):
        Store.peek(path)
    named = f"{path}.lock belongs to another user"
    with pytest.raises(StoreUnusable, match=f"^{re.escape(named)}"), lock(path, "mine"):
        pass


@pytest.mark.parametrize("what", ["folder", "fifo", "socket"])
def test_a_lock_that_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Nothing is waited for, and nothing is written into it."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    place = Path("todo.db.lock")
    with socket.socket(socket.AF_UNIX) as door:
        match what:
            case "folder":
                place.mkdir()
            case "fifo":
                os.mkfifo(place)
            case _:
                door.bind(str(place))
        said = re.escape(f"{tmp_path / place} is no file of its own, so it is not used")
        with pytest.raises(StoreUnusable, match=f"^{said}"), lock(tmp_path / "todo.db", "mine"):
            pass
        with pytest.raises(StoreUnusable, match=f"^{said}"):
            check_place(tmp_path / "todo.db")


@needs_root
@pytest.mark.parametrize("part", ["folder", "store"])
def test_a_place_that_is_closed_is_named(nobody: Path, part: str) -> None:
    """The store itself, or its folder: that is what is to be made writable."""
    path = nobody / "todo.db"
    os.seteuid(0)
    Store.open(path).close()
    path.chmod(0o444 if part == "store" else 0o666)
    nobody.chmod(0o777 if part == "store" else 0o755)
    os.seteuid(NOBODY)
    said = re.escape(f"The state store {path} cannot be written: Permission denied")
    with pytest.raises(StoreUnusable, match=f"^{said}$") as caught:
        check_place(path)
    closed = path if part == "store" else nobody
    assert caught.value.advice.startswith(f"Make {closed} writable for you, ")


@needs_root
@pytest.mark.parametrize("mode", [0o555, 0o444, 0o000])
def test_a_place_that_cannot_be_made_is_named(nobody: Path, mode: int) -> None:
    """The folder of the store is not there yet, or not to be seen: the one around it is closed."""
    os.seteuid(0)
    nobody.chmod(mode)
    os.seteuid(NOBODY)
    path = nobody / "omisync" / "lists" / "todo.db"
    for look in (check_place, lambda path: lock(path, "mine").__enter__()):
        with pytest.raises(StoreUnusable, match="cannot be written: Permission denied") as caught:
            look(path)
        assert caught.value.advice.startswith(f"Make {nobody} writable for you, ")


@needs_root
def test_a_lock_that_is_closed_is_named(nobody: Path) -> None:
    """Not the folder, which is open: whoever made it writable would have won nothing."""
    place = nobody / "todo.db.lock"
    os.seteuid(0)
    place.touch(0o600)
    os.seteuid(NOBODY)
    said = re.escape(f"{place} cannot be opened (Permission denied)")
    with pytest.raises(StoreUnusable, match=f"^{said}"), lock(nobody / "todo.db", "mine"):
        pass
    with pytest.raises(StoreUnusable, match=f"^{said}"):
        check_place(nobody / "todo.db")


@pytest.mark.parametrize("how", ["symlink_to", "hardlink_to"])
def test_a_lock_that_leads_elsewhere_empties_nothing(tmp_path: Path, how: str) -> None:
    """A link in place of the lock is refused, and the file behind it stays as it is."""
    precious, path = tmp_path / "precious", tmp_path / "todo.db"
    precious.write_text("mine")
    getattr(tmp_path / "todo.db.lock", how)(precious)
    said = f"{path}.lock is no file of its own, so it is not used for the state"
    with pytest.raises(StoreUnusable, match=f"^{re.escape(said)}$"), lock(path, "mine"):
        pass
    assert precious.read_text() == "mine"


def test_a_store_that_became_readable_is_closed_again(machine: Machine) -> None:
    """A backup that was put back with other rights is the owner's alone after the next run."""
    machine.synced(lines(1))
    machine.store.chmod(0o644)
    machine.write(lines(1, 2))
    assert machine.once().code == 0
    assert stat.S_IMODE(machine.store.stat().st_mode) == 0o600


@needs_root
def test_a_socket_of_another_user_is_not_believed(nobody: Path) -> None:
    """Who answers in place of the daemon is not heard: no run ends as if all was done."""
    os.seteuid(0)
    path = control.place(nobody / "todo.db", {})
    lie = json.dumps({"code": 0, "out": "In sync", "err": "", "temporary": False}).encode() + b"\n"
    os.seteuid(OTHER_USER)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        os.seteuid(0)
        path.chmod(0o777)
        os.seteuid(NOBODY)

        def answer() -> None:
            talk, _ = door.accept()
            with talk, contextlib.suppress(BrokenPipeError):  # hung up on already
                talk.sendall(lie)

        liar = threading.Thread(target=answer)
        liar.start()
        assert control.ask(nobody / "todo.db", {}, {"do": "cycle"}) is None
        liar.join()


def test_only_what_is_named_is_written(machine: Machine, omi: Omi) -> None:
    """A push leaves the todo file, its folder and the config as they are."""
    machine.write(lines(1, 2))
    before = tree(machine.home)
    assert machine.once().code == 0
    after = tree(machine.home)
    state = ".local"
    assert {k: v for k, v in after.items() if not k.startswith(state)} == before
