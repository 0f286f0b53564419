"""Writing TOML: what was asked for is in the file, and not a byte beside it differs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import due_values

from omisync.core import toml
from omisync.core.model import BOM, Addition, Change, Document, Entry, Rewriting, Span, Task
from omisync.core.splice import Splice, spliced
from omisync.core.toml import lines, scan
from omisync.core.toml.entries import COMPLETED_KEYS, DUE_KEYS, TEXT_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = {*TEXT_KEYS, *COMPLETED_KEYS, *DUE_KEYS, "id"}


def document(source: str) -> Document:
    """Return a file, read."""
    return toml.parse(source.encode())


def but(entry: Entry, **fields: object) -> Change:
    """Return the change of some fields of an entry."""
    return Change(entry, replace(entry.task, **fields))


def rewritten(source: str, *additions: Addition, **fields: object) -> str:
    """Return a file with these fields of its first task changed, and additions."""
    read = document(source)
    changes = [but(read.entries[0], **fields)] if fields else []
    result = toml.rewrite(read, changes, additions)
    assert result.refused == ()
    assert toml.parse(result.document.source) == result.document
    return result.document.source.decode()


def without(source: str, *indices: int) -> str:
    """Return a file without these tasks."""
    read = document(source)
    result = toml.rewrite(read, [Change(read.entries[index], None) for index in indices])
    assert result.refused == ()
    return result.document.source.decode()


# One task.


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({"text": "b"}, "text = 'a' # c", "text = 'b' # c"),
        ({"text": "it's"}, "text = 'a' # c", 'text = "it\'s" # c'),
        ({"text": "b\\"}, '\t"t\\u0069tle"\t=   " a"\t# "c"',
         '\t"t\\u0069tle"\t=   "b\\\\"\t# "c"'),
        ({"text": "b\nc"}, 'text = "a"', 'text = "b\\nc"'),
        ({"text": 'b\nc"'}, 'text = """\na\n""" # c', 'text = """\nb\nc"""" # c'),
        ({"text": "b\nc"}, "text = '''\na\n''' # c", 'text = """\nb\nc""" # c'),
        ({"text": "b\r\nc"}, "text = '''a'''", 'text = "b\\r\\nc"'),
        ({"text": "b"}, 'text = """\na\n""" # c', 'text = "b" # c'),
        ({"completed": True}, 'text = "a"', 'text = "a"\ncompleted = true'),
        ({"completed": True}, 'done=false#c\ntext = "a"', 'done=true#c\ntext = "a"'),
        ({"completed": True}, '  text = """\n     a"""\nx = 1',
         '  text = """\n     a"""\n  completed = true\nx = 1'),
        ({"due": "2026-01-31"}, 'x=1\ntext = "a" # c\n\ny=1',
         'x=1\ntext = "a" # c\ndue = 2026-01-31\n\ny=1'),
        ({"due": "2026-01-31T17:00"}, 'due_at = 2026-01-30\n# c\ntext = "a"',
         'due_at = 2026-01-31T17:00:00\n# c\ntext = "a"'),
        ({"due": "2026-01-31T17:00:30-05:30"}, 'text = "a"\ndue = 2026-01-30',
         'text = "a"\ndue = 2026-01-31T17:00:30-05:30'),
        ({"due": None}, 'text = "a"\ndue = 2026-01-30\nx = 1', 'text = "a"\nx = 1'),
        ({"due": None}, 'text = "a"\n due = 2026-01-30  # hard', 'text = "a"\n # hard'),
        ({"due": None}, 'text = "a"\ndue = 2026-01-30', 'text = "a"'),
        ({"completed": True, "due": "2026-01-31"}, 'text = "a"\n[todo.x]\ndone = 1',
         'text = "a"\ncompleted = true\ndue = 2026-01-31\n[todo.x]\ndone = 1'),
        ({"text": "b"}, 'x.text = 1\ntext = "a"\ny = nan', 'x.text = 1\ntext = "b"\ny = nan'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_a_change_rewrites_its_line(
    fields: dict[str, object], before: str, after: str, ending: str, is_ended: bool
) -> None:
    """Only the value differs: not the key, the spaces, the comment, or any other line."""
    frame = "# top\n[[todo]] # h\n{}" + "\n" * is_ended
    old, new = (frame.format(body).replace("\n", ending) for body in (before, after))
    assert rewritten(old, **fields) == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('text = "a"\nx = 1', 'text = "a"\nid = "n"\nx = 1'),
        ('text = "a"\nid = "" # c', 'text = "a"\nid = "n" # c'),
        ('id = "o" # c\ntext = "a"', 'id = "n" # c\ntext = "a"'),
        ('due = 2026-01-31\ntext = "a"', 'due = 2026-01-31\ntext = "a"\nid = "n"'),
    ],
)
def test_an_id_is_written_and_replaced(before: str, after: str) -> None:
    """It takes the place of another; a new one stands below the other keys of the task."""
    (entry,) = document(f"[[todo]]\n{before}\n").entries
    result = toml.rewrite(document(f"[[todo]]\n{before}\n"), [Change(entry, entry.task, "n")])
    assert result.document.source.decode() == f"[[todo]]\n{after}\n"
    assert (result.changed, result.refused) == ((0,), ())


A, B, C = (f'[[todo]]\ntext = "{name}"\n' for name in "abc")


@pytest.mark.parametrize(
    ("before", "removed", "after"),
    [
        (f"{A}\n{B}\n{C}", [1], f"{A}\n{C}"),
        (f"{A}\n{B}\n{C}", [0], f"{B}\n{C}"),
        (f"{A}\n{B}\n{C}", [2], f"{A}\n{B}"),
        (f"{A}\n{B}\n{C}", [0, 1], C),
        (f"{A}\n{B}\n{C}", [1, 2], A),
        (f"{A}\n{B}\n{C}", [0, 2], B),
        (f"{A}\n{B}\n{C}", [0, 1, 2], ""),
        (f"{A}\n\n{B}\n{C}", [1], f"{A}\n\n{C}"),
        (f"{A}{B}\n\n{C}", [1], f"{A}\n\n{C}"),
        (f"{A}{B}{C}", [1], f"{A}{C}"),
        (f"{A}\n{B}\n\n", [1], f"{A}\n\n"),
        (f"\ufeff\n{A}\n{B}", [0], f"\ufeff\n{B}"),
        (f"{A}\n{B[:-1]}", [1], A[:-1]),
        (f"# top\n\n# of a\n{A}# too\n\n# apart\n\n# of b\n{B}", [0],
         f"# top\n\n# apart\n\n# of b\n{B}"),
        (f"{A}\n# of b\n{B}[todo.x]\ny = 1\n# z\n\n[other]\nz = 1\n", [1],
         f"{A}\n[other]\nz = 1\n"),
        (f"{A}[todo.x]\n\n{B}", [0], B),
        (f"{A}\n{B}\n\n{C[:-1]}", [1], f"{A}\n\n{C[:-1]}"),
        (f'x = """\n# text"""\n{A}', [0], 'x = """\n# text"""\n'),
        (f"{A}\n{B}\n{C}".replace("\n", "\r\n"), [1], f"{A}\n{C}".replace("\n", "\r\n")),
    ],
)  # fmt: skip
def test_a_removed_task_leaves_no_gap(before: str, removed: list[int], after: str) -> None:
    """Its comments go with it, those that stand apart stay, and blank lines do not add up."""
    assert without(before, *removed) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "+"),
        ("\ufeff", "\ufeff+"),
        ("\ufeff\n", "\ufeff\n+"),
        ("x = 1\n#\n", "x = 1\n#\n\n+"),
        ("\n\n", "\n\n+"),
        ("x = 1\n", "x = 1\n\n+"),
        (f"{A}\n", f"{A}\n+"),
        (f"{A}# end\n", f"{A}# end\n\n+"),
        (f"{A}\n[todo.x]\n[other]\n", f"{A}\n[todo.x]\n[other]\n\n+"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_additions_stand_at_the_end(before: str, after: str, ending: str, is_ended: bool) -> None:
    """Each is a table with a blank line above; the file's line ends and its last one are kept."""
    if not is_ended and before.endswith("\n"):
        before = before.removesuffix("\n") + "# e"
        after = before + "\n\n+"
    ending = ending if "\n" in before else "\n"
    key = "text" if "text" in before else "description"
    one = f'[[todo]]\n{key} = "n\\té"\n'
    two = f'[[todo]]\n{key} = "m"\ncompleted = true\ndue = 2026-01-31\nid = "i"\n'
    new = after.replace("+", f"{one}\n{two}").replace("\n", ending)
    if before.removeprefix("\ufeff") and not before.endswith("\n"):
        new = new.removesuffix(ending)
    added = [Addition(Task("n\té")), Addition(Task("m", True, "2026-01-31"), "i")]
    assert rewritten(before.replace("\n", ending), *added) == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('todo = [{text="a", x=1}, {text="b"}] # c\ny = 1\n',
         'todo = [{text="z", x=1, completed = true}, {text = "n"}] # c\ny = 1\n'),
        ("todo = [\r\n  {text='a'}, # 1\r\n  {text='b'}, # 2\r\n]\r\n",
         "todo = [\r\n  {text='z', completed = true}, # 1\r\n  {text = \"n\"},\r\n]\r\n"),
        ('todo = [\n\t{ text = "a" }, # ]\n# b\n\t{ text = "b" } # 2\n]',
         'todo = [\n\t{ text = "z", completed = true }, # ]\n\t{text = "n"}\n# b\n]'),
        ("todo = [ # 0\n\t{ text = 'a' } # 1\n\t, { text = 'b', due = 2026-01-31 }\n]",
         "todo = [ # 0\n\t{ text = 'z', completed = true }, # 1\n\t{text = \"n\"}\n\t\n]"),
        ("todo = [ { text = 'a' } ,{ text = 'b' } , ]",
         "todo = [ { text = 'z', completed = true } , {text = \"n\"},]"),
    ],
)  # fmt: skip
def test_an_inline_array_is_rewritten_in_place(before: str, after: str) -> None:
    """Tasks of ``todo = [...]`` change, go and come within that statement."""
    read = document(before)
    one, two = read.entries
    changes = [Change(two, None), but(one, text="z", completed=True)]
    result = toml.rewrite(read, changes, [Addition(Task("n"))])
    assert (result.changed, result.added, result.refused) == ((None, 0), (1,), ())
    assert result.document.source.decode() == after


@pytest.mark.parametrize(
    ("before", "removed", "after"),
    [
        ("[{text='a'}, {text='b'}, {text='c'}]", [0], "[{text='b'}, {text='c'}]"),
        ("[{text='a'}, {text='b'}, {text='c'}]", [1, 2], "[{text='a'}]"),
        ("[{text='a'},\n {text='b'}, # b\n]", [1], "[{text='a'},\n]"),
        ("[\n {text='a'}, # a\n# b\n {text='b'} # b\n# end\n]", [1],
         "[\n {text='a'} # a\n# b\n# end\n]"),
        ("[\n {text='a'}\n# of b\n ,{text='b'}]", [0], "[\n \n# of b\n {text='b'}]"),
        ("[{text='a'}, # c\n]", [0], "[ # c\n]"),
    ],
)  # fmt: skip
def test_a_table_goes_from_an_array(before: str, removed: list[int], after: str) -> None:
    """With the comma and the line that it had for itself."""
    assert without(f"todo = {before}\n", *removed) == f"todo = {after}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[{text='a'}]", "[{text='a'}, +, +]"),
        ("[ {text='a'} , ]", "[ {text='a'} , +, +, ]"),
        ("[\n {text='a'} # c\n]", "[\n {text='a'}, # c\n +,\n +\n]"),
        ("[\n {text='a'}, # c\n# d\n]", "[\n {text='a'}, # c\n +,\n +,\n# d\n]"),
        ("[\n\t{text='a'} ]", "[\n\t{text='a'},\n\t+,\n\t+ ]"),
        ("[ # c ]\n]", "[ # c ]\n+, +]"),
    ],
)
def test_a_table_comes_to_an_array(before: str, after: str) -> None:
    """Laid out as the one above it, with a comma behind it where that one had one."""
    key = "text" if "text" in before else "description"
    new = f"todo = {after}\n".replace("+", f'{{{key} = "n"}}')
    added = Addition(Task("n"))
    for ending in ("\n", "\r\n"):
        source = f"todo = {before}\n".replace("\n", ending)
        assert rewritten(source, added, added) == new.replace("\n", ending)


@pytest.mark.parametrize(
    ("tables", "text", "completed", "due"),
    [
        (["title = 'a'\ndone = true", "title = 'b'", "text = 'c'"], "title", "done", "due"),
        (["text = 'a'\ndue_at = 2026-01-31"], "text", "completed", "due_at"),
        (["title = 'a'", "text = 'b'"], "text", "completed", "due"),  # as often: the one we name
        (["title = 'a'\ncompleted = true", "description = 'b'"], "description", "completed", "due"),
        (["text = 'a'\ndescriptions = 1\n[todo.x]\ndone = 1"], "text", "completed", "due"),
    ],
)
def test_new_keys_have_the_names_that_the_file_uses(
    tables: list[str], text: str, completed: str, due: str
) -> None:
    """A file of `title` and `done` had some `description` and `completed` in it soon."""
    before = "\n".join(f"[[todo]]\n{table}\n" for table in tables)
    new = Addition(Task("z", completed=True, due="2026-02-01"))
    said = f'{text} = "z"\n{completed} = true\n{due} = 2026-02-01\n'
    assert rewritten(before, new) == f"{before}\n[[todo]]\n{said}"
    inline = ", ".join(
        "{" + table.replace("\n", ", ") + "}" for table in tables if "[" not in table
    )
    if inline:
        said = said.strip().replace("\n", ", ")
        assert rewritten(f"todo = [{inline}]\n", new) == f"todo = [{inline}, {{{said}}}]\n"
    last = document(before + "[[todo]]\ntext = 'z'\n")
    result = toml.rewrite(last, [but(last.entries[-1], completed=True)])
    assert result.document.source.decode().endswith(f"text = 'z'\n{completed} = true\n")


def test_an_empty_array_takes_additions() -> None:
    """``todo = []`` says that there are no tasks; a table beside it would be an error."""
    assert rewritten("todo = []\n", Addition(Task("n"))) == 'todo = [{description = "n"}]\n'


def test_a_key_of_an_inline_table_goes() -> None:
    """A date that is taken away leaves the other keys, and what stands around the array."""
    before = "[x]\ny = 1\n"
    source = 'name = "n"\ntodo = [{text = "a", due = 2026-01-31, x = 1}]\n' + before
    assert rewritten(source, due=None) == source.replace(", due = 2026-01-31", "")
    source = 'todo = [{ due = 2026-01-31, text = "a" }]'
    assert rewritten(source, due=None) == 'todo = [{ text = "a" }]'


def test_several_tables_of_an_array_go_at_once() -> None:
    """Whichever they are; the others stay in order."""
    source = "todo = [{text='a'}, {text='b'}, {text='c'}, {text='d'}]"
    assert [e.task.text for e in document(without(source, 0, 2)).entries] == ["b", "d"]


def test_what_goes_to_one_place_keeps_its_order() -> None:
    """Splices at one offset stand as they were given, the files' other bytes around them."""
    splices = [Splice(1, 2, b"!"), Splice(1, 1, b"z"), Splice(1, 1, b"y")]
    assert spliced(b"abc", splices) == b"azy!c"


def test_the_first_line_tells_how_lines_end() -> None:
    """A file of both kinds keeps to how it begins."""
    assert lines.line_end(b"a\r\nb\n") == b"\r\n"
    assert lines.line_end(b"a\nb\r\n") == b"\n"


def test_nothing_is_cut_where_nothing_goes() -> None:
    """A file keeps all of its tables."""
    assert list(lines.removals(A.encode(), set())) == []


def test_a_key_of_another_table_may_have_the_name_of_the_list() -> None:
    """It is no array of tasks: those are tables in this file."""
    assert rewritten(f"{A}[x]\ntodo = 1\n", text="b") == f"{B}[x]\ntodo = 1\n"


def test_equal_tasks_of_an_array_are_told_apart() -> None:
    """The entry that is meant changes, though another has the same task on the same line."""
    read = document("todo = [{text='a', x=1}, {text='a', x=2}]")
    result = toml.rewrite(read, [but(read.entries[1], text="b")])
    assert tomllib.loads(result.document.source.decode())["todo"][0] == {"text": "a", "x": 1}
    assert result.changed == (1,)


# What is refused.


@pytest.mark.parametrize(
    "task",
    [
        Task(""), Task(" a"), Task("\x1f"), Task("\ud800"), Task("a", due="tomorrow"),
        Task("a", due="20260131"), Task("a", due="2026-01-31T17:00Z"), Task("a", due=""),
        Task("a", due="0001-01-01T00:00+05:00"),
    ],
)  # fmt: skip
def test_what_no_file_says_is_refused_alone(task: Task) -> None:
    """A text or a date that cannot be read back stays out, and all else is written."""
    read = document(f"{A}\n{B}")
    one, two = read.entries
    bad, added = Change(one, task), Addition(task)
    result = toml.rewrite(read, [bad, but(two, text="z")], [added, Addition(Task("n"))])
    assert result.refused == (bad, added)
    assert [entry.task.text for entry in result.document.entries] == ["a", "z", "n"]
    assert (result.changed, result.added) == ((None, 1), (None, 2))


def test_an_id_that_cannot_be_read_back_is_refused() -> None:
    """An id with spaces around it would be another one."""
    added = Addition(Task("n"), " i")
    assert toml.rewrite(document(""), [], [added]).refused == (added,)


def test_a_strange_or_a_second_change_is_refused() -> None:
    """Only entries of this document are changed, and each once."""
    read = document(A)
    first, second = but(read.entries[0], text="x"), but(read.entries[0], text="y")
    strange = but(document(B).entries[0], text="z")
    result = toml.rewrite(read, [strange, first, second])
    assert result.refused == (strange, second)
    assert result.changed == (None, 0, None)


def test_a_table_that_is_needed_elsewhere_stays() -> None:
    """A task whose sub-table stands below another table cannot go alone; the others can."""
    read = document(f"{A}\n{B}\n[other]\n[todo.late]\nx = 1\n")
    changes = [Change(entry, None) for entry in read.entries]
    result = toml.rewrite(read, changes, [Addition(Task("n"))])
    assert result.refused == (changes[1],)
    assert [entry.task.text for entry in result.document.entries] == ["b", "n"]
    assert (result.changed, result.added) == ((None, None), (1,))


def test_a_sub_table_does_not_move_to_another_task() -> None:
    """What stands below another table and belongs to a task would become its neighbour's."""
    read = document(f"{A}\n{B}\n[other]\n[todo.late]\nx = 1\n")
    change = Change(read.entries[1], None)
    assert toml.rewrite(read, [change]) == Rewriting(read, (None,), (), (change,))


@pytest.mark.parametrize(
    "source", [b"[[todo", b"todo = [1", b'x = "' + b"\xff" + b'"', b"x = " + b"[" * 5_000]
)
def test_a_file_that_cannot_be_read_is_left_alone(source: bytes) -> None:
    """Bytes that are not TOML, or too deep to be read once more, refuse everything."""
    added = Addition(Task("n"))
    broken = Document(source, ())
    assert toml.rewrite(broken, [], [added]) == Rewriting(broken, (), (None,), (added,))


@pytest.mark.parametrize(
    "other",
    [
        "x = nan", "x = [inf, -0.0, 1e3]", f"x = 0x{'f' * 9_000}", "x.y.z = 1979-05-27T07:32:00Z",
        "x = " + "[" * 60 + "]" * 60,
    ],
)  # fmt: skip
def test_odd_values_elsewhere_are_no_obstacle(other: str) -> None:
    """What is not equal to itself, or cannot be printed, stands beside a change."""
    assert rewritten(f"{other}\n{A}{other}\n", text="b") == f"{other}\n{B}{other}\n".replace(
        B, A.replace('"a"', '"b"')
    )


def test_a_key_too_deep_to_compare_refuses() -> None:
    """A path of a thousand names is read, and a change beside it never ends in an error."""
    read = document(".".join("a" * 1_000) + f" = 1\n{A}")  # the most since Python 3.14
    change = but(read.entries[0], text="b")
    result = toml.rewrite(read, [change])
    assert result.refused in {(), (change,)}


def test_nothing_asked_is_nothing_done() -> None:
    """What the file says already is not written, and the library for writing not loaded."""
    script = (
        "import sys; from omisync.core import toml; from omisync.core.model import Change;"
        'read = toml.parse(b\'[[todo]]\\ntext = "a"\\nid = "i"\');'
        "result = toml.rewrite(read, [Change(e, e.task, 'i') for e in read.entries]);"
        "assert result.document is read and result.changed == (0,) and not result.refused;"
        "print('tomlkit' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["False"]


# Any text, any date.


@given(
    st.text() | st.text(st.sampled_from("a'\"\\\n\r\t \0\x7f\u2028\ud800\ufeff#=🙂"), max_size=9)
)
def test_a_legible_text_is_read_back(description: str) -> None:
    """Whatever was in the description, its legible form is in the file, in any quotes."""
    text = toml.legible(description)
    assert toml.legible(text) == text
    assert bool(text) == bool(description.strip())
    if not text:
        return
    for old in ('"a"', "'a'", '"""a"""', "'''\na'''"):
        for ending in ("\n", "\r\n"):
            source = f"[[todo]]\ntext = {old} # c\n".replace("\n", ending)
            new = rewritten(source, Addition(Task(text)), text=text)
            assert [entry.task.text for entry in document(new).entries] == [text, text]


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (" \u2003\n", ""),
        (" a\r\nb\0 ", "a\r\nb\0"),
        ("a\ud83d", "a\ufffd"),
        ("a  b\x85c", "a  b\x85c"),
    ],
)
def test_what_is_legible(description: str, text: str) -> None:
    """Only the ends are stripped, and what is no character is replaced."""
    assert toml.legible(description) == text


@given(due_values(), st.none() | due_values())
def test_any_due_value_is_read_back(value: str, old: str | None) -> None:
    """Dates, local times and times with an offset come, change and go."""
    read = document(rewritten("", Addition(Task("a", due=old))))
    assert [entry.task.due for entry in read.entries] == [old]
    new = toml.rewrite(read, [but(read.entries[0], due=value)])
    assert [entry.task.due for entry in new.document.entries] == [value]
    back = toml.rewrite(new.document, [but(new.document.entries[0], due=old)])
    assert back.document.source == read.source


# Any file, any change.

QUOTED = st.sampled_from(
    [
        '"a"',
        "'b # [[todo]]'",
        '"""\n[[todo]]\nc"""',
        "'''\n# d\n'''",
        '" \\u00e9\\n"',
        '"""x\\\n  y"""',
    ]
)
DATES = st.sampled_from(
    ["2026-01-31", "2026-01-31 17:00:00", "2026-01-31T17:00:30.25", "2026-01-31T17:00:00z"]
)
EQUALS = st.sampled_from([" = ", "=", "\t =  "])
TAILS = st.sampled_from(["", "", " # c", "\t#'''", "  "])
GAPS = st.sampled_from(["", "", "\n", "\n\n", "# apart\n\n", "# [[todo]]\n", " \t\n"])
UNKNOWN = ["x = [1, # ]\n  2]", "'y.z' = {a = nan}", 'k.text = """\n[[todo]]\n"""', "due.x = 0"]


@st.composite
def bodies(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Return the keys and values of a task; all but its text may be missing."""
    body = [(draw(st.sampled_from(TEXT_KEYS)), draw(QUOTED))]
    if draw(st.booleans()):
        body += [(draw(st.sampled_from(COMPLETED_KEYS)), draw(st.sampled_from(["true", "false"])))]
    if draw(st.booleans()):
        body += [(draw(st.sampled_from(DUE_KEYS)), draw(DATES))]
    if draw(st.booleans()):
        body += [("id", draw(st.sampled_from(['"i"', '""'])))]
    return body


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Return a ``[[todo]]`` table of odd layout."""
    body = draw(bodies())
    indent = draw(st.sampled_from(["", "  ", "\t"]))
    rows = [
        indent + draw(st.sampled_from([name, f'"{name}"'])) + draw(EQUALS) + value + draw(TAILS)
        for name, value in draw(st.permutations(body))
    ]
    rows += [row + draw(TAILS) for row in UNKNOWN[:3] if draw(st.booleans())]
    rows = [draw(GAPS) + row + "\n" for row in draw(st.permutations(rows))]
    if draw(st.booleans()):
        rows += [draw(GAPS), "[todo.sub]\ntext = 1\n", draw(GAPS), "[[todo.steps]]\nid = 2\n"]
    header = draw(st.sampled_from(["[[todo]]", " [[ todo ]]", "[['todo']] # [["]))
    return header + "\n" + "".join(rows)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return a file of tasks between other tables, in any line ends, with or without the last."""
    parts = [draw(GAPS), draw(st.sampled_from(["", "top = nan\n"]))]
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["todo", "todo", "todo", "table", "array"]))
        name = {"table": f"[t{number}]", "array": f"[[a{number}]]"}.get(kind)
        parts += [draw(GAPS), f"{name}\nx = 1\n" if name else draw(tables()), draw(GAPS)]
    text = "".join(parts).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    if draw(st.booleans()):
        text = text.removesuffix("\n").removesuffix("\r")
    return (BOM if draw(st.booleans()) else b"") + text.encode()


TASKS = st.builds(
    Task,
    st.text(max_size=5).map(toml.legible).filter(bool),
    st.booleans(),
    st.none() | due_values(),
)


@st.composite
def asked(draw: st.DrawFn, source: bytes) -> tuple[Document, list[Change], list[Addition]]:
    """Return a file, read, with changes of some of its tasks in any order, and additions."""
    read = toml.parse(source)
    entries = draw(st.lists(st.sampled_from(read.entries), unique=True)) if read.entries else []
    ids = st.sampled_from([None, "n"])
    changes = []
    for entry in entries:
        new = draw(TASKS)
        task = Task(
            draw(st.sampled_from([entry.task.text, new.text])),
            draw(st.sampled_from([entry.task.completed, new.completed])),
            draw(st.sampled_from([entry.task.due, new.due])),
        )
        changes.append(Change(entry, draw(st.none() | st.just(task) | st.just(task)), draw(ids)))
    return read, changes, draw(st.lists(st.builds(Addition, TASKS, ids), max_size=2))


def meaning(source: bytes, gone: Sequence[int], touched: Sequence[int]) -> str:
    """Return all that a file says but for the tasks gone and the keys of the tasks touched."""
    data = toml.load(source)
    todos = data.pop("todo", [])
    assert isinstance(todos, list)
    rest = [
        {key: value for key, value in todo.items() if number not in touched or key not in OURS}
        for number, todo in enumerate(todos)
        if number not in gone
    ]
    return repr((data, rest))


def check(case: tuple[Document, list[Change], list[Addition]]) -> None:
    """Check that a rewriting did all of what was asked, and nothing else."""
    read, changes, additions = case
    result = toml.rewrite(read, changes, additions)
    new = result.document
    assert result.refused == ()
    assert toml.parse(new.source) == new

    places = {change.entry.span.start: change for change in changes}
    rows: list[tuple[Task, str | None]] = []
    for entry in read.entries:
        change = places.get(entry.span.start)
        if change is None:
            rows.append((entry.task, entry.explicit_id))
        elif change.task:
            rows.append((change.task, change.explicit_id or entry.explicit_id))
    count = len(rows)
    rows += [(addition.task, addition.explicit_id) for addition in additions]
    assert [(entry.task, entry.explicit_id) for entry in new.entries] == rows
    for change, index in zip(changes, result.changed, strict=True):
        assert (index is None) == (change.task is None)
        assert index is None or new.entries[index].task == change.task
    assert result.added == tuple(range(count, count + len(additions)))

    starts = [entry.span.start for entry in read.entries]
    gone = [starts.index(change.entry.span.start) for change in changes if not change.task]
    touched = [starts.index(change.entry.span.start) for change in changes]
    written = [index for index in result.changed if index is not None]
    added = list(result.added)
    left = meaning(new.source, added, written)  # type: ignore[arg-type]  # none is refused
    assert left == meaning(read.source, gone, touched)


@given(files().flatmap(asked))
def test_only_what_was_asked_differs(case: tuple[Document, list[Change], list[Addition]]) -> None:
    """Any changes and additions in any file are written, and the data beside them is the same."""
    check(case)


@pytest.mark.campaign
@settings(max_examples=5_000)
@given(files().flatmap(asked))
def test_only_what_was_asked_differs_at_length(
    case: tuple[Document, list[Change], list[Addition]],
) -> None:
    """The same, for 5,000 examples."""
    check(case)


def of_the_person(chunk: bytes) -> list[bytes]:
    """Return the lines of a table that no change is about, without the file's last line end."""
    statements = list(scan.statements(chunk))
    headers = [number for number, one in enumerate(statements) if one.kind == b"["]
    own = statements[: headers[1] if len(headers) > 1 else len(statements)]
    task = [one for one in own if one.kind == b"=" and scan.key_of(chunk, one)[0] in OURS]
    task = [one for one in task if len(scan.key_of(chunk, one)) == 1]
    return [chunk[one.start : one.end].rstrip() for one in statements if one not in task]


@given(files().flatmap(asked))
def test_no_byte_outside_of_a_changed_task_differs(
    case: tuple[Document, list[Change], list[Addition]],
) -> None:
    """What stands between changed tasks is the same, and so are all other lines within them."""
    read, changes, _ = case
    changes = [change for change in changes if change.task]
    new = toml.rewrite(read, changes).document
    touched = {change.entry.span.start for change in changes}
    both = zip(read.entries, new.entries, strict=True)
    pairs = [(old.span, now.span) for old, now in both if old.span.start in touched]
    ends = [*pairs[1:], (Span(len(read.source), 0), Span(len(new.source), 0))]
    first = pairs[0] if pairs else ends[-1]
    assert read.source[: first[0].start] == new.source[: first[1].start]
    for (old, now), (old_next, now_next) in zip(pairs, ends if pairs else (), strict=True):
        between = read.source[old.end : old_next.start]
        # Not where its table ends now: a comment may have come to stand on the next header.
        end = now_next.start - len(between)
        assert new.source[end : now_next.start] == between
        kept = iter(of_the_person(new.source[now.start : end]))
        assert all(line in kept for line in of_the_person(read.source[slice(*old)]))


PAIRS = [
    "x = [1, # ]\n 2026-01-31 ]",
    "'y.z' = {a = 2026-01-31 , b = {} }",
    'k.text = "]"',
    "z=nan",
]
BETWEEN = st.sampled_from([", ", ",", " ,\n  ", ", # c, {\n\t", " # ]\n# c\n , ", ",\n\n"])
OPEN = st.sampled_from(["[", "[ ", "[\n  ", "[ # c ]\n"])
CLOSE = st.sampled_from(["]", " ]", ", ]", ",]", "\n]", ",\n]", " # }\n]", ", # c\n  # d\n]"])


@st.composite
def inline(draw: st.DrawFn) -> str:
    """Return an inline table of odd layout."""
    body = draw(bodies())
    pairs = [f"{name}{draw(EQUALS)}{value}" for name, value in body]
    pairs += [pair for pair in PAIRS if draw(st.booleans())]
    blank = st.sampled_from(["", " ", "\t"])
    spaced = [draw(blank) + pair + draw(blank) for pair in draw(st.permutations(pairs))]
    return "{" + ",".join(spaced) + "}"


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """Return a file that has its tasks in one array, in any layout and line ends."""
    cells = draw(st.lists(inline(), max_size=5))
    body = "".join(one for cell in cells for one in (cell, draw(BETWEEN)))
    body = body[: body.rindex("}") + 1] if cells else ""
    close = draw(CLOSE) if cells else draw(CLOSE).replace(",", "")
    top, below = draw(st.sampled_from([("", ""), ("top = [ 2026-01-31 ] \n", "[o]\na = nan # c")]))
    text = f"{top}{draw(GAPS)}todo{draw(EQUALS)}{draw(OPEN)}{body}{close}{draw(TAILS)}\n{below}"
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return (BOM if draw(st.booleans()) else b"") + text.encode()


def laid_out(source: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the tables of a file's array, and what stands around them."""
    cells, _ = scan.inline_tables(source)
    starts, ends = [cell.start for cell in cells], [cell.end for cell in cells]
    around = zip([0, *ends], [*starts, len(source)], strict=True)
    return [source[cell.start : cell.end] for cell in cells], [source[a:b] for a, b in around]


@given(arrays().flatmap(asked))
def test_no_byte_of_an_array_differs_that_was_not_asked_for(
    case: tuple[Document, list[Change], list[Addition]],
) -> None:
    """Other tables keep theirs, and where none goes or comes so does what is around them."""
    read, changes, additions = case
    result = toml.rewrite(read, changes, additions)
    assert result.refused == ()
    assert toml.parse(result.document.source) == result.document
    (old, around), (new, around_new) = laid_out(read.source), laid_out(result.document.source)
    asked_of = {id(change.entry): change for change in changes}
    rows = [asked_of.get(id(entry)) for entry in read.entries]
    kept = [(table, row) for table, row in zip(old, rows, strict=True) if not row or row.task]
    assert len(new) == len(kept) + len(additions)
    for (table, row), table_new in zip(kept, new, strict=False):
        if row is None:
            assert table_new == table
        else:
            others = [pair for pair in of_the_pairs(table) if pair[0] not in OURS]
            assert [pair for pair in of_the_pairs(table_new) if pair[0] not in OURS] == others
    tasks = [row.task if row else e.task for e, row in zip(read.entries, rows, strict=True)]
    tasks = [task for task in tasks if task] + [addition.task for addition in additions]
    assert [entry.task for entry in result.document.entries] == tasks
    if len(old) == len(new) == len(kept):
        assert around_new == around
    assert around_new[0].startswith(around[0].partition(b"[")[0])
    _, close = scan.inline_tables(read.source)
    assert result.document.source.endswith(read.source[close:])


def of_the_pairs(table: bytes) -> list[tuple[str, bytes]]:
    """Return the keys of an inline table, each with its bytes from the key on."""
    cells = scan.inline_values(table, scan.Cell(0, len(table), -1))
    return [(".".join(cell.path), table[cell.key : cell.end]) for cell in cells]


@given(files().flatmap(asked))
def test_changing_back_restores_the_data(
    case: tuple[Document, list[Change], list[Addition]],
) -> None:
    """A file whose tasks change and change back, and whose additions go, says what it said."""
    read, changes, additions = case
    changes = [replace(change, explicit_id=None) for change in changes if change.task]
    there = toml.rewrite(read, changes, additions)
    back = [
        Change(there.document.entries[index], change.entry.task)
        for change, index in zip(changes, there.changed, strict=True)
        if index is not None
    ]
    back += [Change(entry, None) for entry in there.document.entries[len(read.entries) :]]
    again = toml.rewrite(there.document, back).document
    assert [e.task for e in again.entries] == [e.task for e in read.entries]
    assert [e.explicit_id for e in again.entries] == [e.explicit_id for e in read.entries]


@given(files(), st.lists(TASKS.map(Addition), min_size=1, max_size=3))
def test_an_addition_that_goes_leaves_the_file_as_it_was(
    source: bytes, additions: list[Addition]
) -> None:
    """Adding and removing again gives the bytes back, blank lines at the end aside."""
    there = toml.rewrite(toml.parse(source), [], additions)
    assert there.document.source.startswith(source.rstrip(b"\r\n"))
    new = there.document.entries[-len(additions) :]
    again = toml.rewrite(there.document, [Change(entry, None) for entry in new])
    assert again.refused == ()
    assert again.document.source.rstrip() == source.rstrip()


@pytest.mark.campaign
def test_many_changes_of_a_long_list() -> None:
    """300 changes of 10,000 tasks are written with one look at the result."""
    read = document("".join(f'[[todo]]\ntext = "task {n}" # c\n\n' for n in range(10_000)))
    changes = [but(entry, text=f"{entry.task.text}!") for entry in read.entries[::33]]
    assert toml.rewrite(read, changes).refused == ()
