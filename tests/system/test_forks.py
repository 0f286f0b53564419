"""That a forked command is the command: else the tests that fork would test something else."""

from __future__ import annotations

import os
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from forks import FORKS, Forked
from machine import PATIENCE, Machine, Omi, ended, lines

from omisync.sandbox import KEY

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

VARIABLE = [
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(\d+-\d+-\d+[T ])?\d+:\d\d(:\d\d)?\S*|\d+\.\d{3,}", "TIME"),
    (r"[0-9a-f]{8,}(-[0-9a-f]+)*", "ID"),
    (r"\b(ms|process)([ =])\d+", r"\1\2N"),
]
"""What differs between two runs of one command anyway."""

STORY: list[tuple[list[str], dict[str, str | None]]] = [
    (["--help"], {"COLUMNS": "60"}),
    (["status"], {"OMI_API_KEY": None}),
    (["plan", "--json"], {}),
    (["--once"], {"TZ": "Asia/Tokyo"}),
    (["--once", "--json"], {"TZ": "Asia/Tokyo"}),
    (["log"], {"TZ": "Asia/Tokyo"}),
    (["repair"], {}),
    (["--once", "-c", "größe.toml"], {}),
    (["init", "-c", "own/config.toml", "mine.md"], {"OMI_API_KEY": None}),
]
"""Commands one after another, on one machine."""


@pytest.fixture(autouse=True)
def _forked(machine: Machine) -> None:
    if not FORKS.suits(machine.surroundings()):
        pytest.skip("here every start is a real one")


@pytest.fixture(params=[False, True], ids=["forked", "real"])
def real(request: pytest.FixtureRequest) -> bool:
    """Whether commands start as in a shell."""
    return bool(request.param)


def plain(text: str, machine: Machine) -> str:
    """Return what was said, without what differs between two machines and moments."""
    text = text.replace(str(machine.home), "HOME")
    for pattern, word in VARIABLE:
        text = re.sub(pattern, word, text)
    return text


def told(folder: Path, *, real: bool) -> Iterator[object]:
    """Live the story on a new machine; yield what each command said and what files there are."""
    with machine_at(folder, real=real) as machine:
        machine.write("- [ ] Buy milk 📅 2030-01-31\n- [x] größe ✓\n")
        for arguments, environ in STORY:
            ran = machine.run(*arguments, typed=f"{KEY}\n", **environ)
            files = [
                f"{path.stat().st_mode:o} {plain(path.name, machine)}"
                for path in sorted(machine.home.rglob("*"))
            ]
            yield arguments, ran.code, plain(ran.out, machine), plain(ran.err, machine), files
        yield machine.omi.items(), machine.omi.sent()


@contextmanager
def machine_at(folder: Path, *, real: bool) -> Iterator[Machine]:
    """A machine with an Omi of its own."""
    with Omi() as omi:
        machine = Machine(folder / "home", omi, real=real)
        machine.home.mkdir(parents=True)
        machine.configure()
        yield machine


def test_a_fork_does_what_the_command_does(tmp_path: Path) -> None:
    """The same story, started both ways: the same codes, words, files and requests."""
    forked = list(told(tmp_path / "forked", real=False))
    real = list(told(tmp_path / "real", real=True))
    for one, other in zip(forked, real, strict=True):
        assert one == other


def seen(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the kernel knows of a process that has to do with how it was started."""
    about = Path("/proc", str(process.pid))
    status = dict(re.findall(r"(\w+):\t(.*)", (about / "status").read_text()))
    same = "PPid Umask Threads SigBlk SigIgn SigCgt Uid Gid CapEff NoNewPrivs"
    links = [str(path.readlink()) for path in (about / "fd").iterdir()]
    return {
        **{name: status.get(name) for name in same.split()},
        "group": (os.getpgid(process.pid), os.getsid(process.pid)),
        "limits": (about / "limits").read_text(),
        "program": (about / "exe").readlink(),
        # How many connections there are is a matter of chance: one that is not done yet is not
        # used again.
        "open": sorted(
            re.sub(r"\[\d+\]|-[0-9a-f]{8}", "", link).replace("/real/", "/forked/")
            for link in links
            if not link.startswith("socket:")
        ),
    }


@pytest.fixture
def umask() -> Iterator[int]:
    """A umask of this process that is not the usual one."""
    own = 0o027
    former = os.umask(own)
    yield own
    os.umask(former)


def test_the_kernel_sees_the_same_process(tmp_path: Path, umask: int) -> None:
    """A run that waits for Omi has the same parent, group, umask, signals, limits, open files."""
    sights = []
    for real in (False, True):
        with machine_at(tmp_path / ("real" if real else "forked"), real=real) as machine:
            machine.write(lines(1))
            machine.omi.sandbox.fault_next("hang", method="POST")
            with machine.start("--once") as process:
                assert isinstance(process, Forked) is not real
                machine.omi.until(lambda sandbox: bool(sandbox.waiting))
                sights.append(seen(process))
                process.kill()
                assert ended(process).code == -signal.SIGKILL
    assert sights[0] == sights[1]
    assert sights[0]["PPid"] == str(os.getpid())
    assert sights[0]["Umask"] == f"{umask:04o}"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_signals_end_both_alike(
    number: signal.Signals, code: int, real: bool, machine: Machine, omi: Omi
) -> None:
    """A run that waits for Omi ends with the code of the signal, and nothing is doubled."""
    machine.real = real
    machine.write(lines(1))
    omi.sandbox.slow_seconds = PATIENCE
    omi.sandbox.fault_next("slow", method="POST")
    process = machine.start("--once")
    omi.until(lambda sandbox: bool(sandbox.waiting))
    process.send_signal(number)
    assert ended(process).code == code
    machine.real = False
    omi.release()
    assert machine.once().code == 0
    assert omi.items() == {"task 1": False}


def test_what_python_reads_at_its_start_is_a_real_start(machine: Machine) -> None:
    """Another locale, or a variable of Python's own, is not for a process that runs already."""
    usual = machine.surroundings()
    assert FORKS.suits(usual)
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("COVERAGE_RUN", "true")):
        assert not FORKS.suits({**usual, name: value})
    assert not FORKS.suits({name: usual[name] for name in usual if name != "LANG"})
    assert FORKS.suits({**usual, "TZ": "Asia/Tokyo", "TERM": "xterm"})
