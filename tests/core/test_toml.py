"""The TOML format: what its tasks say, where they stand, and what is wrong with a broken one."""

from __future__ import annotations

import json
import tomllib
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spans import check_order

from omisync.core import toml
from omisync.core.model import Document, Notice, Span, Task
from omisync.core.toml import entries, scan
from omisync.errors import ParseError

BOM = b"\xef\xbb\xbf"


def tasks(source: str) -> list[Task]:
    """Return what a file says."""
    return [entry.task for entry in toml.parse(source.encode()).entries]


def one(body: str) -> Task:
    """Return the task of one table with these keys."""
    (task,) = tasks(f"[[todo]]\n{body}\n")
    return task


def lines(source: str) -> list[int]:
    """Return the line of each task."""
    return [entry.line for entry in toml.parse(source.encode()).entries]


def chunks(source: str) -> list[str]:
    """Return the text of each task's chunk."""
    raw = source.encode()
    return [raw[slice(*entry.span)].decode() for entry in toml.parse(raw).entries]


def refusal(source: str | bytes) -> ParseError:
    """Return the error that this file causes."""
    with pytest.raises(ParseError) as caught:
        toml.parse(source if isinstance(source, bytes) else source.encode())
    return caught.value


# What the tasks say.


def test_a_task_needs_only_its_description() -> None:
    """Without other keys a task is open and has no date."""
    assert one('description = "Buy milk"') == Task("Buy milk", completed=False, due=None)


@pytest.mark.parametrize(
    ("body", "task"),
    [
        ('text = "a"\ndone = true\ndue_at = 2026-01-31', Task("a", True, "2026-01-31")),
        ('title = "a"\ncompleted = true\ndue = 2026-01-31', Task("a", True, "2026-01-31")),
        ('"text" = "a"', Task("a")),
        ('description = "  a \\n"', Task("a")),
        ('description = """\nfirst\nsecond\n"""', Task("first\nsecond")),
        ("description = 'C:\\temp'", Task("C:\\temp")),
        ('description = "a"\npriority = 3\ntags = ["x"]\nmeta.done = 1', Task("a")),
    ],
)
def test_keys_and_aliases(body: str, task: Task) -> None:
    """Each key has its aliases, outer white space goes, other keys are ignored."""
    assert one(body) == task


@pytest.mark.parametrize(
    ("value", "due"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T17:00:00", "2026-01-31T17:00"),
        ("2026-01-31 17:00:00", "2026-01-31T17:00"),
        ("2026-01-31T17:00:30", "2026-01-31T17:00:30"),
        ("2026-01-31T17:00:00+02:00", "2026-01-31T17:00+02:00"),
        ("2026-01-31T17:00:00-05:30", "2026-01-31T17:00-05:30"),
        ("2026-01-31T17:00:00Z", "2026-01-31T17:00+00:00"),
        ("2026-01-31 17:00:30z", "2026-01-31T17:00:30+00:00"),
        ("0001-01-01", "0001-01-01"),
    ],
)
def test_the_three_kinds_of_dates(value: str, due: str) -> None:
    """A date, a local date-time and one with an offset become the canonical text."""
    assert one(f'description = "a"\ndue = {value}').due == due


@pytest.mark.parametrize(
    ("value", "explicit_id"), [('"abc"', "abc"), ("' abc '", "abc"), ('""', None)]
)
def test_an_explicit_id(value: str, explicit_id: str | None) -> None:
    """The person may name the remote item; an empty id names none."""
    (entry,) = toml.parse(f'[[todo]]\ntext = "a"\nid = {value}\n'.encode()).entries
    assert entry.explicit_id == explicit_id


@pytest.mark.parametrize(
    "source", ["", "\n", "# nothing\n\n  # [[todo]]\n", "todo = []", BOM.decode()]
)
def test_a_file_without_tasks(source: str) -> None:
    """No ``[[todo]]`` at all is a list without tasks, not an error."""
    assert toml.parse(source.encode()) == Document(source.encode(), ())


@pytest.mark.parametrize(("size", "notices"), [(500, 0), (501, 1)])
def test_a_long_description_is_noticed(size: int, notices: int) -> None:
    """Up to 500 characters are sent whole; beyond, the person is told, on the task's line."""
    document = toml.parse(f'\n[[todo]]\ntext = "{"ä" * size}"\n'.encode())
    assert len(document.entries[0].task.text) == size
    said = (
        "the description has more than 500 characters: "
        "Omi gets it cut at a word, the file keeps it whole"
    )
    assert document.notices == (Notice(2, said),) * notices


# Where they stand.


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('[[todo]]\ntext="a"\n\n[[todo]]\ntext="b"', [1, 4]),
        ('\ufeff# c\n[[todo]]\ntext="a"', [2]),
        ('[[todo]]\r\ntext="a"\r\n\r\n[[todo]] # x\r\ntext="b"\r\n', [1, 4]),
        ('  [[ todo ]]\ntext="a"\n\t[["todo"]]\ntext="b"\n[[\'todo\']]\ntext="c"', [1, 3, 5]),
        ('[["t\\u006fdo"]]\ntext="a"', [1]),
        ('[[todo]]\ntext="""\n[[todo]]\n"""\n[[todo]]\ntext="b"', [1, 5]),
        ('[[todo]]\ntext="""a\\"""\n[[todo]]\n""\\\\"""""\n[[todo]]\ntext="b"', [1, 5]),
        ("[[todo]]\ntext='''\n[[todo]]\n''\n'''''\n[[todo]]\ntext='b'", [1, 6]),
        ('[[todo]]\ntext="\\"#"\n[[todo]]\ntext="[["', [1, 3]),
        ('x = [\n  "[[todo]]", # [[todo]] ]\n  [[1]],\n]\n[[todo]]\ntext="a"', [5]),
        ('[[todo]]\ntext="a"\nx=[\n[1]\n,[2]\n]\n[[todo]]\ntext="b"', [1, 7]),
        ('# [[todo]]\n[[todo]]\ntext="a" # """\n[[todo]]\ntext="b"', [2, 4]),
        ('[[todo]]\ntext="a"\n[todo.meta]\nx=1\n[[todo.steps]]\n[[todo]]\ntext="b"', [1, 6]),
        ('[[x.todo]]\n[todos]\n[[todo]]\ntext="a"', [3]),
        ('x = 1\n"todo" = [\n {text="a"},\n {text="b"},\n]', [3, 4]),
        ('[[todo]]\ntext=""" """', None),
        ("[[todo]]\ntext=\"\"'x'", None),
    ],
)
def test_headers_are_found(source: str, expected: list[int] | None) -> None:
    """The line of a task is its header's, whatever looks like a header elsewhere."""
    if expected is None:
        refusal(source)
    else:
        assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('[[todo]]\ntext="a"\n\n[[todo]]\ntext="b"\n',
         ['[[todo]]\ntext="a"\n\n', '[[todo]]\ntext="b"\n']),
        ('# top\n[[todo]]\ntext="a"\n# of b\n# too\n[[todo]]\ntext="b"',
         ['[[todo]]\ntext="a"\n', '[[todo]]\ntext="b"']),
        ('[[todo]]\ntext="a"\n# of a\n\n[[todo]]\ntext="b"',
         ['[[todo]]\ntext="a"\n# of a\n\n', '[[todo]]\ntext="b"']),
        ('[[todo]]\ntext="a"\n# m\n[todo.meta]\nx=1\n# o\n[other]\n[todo.late]\n',
         ['[[todo]]\ntext="a"\n# m\n[todo.meta]\nx=1\n']),
        ('\ufeff  [[todo]]\r\ntext="a"\r\n# b\r\n[b]\r\n', ['  [[todo]]\r\ntext="a"\r\n']),
        ('todo = [{text="a"}]', [""]),
    ],
)  # fmt: skip
def test_chunks(source: str, expected: list[str]) -> None:
    """A chunk goes from its header to the next table or the comment that stands on it."""
    assert chunks(source) == expected


def test_an_inline_array_has_no_chunk() -> None:
    """Tasks of an inline array cannot be taken out alone: their span is empty."""
    assert [e.span for e in toml.parse(b'todo = [{text="a"}]').entries] == [Span(0, 0)]


PIECES = st.text(st.sampled_from("a[]todo=\"'#{}\n\\é🙂 ,."), max_size=12)
LITERAL = PIECES.map(lambda text: text.replace("'", "").replace("\n", ""))


def _basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _multiline(text: str) -> str:
    return '"""\n' + text.replace("\\", "\\\\").replace('"""', '""\\"') + 'x"""'


STRINGS = st.one_of(
    PIECES.map(_basic), LITERAL.map(lambda text: f"'{text}'"), PIECES.map(_multiline)
)
VALUES = st.recursive(
    STRINGS | st.sampled_from(["1", "true", "2026-01-31", "1.5e3"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[" + " , # ]\n".join(values) + "\n]"),
        st.lists(inner, max_size=2).map(
            lambda values: (
                "{" + ", ".join(f"k{n} = {v}" for n, v in enumerate(values)) + "}"
                if not any("\n" in v for v in values)
                else "0"
            )
        ),
    ),
    max_leaves=4,
)
LAYOUT = st.text(st.sampled_from("\n \t"), max_size=4).map(lambda text: "\n" + text + "\n")
COMMENTS = PIECES.map(lambda text: "# " + text.replace("\n", "\n# ") + "\n")
HEADERS = st.sampled_from(["[[todo]]", " [[ todo ]]", "[['todo']] # [[", '[["todo"]]'])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a valid TOML document with tasks between other things."""
    numbers = count()
    parts = [draw(COMMENTS | LAYOUT), *_keys(draw, numbers)]
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["todo", "todo", "table", "array"]))
        if kind == "todo":
            parts += [draw(HEADERS), "\n", f"description = {draw(STRINGS.map(_unblank))}\n"]
            parts += _keys(draw, numbers)
            if draw(st.booleans()):
                parts += [f"[todo.sub]\nn = {draw(VALUES)}\n"]
        else:
            parts += [f"[[a{next(numbers)}]]\n" if kind == "array" else f"[t{next(numbers)}]\n"]
            parts += _keys(draw, numbers)
        parts += [draw(COMMENTS | LAYOUT | st.just(""))]
    text = "".join(parts)
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def _keys(draw: st.DrawFn, numbers: count[int]) -> list[str]:
    names = [f"k{next(numbers)}" for _ in range(draw(st.integers(0, 2)))]
    return [f"{name} = {draw(VALUES)} # {draw(LITERAL)}\n" for name in names]


def _unblank(string: str) -> str:
    return string if str(tomllib.loads(f"x = {string}")["x"]).strip() else '"x"'


@given(documents(), st.booleans())
def test_each_table_has_bytes_of_its_own(text: str, bom: bool) -> None:
    """The chunks stand in the file one after the other, with a byte order mark too."""
    source = BOM * bom + text.encode()
    check_order(toml.parse(source), source)


@given(documents())
def test_a_chunk_alone_says_the_same(text: str) -> None:
    """The bytes of a chunk, read as a file of their own, hold exactly that task's table."""
    source = text.encode()
    todos = tomllib.loads(text).get("todo", [])
    entries = toml.parse(source).entries
    assert len(entries) == len(todos)
    for entry, todo in zip(entries, todos, strict=True):
        chunk = source[slice(*entry.span)]
        assert tomllib.loads(chunk.decode()) == {"todo": [todo]}
        assert source.count(b"\n", 0, entry.span.start) == entry.line - 1
        assert entry.task.text == todo["description"].strip()


@given(documents())
def test_every_key_is_found_on_its_line(text: str) -> None:
    """The line that is told for a key begins with that key."""
    rows = text.split("\n")
    for path, line in toml.key_lines(text.encode()).items():
        assert path[-1] in rows[line - 1].split("=")[0]


# What is wrong.


@pytest.mark.parametrize(
    ("source", "line", "column", "what"),
    [
        ('[[todo]]\ntext "a"\n', 2, 6, "Expected '='"),
        ("[[todo]\n", 1, 7, "]]"),
        ('x = "a', 1, 7, "Unterminated string"),
        ('\ufeffx = "a', 1, 7, "Unterminated string"),
        ("a = 1\nb = [1,\n", 3, 1, ""),
        ("a = 1\na = 2\n", 2, 6, "overwrite"),
        ("todo = 1\n[[todo]]\n", 2, None, "overwrite"),
        ("a = 2026-02-30", 1, None, "date"),
        ("a = 1\r\nb = \r\n", 2, 5, "value"),
        (b'\xef\xbb\xbf[[todo]]\ntext = "\xff"', 2, 9, "UTF-8"),
        ("x = " + "[" * 100_000, 1, 1, "nested"),
        ("x = " + "9" * 5_000, 1, 1, "not valid TOML"),
    ],
)
def test_broken_toml(source: str | bytes, line: int, column: int | None, what: str) -> None:
    """What tomllib refuses is told with its line and column."""
    error = refusal(source)
    assert error.line == line
    assert column in {None, error.column}
    assert what in error.message
    assert "(at " not in error.message


def test_the_location_of_newer_pythons_is_used() -> None:
    """Python 3.14 has line and column as attributes, and they count."""
    error = ValueError("Invalid value (at end of document)")
    error.lineno, error.colno = 3, 7  # type: ignore[attr-defined]  # before 3.14 it has none
    assert entries._located(error, b"") == ("Invalid value", 3, 7)


@pytest.mark.parametrize(
    ("source", "line", "what", "advice"),
    [
        ("todo = 1", 1, "list of tables", "[[todo]]"),
        ("x = 1\n\n[todo]\ntext = 'a'", 3, "list of tables", "[[todo]]"),
        ("x = 1\ntodo.text = 'a'", 2, "list of tables", "[[todo]]"),
        ("todo = ['a']", 1, "list of tables", "[[todo]]"),
        ("[[todo]]\ndone = true", 1, "no description", "description ="),
        ("[[todo]]\ntext = 'a'\n[[todo]]", 3, "[[todo]] number 2 (line 3)", "description ="),
        ("[[todo]]\nx = 1\ndescription = 5", 3, "description is not text", "description ="),
        ("[[todo]]\n\ntext = ' \\t'\n".replace("'", '"'), 3, "text is blank", "remove"),
        ("[[todo]]\ntext = 'a'\ntitle = 'a'", 3, "text and title mean the same", "keep title"),
        ("[[todo]]\ntext = 'a'\ndescription = 'a'", 3, "mean the same", "best description"),
        ("[[todo]]\ntext = 'a'\ndone = true\ncompleted = true", 4, "mean the same", "keep one"),
        ("[[todo]]\ntext = 'a'\ndue = 2026-01-01\ndue_at = 2026-01-01", 4, "mean", "keep one"),
        ("[[todo]]\ntext = 'Milk'\ndone = 'yes'", 3, "number 1 (line 3)", "done = true"),
        ("[[todo]]\ntext = 'a'\ncompleted = 1", 3, "neither true nor false", "completed = true"),
        ("[[todo]]\ntext = 'a'\ndue = '2026-01-31'", 3, "due is text", "without quotes"),
        ("[[todo]]\ntext = 'a'\ndue = 17:00:00", 3, "time without a date", "2026-01-31T17:00"),
        ("[[todo]]\ntext = 'a'\ndue_at = 20260131", 3, "due_at is not a date", "due_at = 2026"),
        ("[[todo]]\ntext = 'a'\ndue = 0001-01-01T00:00:00+05:00", 3, "outside", "due = "),
        ("[[todo]]\ntext = 'a'\nid = 7", 3, "id is not text", 'id = "'),
        ("todo = [{text = 'a'}, {text = 'b', done = 1}]", 1, "number 2", "done = true"),
        ("[[todo]]\ntext = 'a'\n[todo.due]\nx = 1", 3, "due is not a date", "due = "),
        ("[[todo]]\ntext = '''\nFirst\nmore'''\ndone = 0", 5, "number 1 (line 5)", "done = true"),
    ],
)
def test_tables_that_are_not_tasks(source: str, line: int, what: str, advice: str) -> None:
    """A table that is no task is named with its line, and what to write instead is said."""
    error = refusal(source)
    assert error.line == line
    assert f"line {line}" in error.message
    assert what in error.message
    assert advice in error.advice


@pytest.mark.parametrize(
    ("source", "message", "advice"),
    [
        (
            "\ntodo = 1",
            "`todo` (line 2) is not a list of tables",
            'write each task as a table of its own: [[todo]] and below it description = "..."',
        ),
        (
            "[[todo]]",
            "[[todo]] number 1 (line 1): it has no description",
            'write description = "what to do"',
        ),
        (
            "[[todo]]\ndeadline = 2026-01-31",
            "[[todo]] number 1 (line 1): it has no description",
            'write description = "what to do"',
        ),
        (
            "[[todo]]\ndone = true\ntitel = 'a'",
            "[[todo]] number 1 (line 3): it has no description, but titel",
            "did you mean description? write it in the place of titel",
        ),
        (
            "[[todo]]\nid = 'a'\nTask = 'a'\nname = 'b'",
            "[[todo]] number 1 (line 3): it has no description, but Task",
            "did you mean description? write it in the place of Task",
        ),
        (
            "[[todo]]\ntitle = 'a'\ndescription = 'b'",
            "[[todo]] number 1 (line 3): title and description mean the same",
            "keep title as the task, and give description another name, such as notes",
        ),
        (
            "[[todo]]\ntext = 'a'\nid = 7",
            "[[todo]] number 1 (line 3): id is not text in quotes",
            'write id = "...", or remove that line',
        ),
        (
            "[[todo]]\ntext = 'a'\ndue = 0001-01-01T00:00:00+05:00",
            "[[todo]] number 1 (line 3): due is outside of the years 1 to 9999",
            "write due = 2026-01-31 or due = 2026-01-31T17:00:00, without quotes",
        ),
        (
            "[[todo]]\ntext = ''",
            "[[todo]] number 1 (line 2): text is blank",
            'write description = "what to do", or remove this [[todo]]',
        ),
        (
            "[[todo]]\ntext = 'a'\ndue = 17:00:00",
            "[[todo]] number 1 (line 3): due is a time without a date",
            "write due = 2026-01-31 or due = 2026-01-31T17:00:00, without quotes",
        ),
        (
            "[[todo]]\ntext = 'a'\ndue_at = 2026-01-01\ndue = 2026-01-01",
            "[[todo]] number 1 (line 4): due_at and due mean the same",
            "keep one of them, best due",
        ),
    ],
)
def test_a_fault_of_a_table_is_told_in_full(source: str, message: str, advice: str) -> None:
    """The message is one sentence, the advice another, and the line's beginning is meant."""
    error = refusal(source)
    assert (error.message, error.column, error.advice) == (message, 1, advice)


def test_a_text_that_is_no_text_is_told_in_full() -> None:
    """Another encoding has an advice, brackets without end have none."""
    error = refusal(b"\xff")
    assert (error.message, error.advice) == ("the text is not UTF-8", "save it as UTF-8")
    error = refusal("x = " + "[" * 100_000)
    assert (error.message, error.advice) == ("keys or brackets are nested too deeply", "")


def test_a_list_by_another_name_is_noticed() -> None:
    """Without any task, each list of tables has a notice at its first line."""
    source = b"x = [1]\ny = []\n\n[[task]]\na = 1\n[[task]]\n[z]\n[[b]]\n"
    said = "[[{}]] is not read; a task is written below [[todo]]"
    notices = (Notice(4, said.format("task")), Notice(8, said.format("b")))
    assert toml.parse(source).notices == notices
    assert toml.parse(source + b"[[todo]]\ntext = 'a'").notices == ()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\n[[Next.Item]]\nTitle = 'a'\n[[Next.Item]]\nTitle = 'b'\n", 2),
        ("[Next]\na = 1\n\n[[Next.Item]]\n", 4),
        ("[work]\nx = [1]\ntodo = [ # x\n {text = 'a'}]\n", 3),
        ("\nwork.todo = [{text = 'a'}]\n[[b.c]]\n", 2),
        # without any list of tables
        ("# mine\n\ntodos = ['milk']\n", 3),
        ("[home]\ntasks = ['milk']\n", 1),
        ("milk = false\r\neggs = true\r\n", 1),
        ("x.y = [1]\nz = []\n[a.b]\nc = [1, {}]\n", 1),
    ],
)
def test_a_file_that_says_something_and_has_no_task_is_noticed(source: str, line: int) -> None:
    """Once, for nothing of it is read; not where there is a task or something else to say."""
    assert toml.parse(source.encode()).notices == (Notice(line, entries.NO_TASK),)
    for more in ("[[todo]]\ntext = 'a'\n", "[[task]]\n"):
        assert entries.NO_TASK not in [
            n.message for n in toml.parse(f"{source}{more}".encode()).notices
        ]
    assert toml.parse(f"todo = []\n{source}".encode()).notices == ()


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        (
            "[[todo]]\ntext = 'a'\ncomplete = true",
            3,
            "complete is not read; did you mean completed",
        ),
        ("[[todo]]\ntext = 'a'\nDue = 2026-01-01", 3, "Due is not read; did you mean due?"),
        ("[[todo]]\ntext = 'a'\nID = 'x'", 3, "ID is not read; did you mean id?"),
        ("todo = [{text = 'a', donee = 1}]", 1, "donee is not read; did you mean done?"),
        ("todo = [{text = 'a', doen = 1}]", 1, "doen is not read; did you mean done?"),
        ("[[todo]]\ndeu = 1\ntext = 'a'", 2, "deu is not read; did you mean due?"),
        ("[[todo]]\ntext = 'a'\ndueDate = 1", 3, "dueDate is not read; did you mean due?"),
        ("[[todo]]\ntext = 'a'\ndue_date = 1", 3, "due_date is not read; did you mean due?"),
        ("[[todo]]\ntext = 'a'\ndeadline = 1", 3, "deadline is not read; did you mean due?"),
        ("[[todo]]\ntext = 'a'\nDate = 2026-01-01", 3, "Date is not read; did you mean due?"),
        (
            "[[todo]]\ntext = 'a'\nstatus = 'open'\n[[todo]]\ntext = 'b'\nstatus = 'Done'",
            6,
            "status is not read; did you mean completed = true?",
        ),
        (
            "todo = [{State = 'completed', text = 'a'}]",
            1,
            "State is not read; did you mean completed = true?",
        ),
    ],
)
def test_a_name_that_is_nearly_ours_is_noticed(source: str, line: int, said: str) -> None:
    """In its line, with what was likely meant."""
    (notice,) = toml.parse(source.encode()).notices
    assert notice.line == line
    assert said in notice.message


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("[[todo]]\ntext = 'a'\n\n[[todos]]\ntext = 'b'", "todos", 4),
        ("[[Todo]]\ntext = 'b'\n[[todo]]\ntext = 'a'", "Todo", 1),
        ("[[note]]\n[[tood]]\ntext = 'b'", "tood", 2),
        ("todos = [{text = 'a'}]", "todos", 1),
    ],
)
def test_a_mistyped_list_is_no_removal(source: str, name: str, line: int) -> None:
    """The tasks below it would be gone: the file is refused."""
    error = refusal(source)
    assert (error.message, error.line) == (f"[[{name}]] (line {line}) is not [[todo]]", line)
    assert error.advice.startswith("begin each task with [[todo]]")


@pytest.mark.parametrize("own", ["[[todone]]\ntext = 'b'", "[[todos]]\nname = 'b'"])
def test_a_list_of_a_person_is_left_alone(own: str) -> None:
    """One that is less alike, or that has no tasks."""
    document = toml.parse(f"[[todo]]\ntext = 'a'\n\n{own}\n".encode())
    assert ([one.task.text for one in document.entries], document.notices) == (["a"], ())


def test_the_keys_of_a_person_are_not_noticed() -> None:
    """Those that are alike by chance, and those that say more about one of ours."""
    keys = (
        *("next", "note", "node", "tags", "uid", "subtitle", "completed_on", "due-time", "date"),
        *("one", "test", "ids", "kid", "status", "context", "duration", "''"),
    )
    own = "".join(f"{key} = 1\n" for key in keys) + "due = 2026-01-31\ndue_date = 'soon'\n"
    for more in ("state = 'open'", "done = true\nstate = 'done'"):
        table = f"[[todo]]\ntext = 'b'\n{more}\n"
        assert toml.parse(table.encode()).notices == ()
    assert toml.parse(f"[[todo]]\ntext = 'a'\n{own}[[project]]\n[[done]]".encode()).notices == ()


FRAGMENTS = st.sampled_from(
    [
        "[[todo]]", "[todo]", "[todo.a]", "[[", "]]", "[", "]", "{", "}", "=", ".", ",", "#", "\n",
        "\r\n", "\r", '"', "'", '"""', "'''", "\\", "text", "description", "done", "due", "id",
        "true", "1", "-", "2026-01-31", "T17:00:00", "24:61:00", "+99:00", "Z", "0x", "nan", "é",
        "\x00", "\x7f", "\u2028", "\ufeff", 'text = "a"\n', "due = 9999-12-31T23:59:59-23:59\n",
    ]
)  # fmt: skip
NONSENSE = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(FRAGMENTS, max_size=25).map(lambda parts: "".join(parts).encode()),
    st.lists(FRAGMENTS, max_size=12)
    .map(lambda parts: "[[todo]]\n" + " ".join(parts))
    .map(str.encode),
)


def _check_nonsense(source: bytes) -> None:
    found: Document | ParseError
    try:
        found = toml.parse(source)
    except ParseError as error:
        found = error
    if isinstance(found, Document):
        check_order(found, source)
    else:
        assert found.line >= 1
        assert found.column >= 1
    list(scan.statements(source))  # the scan ends, whatever it is given


@given(NONSENSE)
def test_bad_input_is_a_parse_error_or_nothing(source: bytes) -> None:
    """Whatever the bytes are, parsing gives a document or a ParseError with a place."""
    _check_nonsense(source)


@pytest.mark.campaign
@settings(max_examples=20_000)
@given(NONSENSE | documents().map(str.encode))
def test_bad_input_at_length(source: bytes) -> None:
    """The same, for 20,000 examples."""
    _check_nonsense(source)


@pytest.mark.parametrize(
    "value",
    [
        '"""a "b" c"""', '"""\n"\n[[todo]]\n"""', '"""a""""', '"""a"""""', '"""\\"""\n"""',
        "'''a'b'''", "'''\n'\n[[todo]]\n'''", "'''a''''", "'''a'''''", '"a\\"[["', "'[['",
    ],
)  # fmt: skip
def test_a_string_ends_where_it_ends(value: str) -> None:
    """Quotes, brackets and lines within it are its own, and so are the last of many quotes."""
    for written in (value, f"[{value}]", f"[ # c\n{value}]"):
        height = written.count("\n")
        source = f"x = {written}\ny = [{value}] # c\nz = 1\n".encode()
        assert toml.key_lines(source) == {
            ("x",): 1, ("y",): 2 + height, ("z",): 3 + height + value.count("\n"),
        }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        'text = "' + '\\"' * 100_000 + '"',
        'text = """' + '""\\"\n' * 100_000 + '"""',
        "text = '''" + "''x\n" * 100_000 + "'''",
        'text = "a"\nx = [' + '"[[todo]]", ' * 50_000 + "]",
        'text = "a"\n' + "# [[todo]]\n\n" * 50_000,
    ],
    ids=["escapes", "basic", "literal", "array", "comments"],
)
def test_long_bodies_are_scanned_whole(body: str) -> None:
    """A long string, array or comment neither hides the next header nor exhausts anything."""
    assert len(lines(f'[[todo]]\n{body}\n[[todo]]\ntext = "b"\n')) == 2


@pytest.mark.campaign
def test_a_hundred_thousand_tasks() -> None:
    """A list of 100,000 tables is read within the time limit of a test, each on its line."""
    source = "".join(f'[[todo]]\ntext = "task {n}"\n\n' for n in range(100_000))
    assert lines(source) == list(range(1, 300_000, 3))


@pytest.mark.parametrize("source", [b'a = "x', b"a = 'x", b'a = """x"', b'a = "x\\"', b'a = "\\'])
def test_a_scan_of_what_is_no_toml_ends(source: bytes) -> None:
    """A string without an end takes in the rest: it is for the parser to say what is wrong."""
    assert toml.key_lines(source + b"\nb = 1") == {("a",): 1}


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("due = 2026-12-01T10:00", "write a date as 2026-01-31, and one with a time as 2026-01-"),
        ("due = 2026-1-5", "write a date as"),
        ("due = 8:00", "write a date as"),
        ("text = buy milk", 'put text in quotes: "..."'),
        ("path = ~/todo.md", 'put text in quotes: "..."'),
        ("text = “milk”", 'use straight quotes: "..."'),
        ("done = True", "write true or false, in small letters"),
        ("done = false,", "take the comma at the end of that line away"),
        ("done = false, # a comment", "take the comma at the end of that line away"),
        ("done = false # a, comment\nx = y,", "take the comma"),
        ("[todo]\na = 1\n[todo]\nb = 2", "begin each task with [[todo]], in two brackets"),
        ("[sync]\n[sync]", "write each table, and each key of it, once"),
        ("a = 1\na = 2", "write each table, and each key of it, once"),
        ('text = "a" b', ""),
        ("a = [1,\n", ""),
        ("x = {a = 1,\nb = 2}", ""),
        ("due date = 2026-01-01", ""),
        ('a = """\nfoo = bar \\q"""', ""),
    ],
)
def test_a_mistake_in_toml_tells_how_it_was_meant(source: str, advice: str) -> None:
    """Where that can be known; the parser alone tells what it expected."""
    with pytest.raises(ParseError) as wrong:
        toml.parse(source.encode())
    assert wrong.value.advice.startswith(advice)
    assert bool(wrong.value.advice) == bool(advice)
