"""Reading the todo file: the bytes with their signature, and what cannot be a todo file."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from omisync import file
from omisync.errors import FileMissing, FileUnusable
from omisync.file.reading import SIZE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Be somebody for whom permissions count, even where the suite runs as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def refusal(path: Path) -> FileUnusable:
    """Return why this file is not read."""
    with pytest.raises(FileUnusable) as caught:
        file.read(path)
    assert caught.value.exit_code == 65
    assert str(path) in caught.value.message
    if "UTF-8" not in caught.value.message and "NUL" not in caught.value.message:
        assert file.glance(path) == caught.value.message
    assert caught.value.advice
    return caught.value


def absence(path: Path) -> FileMissing:
    """Return how it is said that this file is not there."""
    with pytest.raises(FileMissing) as caught:
        file.read(path)
    assert caught.value.exit_code == 66
    assert str(path) in caught.value.message
    assert file.glance(path) == caught.value.message
    assert caught.value.advice
    return caught.value


# What is read.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"- [ ] a\n",
        "- [ ] Käse 🧀\r\n".encode(),
        b"\xef\xbb\xbf- [ ] a",
        b"a\0b",
        b"a\0",
        b"ab\0",
        b"- [ ] a\n" * 50_000,
    ],
    ids=len,
)
def test_the_bytes_come_as_they_are(tmp_path: Path, data: bytes) -> None:
    """Nothing is decoded, stripped or translated on the way."""
    path = tmp_path / "todo.md"
    path.write_bytes(data)
    snapshot = file.read(path)
    assert snapshot.data == data
    assert snapshot.digest == file.digest(data) == file.glance(path)
    assert snapshot.signature == file.signature(path)


def test_equal_bytes_have_equal_digests(tmp_path: Path) -> None:
    """A rewritten file with the same bytes has another signature and the same digest."""
    path = tmp_path / "todo.md"
    path.write_bytes(b"a")
    first = file.read(path)
    path.unlink()
    path.write_bytes(b"a")
    os.utime(path, ns=(1, 1))
    second = file.read(path)
    assert second.digest == first.digest
    assert second.signature != first.signature
    path.write_bytes(b"b")
    assert file.read(path).digest != first.digest


def test_the_signature_has_what_a_save_changes(tmp_path: Path) -> None:
    """Times, size and inode are those of the file itself, also through a symlink."""
    path, link = tmp_path / "todo.md", tmp_path / "link.md"
    path.write_bytes(b"abc")
    link.symlink_to(path)
    status = path.stat()
    expected = (status.st_mtime_ns, status.st_ctime_ns, 3, status.st_ino)
    assert file.signature(path) == expected
    assert file.signature(link) == expected
    assert file.read(link).data == b"abc"


@pytest.mark.parametrize("name", ["none.md", "none/none.md", "bad\0name.md"])
def test_no_signature_where_nothing_is(tmp_path: Path, name: str) -> None:
    """The cheap look answers None instead of raising."""
    assert file.signature(tmp_path / name) is None


def test_a_signature_is_never_newer_than_its_bytes(tmp_path: Path) -> None:
    """While another thread appends, no signature counts bytes that were not read."""
    path = tmp_path / "todo.md"
    path.write_bytes(b"")
    done = threading.Event()

    def append() -> None:
        with path.open("ab", buffering=0) as opened:
            for _ in range(20_000):
                opened.write(b"- [ ] a\n" * 100)
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    while not done.is_set():
        data, _, signature = file.read(path)
        assert len(data) >= signature.size
    writer.join()
    assert file.read(path).signature == file.signature(path)
    assert len(file.read(path).data) == 20_000 * 800


# What is not there.


def test_a_missing_file(tmp_path: Path) -> None:
    """Its path is named."""
    assert absence(tmp_path / "todo.md").message.endswith("todo.md")


def test_a_missing_folder(tmp_path: Path) -> None:
    """The topmost folder that is missing is named: that is where a disk is not mounted."""
    message = absence(tmp_path / "disk" / "notes" / "todo.md").message
    assert f"{tmp_path / 'disk'} does not exist" in message


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    """A path that leads through a file is missing, and the file is named."""
    (tmp_path / "notes").write_bytes(b"")
    assert f"{tmp_path / 'notes'} is not a folder" in absence(tmp_path / "notes" / "a.md").message


def test_a_dangling_symlink(tmp_path: Path) -> None:
    """The target that does not exist is named."""
    (tmp_path / "todo.md").symlink_to(tmp_path / "gone.md")
    message = absence(tmp_path / "todo.md").message
    assert "symlink" in message
    assert str(tmp_path / "gone.md") in message


# What is no todo file.


def test_a_folder(tmp_path: Path) -> None:
    """A folder is refused by that name."""
    assert "is a folder" in refusal(tmp_path).message


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    """A FIFO that nobody writes to is refused at once."""
    os.mkfifo(tmp_path / "todo.md")
    assert "is a named pipe" in refusal(tmp_path / "todo.md").message


def test_a_device(tmp_path: Path) -> None:
    """A device, here behind a symlink, is refused."""
    (tmp_path / "todo.md").symlink_to("/dev/zero")
    assert "is a device" in refusal(tmp_path / "todo.md").message


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket cannot be opened as a file, and that is said."""
    monkeypatch.chdir(tmp_path)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("todo.md")
        assert "cannot be read" in refusal(tmp_path / "todo.md").message


def test_a_symlink_loop(tmp_path: Path) -> None:
    """A symlink to itself is refused, not followed for ever."""
    (tmp_path / "todo.md").symlink_to(tmp_path / "todo.md")
    assert "cannot be read" in refusal(tmp_path / "todo.md").message


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    """A path with a NUL byte is an answer, not a crash."""
    assert "cannot be read" in refusal(tmp_path / "a\0.md").message


def test_a_file_of_somebody_else(tmp_path: Path, unprivileged: None) -> None:
    """Without the right to read, the permission is named."""
    path = tmp_path / "todo.md"
    if os.geteuid() != NOBODY:
        path.write_bytes(b"a")
        path.chmod(0)
    assert "no permission" in refusal(path).message


def test_a_file_of_another_size(tmp_path: Path) -> None:
    """20 MB are read, a byte more is refused (sparse: before any of it is read)."""
    path = tmp_path / "todo.md"
    path.write_bytes(b"a" * SIZE_LIMIT)
    assert len(file.read(path).data) == SIZE_LIMIT
    os.truncate(path, SIZE_LIMIT + 1)
    assert "larger than 20 MB" in refusal(path).message
    os.truncate(path, 1 << 40)
    assert "larger than 20 MB" in refusal(path).message


@pytest.mark.parametrize(
    ("data", "message", "advice"),
    [
        (b"a\nb\xff", ":2: not UTF-8 at byte offset 3 (0xff, line 2)", "UTF-8"),
        ("- [ ] Käse\n".encode("latin-1"), ":1: not UTF-8 at byte offset 7", "UTF-8"),
        (b"ok\n" * 9 + b"\xed\xa0\x80", ":10: not UTF-8 at byte offset 27", "UTF-8"),
        (b"a\xc3", ":1: not UTF-8 at byte offset 1", "UTF-8"),
        (b"\xff\xfe" + "- [ ] a\n".encode("utf-16-le"), "UTF-16LE", "iconv -f UTF-16LE -t UTF-8"),
        (b"\xfe\xff" + "- [ ] ä\n".encode("utf-16-be"), "UTF-16BE", "iconv -f UTF-16BE -t UTF-8"),
        (b"\xff\xfe\0\0" + "- a".encode("utf-32-le"), "UTF-32LE", "iconv -f UTF-32LE"),
        (b"\0\0\xfe\xff" + "- a".encode("utf-32-be"), "UTF-32BE", "iconv -f UTF-32BE"),
        ("- [ ] no mark\n".encode("utf-16-le"), "UTF-16LE", "iconv -f UTF-16LE"),
        ("- [ ] no mark\n".encode("utf-16-be"), "UTF-16BE", "iconv -f UTF-16BE"),
        (b"\0" * 4096, "mostly NUL bytes", "backup"),
        (b"- [ ] a\n" + b"\0" * 9, "mostly NUL bytes", "backup"),
    ],
)
def test_bytes_that_are_no_utf8_text(
    tmp_path: Path, data: bytes, message: str, advice: str
) -> None:
    """What is wrong is said with its place, and what it looks like with the way out."""
    path = tmp_path / "todo list.md"
    path.write_bytes(data)
    error = refusal(path)
    assert message in error.message
    assert advice in error.advice


def test_the_conversion_that_is_advised_works(tmp_path: Path) -> None:
    """The encoding in the advice turns the file back into the text it was."""
    path = tmp_path / "todo.md"
    path.write_bytes(b"\xff\xfe" + "- [ ] Käse\n".encode("utf-16-le"))
    encoding = refusal(path).advice.split("iconv -f ")[1].split()[0]
    assert path.read_bytes().decode(encoding).lstrip("\ufeff") == "- [ ] Käse\n"


def test_half_nul_is_still_text(tmp_path: Path) -> None:
    """NUL bytes up to half of a file do not make it a victim of a crash."""
    path = tmp_path / "todo.md"
    path.write_bytes(b"- [ ] ab" + b"\0" * 8)
    assert file.read(path).data.endswith(b"\0")
