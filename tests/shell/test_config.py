"""The config file: its defaults, what it may say, and how all that is wrong is told at once."""

from __future__ import annotations

import errno
import os
import shutil
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from omisync import config
from omisync.config.settings import SECTIONS
from omisync.config.zones import local_zone
from omisync.errors import ConfigError, Strained

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
KEY = "omi_dev_0123456789abcdefWXYZ"


def keep(folder: Path, text: str | bytes) -> Path:
    """Write a config file."""
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder: Path, text: str | bytes, **environ: str) -> config.Config:
    """Return the config with this text."""
    return config.load(keep(folder, text), {"HOME": "/h", **environ})


def refusal(folder: Path, text: str | bytes, **environ: str) -> str:
    """Return what is said about a config with this text, without the path in front of each line."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    assert caught.value.exit_code == 78
    assert str(folder / "config.toml") in caught.value.message + caught.value.advice
    return caught.value.message.replace(f"{folder / 'config.toml'}:", "")


# Defaults.


def test_the_example_says_the_defaults() -> None:
    """config.example.toml, parsed, equals the defaults."""
    example = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert config.Settings.model_validate(example) == config.Settings()


def test_a_message_names_the_example(tmp_path: Path) -> None:
    """Where it is, that is: a person has the program, and maybe nothing else."""
    path = tmp_path / "config.toml"
    path.write_text("[omi]\nnone = 1\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    assert f"; {EXAMPLE} explains every key" in caught.value.advice
    assert str(EXAMPLE) in config.written(tmp_path / "todo.md").splitlines()[0]


def test_the_example_has_every_key() -> None:
    """No key is left out of config.example.toml, and each stands below a comment."""
    text = EXAMPLE.read_text(encoding="utf-8")
    example = tomllib.loads(text)
    defaults = config.Settings().model_dump()
    assert {name: list(table) for name, table in example.items()} == {
        name: list(table) for name, table in defaults.items()
    }
    for key in (key for table in defaults.values() for key in table):
        before = text.split(f"\n{key} = ")[0].rsplit("\n", 1)[-1]
        assert before.startswith("#") or key in {"path", "open_marks"}


def test_the_example_loads(tmp_path: Path) -> None:
    """Copied to its place, the example is a config as it is."""
    loaded = load(tmp_path, EXAMPLE.read_bytes())
    assert loaded.sync.on_removal == "complete"
    assert loaded.watch.settle == 0.15


def test_a_config_that_cannot_be_read_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is out of order for a moment: systemd is to start a daemon again."""
    path = tmp_path / "config.toml"
    path.write_text("")

    def stale(_: Path) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Path, "read_bytes", stale)
    with pytest.raises(Strained, match="cannot be read: Stale file handle"):
        config.load(path, {})


def test_an_empty_config_is_the_defaults(tmp_path: Path) -> None:
    """Every key may be left out."""
    assert load(tmp_path, "").model_dump(include=set(SECTIONS)) == (config.Settings().model_dump())


def test_a_config_cannot_be_changed(tmp_path: Path) -> None:
    """It is read once; who has it can rely on it."""
    loaded = load(tmp_path, "")
    with pytest.raises(ValidationError, match="frozen"):
        loaded.sync.adopt = False  # type: ignore[misc]  # that it cannot is the claim
    with pytest.raises(ValidationError, match="frozen"):
        loaded.path = Path("/x")  # type: ignore[misc]  # the same


# Places.


def test_paths_are_resolved_at_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths are below the config's folder, ``~`` is the home; all are absolute."""
    monkeypatch.setenv("HOME", "/home/me")
    loaded = load(
        tmp_path, '[todo]\npath="n/t.md"\n[omi]\napi_key_file="~/k"\n[state]\npath="s.db"'
    )
    assert loaded.path == tmp_path / "config.toml"
    assert loaded.todo_path == tmp_path / "n" / "t.md"
    assert loaded.store_path == tmp_path / "s.db"
    assert loaded.key_file == "/home/me/k"


def test_the_usual_places(tmp_path: Path) -> None:
    """Without state.path the store is at the XDG place; without a key file there is none."""
    loaded = load(tmp_path, "", XDG_STATE_HOME="/s")
    assert loaded.store_path.parent == Path("/s/omisync")
    assert loaded.store_path.name.startswith("todo-")
    assert loaded.key_file == ""


def test_the_working_folder_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One config has one store, however its path is spelled on the command line."""
    path = keep(tmp_path, '[todo]\npath = "todo.md"')
    stores = set()
    (tmp_path / "below").mkdir()
    for folder, spelled in ((tmp_path, "config.toml"), (tmp_path / "below", "../config.toml")):
        monkeypatch.chdir(folder)
        stores.add(config.load(Path(spelled), {"HOME": "/h"}).store_path)
    assert stores == {config.load(path, {"HOME": "/h"}).store_path}


def test_the_store_is_never_the_todo_file(tmp_path: Path) -> None:
    """A state.path that is the todo file is refused before SQLite can open it."""
    for line, what, text in (
        (4, "the todo file itself", '[todo]\npath="t.md"\n[state]\npath="t.md"'),
        (1, "the todo file itself", 'state = {"path" = "./t.md"}\n[todo]\npath = "t.md"'),
        (2, "this config itself", '[state]\npath = "config.toml"'),
        (2, "the key file itself", '[state]\npath = "key"\n[omi]\napi_key_file = "./key"'),
        (2, "the root folder", '[state]\npath = "/"'),
    ):
        assert refusal(tmp_path, text).startswith(f"{line}: state.path is {what}")


def test_the_config_is_never_the_todo_file(tmp_path: Path) -> None:
    """What it says of that would be written into it."""
    told = refusal(tmp_path, '[todo]\npath = "./config.toml"')
    assert told == "2: todo.path is this config itself"


def test_the_environment_names_the_server(tmp_path: Path) -> None:
    """OMI_API_BASE wins over omi.base_url, even over a wrong one; blank it says nothing."""
    text = '[omi]\nbase_url = "https://one.example/"'
    assert load(tmp_path, text).omi.base_url == "https://one.example"
    assert load(tmp_path, text, OMI_API_BASE=" ").omi.base_url == "https://one.example"
    two = load(tmp_path, text, OMI_API_BASE="https://two.example/")
    assert two.omi.base_url == "https://two.example"
    three = load(tmp_path, "[omi]\nbase_url = 5", OMI_API_BASE="http://127.0.0.1:8000")
    assert three.omi.base_url == "http://127.0.0.1:8000"


def test_a_wrong_server_in_the_environment_is_told_as_that(tmp_path: Path) -> None:
    """The person is not sent to a line of the file for it."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "", OMI_API_BASE="http://api.omi.me")
    assert caught.value.exit_code == 78
    assert caught.value.message.startswith("OMI_API_BASE: the base URL is plain http")
    assert "OMI_API_BASE" in caught.value.advice


# A file that cannot be read.


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    """``omisync init FILE`` is the next step."""
    path = tmp_path / "none" / "config.toml"
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    assert caught.value.exit_code == 78
    assert caught.value.message == f"no config at {path}"
    assert caught.value.advice == "run `omisync init FILE`"


def test_a_folder_in_place_of_the_config(tmp_path: Path) -> None:
    """A folder is told as that, with the file that may be meant."""
    with pytest.raises(ConfigError, match="is a folder") as caught:
        config.load(tmp_path, {})
    assert f"{tmp_path}/config.toml" in caught.value.advice


def test_a_config_that_cannot_be_opened(tmp_path: Path) -> None:
    """A symlink loop, a path through a file and a NUL are answers, not crashes."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    for name in ("loop", "file/config.toml", "a\0b"):
        with pytest.raises(ConfigError, match="cannot be read"):
            config.load(tmp_path / name, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have a file of somebody else")
def test_a_config_of_somebody_else(tmp_path: Path) -> None:
    """Without the right to read it, that is said."""
    path = keep(tmp_path, "")
    path.chmod(0)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            config.load(path, {})
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[todo]\npath = \n", "2:8: not valid TOML: Invalid value"),
        ("[todo]\npath = '~/todo.md", "2:18: not valid TOML"),
        (b"[todo]\npath = '\xe4.md'", "2:9: the text is not UTF-8"),
        (b"\xff\xfe[\0", "1:1: the text is not UTF-8"),
        ("x = " + "[" * 50_000, "1:1: keys or brackets are nested too deeply"),
    ],
)
def test_a_config_that_is_not_toml(tmp_path: Path, text: str | bytes, said: str) -> None:
    """Broken TOML is told with line and column."""
    assert refusal(tmp_path, text).startswith(said)


# What it may say.


@pytest.mark.parametrize(
    "text",
    [
        *(f'[todo]\npath = "{p}"' for p in ("a.md", "/b.MARKDOWN", "c.Toml", "~/d e.md")),
        '[todo]\ndone_marks = "x"\nopen_marks = " "',
        "[sync]\nremoval_grace = 0",
        "[sync]\nremoval_grace = 86400",
        "[sync]\nmax_removals = 0",
        "[sync]\nmax_removals = 1",
        "[sync]\nadopt = false",
        *(f'[sync]\non_removal = "{v}"' for v in ("complete", "delete", "keep")),
        *(f'[sync]\ncompleted = "{v}"' for v in ("mirror", "skip")),
        *(f'[sync]\ndue_time = "{v}"' for v in ("00:00", "23:59")),
        *(f'[sync]\ntimezone = "{v}"' for v in ("UTC", "Europe/Berlin", "local")),
        "[watch]\nsettle = 0.01\nrescan = 1\npoll = 10",
        "[watch]\nsettle = 60\nrescan = 86400\npoll = 604800",
        *(f'[log]\nlevel = "{v}"' for v in ("debug", "info", "warning", "error")),
        *(f'[log]\nformat = "{v}"' for v in ("auto", "console", "json")),
        "\ufeff[sync]\r\nadopt = false\r\n",
        "sync.adopt = false",
        "sync = { adopt = false }",
    ],
)  # fmt: skip
def test_what_is_allowed(tmp_path: Path, text: str) -> None:
    """Each allowed value is taken as it is, up to both ends of its range."""
    said = tomllib.loads(text.removeprefix("\ufeff"))
    loaded = load(tmp_path, text).model_dump()
    for section, table in said.items():
        assert loaded[section] | table == loaded[section]


def test_an_emoji_mark_is_its_plain_mark(tmp_path: Path) -> None:
    """A variation selector, which keyboards add unseen, is no mark of its own."""
    assert load(tmp_path, '[todo]\ndone_marks = "x✔️"').todo.done_marks == "x✔"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('todo.path = "~/todo.txt"', "allowed is the path of a .md, .markdown or .toml file"),
        ('todo.path = "~/todo"', "allowed is the path of a .md, .markdown or .toml file"),
        ('todo.path = ""', "allowed is the path of a .md"),
        ('todo.path = ".md"', "allowed is the path of a .md"),
        ('todo.path = "a\\u0000.md"', "allowed is the path of a .md"),
        ('todo.path = ["a.md"]', "todo.path is a list; allowed is the path"),
        ('todo.done_marks = ""', "allowed is text of at least one character, without [ and ]"),
        ('todo.done_marks = "x]"', "allowed is text of at least one character"),
        ('todo.open_marks = "["', "allowed is text of at least one character"),
        ('todo.open_marks = " \\n"', "allowed is text of at least one character"),
        ('todo.open_marks = " x"', 'done_marks and open_marks both have "x"'),
        ('todo.done_marks = "x "', 'todo.done_marks: done_marks and open_marks both have " "'),
        ('omi.base_url = "http://api.omi.me"', "omi.base_url: the base URL is plain http"),
        ('omi.base_url = "api.omi.me"', "begin with https:// and a host; use https://api.omi.me"),
        ("omi.base_url = 5", "omi.base_url is 5; allowed is an https URL"),
        ("omi.api_key_file = 5", "allowed is the path of a file that holds the key"),
        ('sync.direction = "pull"', 'sync.direction is "pull"; allowed is "push"'),
        ('sync.on_removal = "remove"', 'allowed is "complete", "delete" or "keep"'),
        ("sync.on_removal = true", 'sync.on_removal is true; allowed is "complete"'),
        ("sync.removal_grace = -1", "allowed is a number of seconds from 0 to 86400"),
        ("sync.removal_grace = 86401", "allowed is a number of seconds from 0 to 86400"),
        ('sync.removal_grace = "30"', 'sync.removal_grace is "30"; allowed is a number'),
        ("sync.max_removals = 1.01", "sync.max_removals is 1.01; allowed is a number from 0 to 1"),
        ("sync.max_removals = nan", "sync.max_removals is nan; allowed is a number from 0 to 1"),
        ("sync.max_removals = true", "allowed is a number from 0 to 1"),
        ('sync.adopt = "yes"', 'sync.adopt is "yes"; allowed is true or false'),
        ("sync.adopt = 1", "sync.adopt is 1; allowed is true or false"),
        ('sync.completed = "keep"', 'allowed is "mirror" or "skip"'),
        ('sync.due_time = "9:00"', 'allowed is a time of day in quotes, as "09:00"'),
        ('sync.due_time = "24:00"', "allowed is a time of day"),
        ('sync.due_time = "09:00\\n"', "allowed is a time of day"),
        ("sync.due_time = 09:00:00", "sync.due_time is 09:00:00; allowed is a time of day in quot"),
        (
            'sync.timezone = "Europe/Berln"',
            'such as "Europe/Berlin"; did you mean "Europe/Berlin"?',
        ),
        ('sync.timezone = "New York"', '"New York"; allowed are "local" and names such as'),
        ('sync.timezone = "Paris"', '; did you mean "Europe/Paris"?'),
        (
            'sync.timezone = "CEST"',
            'CEST"; allowed are "local" and names such as "Europe/Berlin"',
        ),
        ('sync.timezone = "../UTC"', 'there is no time zone "../UTC"'),
        ('sync.timezone = "/usr/share/zoneinfo/UTC"', "there is no time zone"),
        ('sync.timezone = "Europe"', "there is no time zone"),
        ('sync.timezone = ""', "there is no time zone"),
        ('sync.timezone = "a\\u0000"', "there is no time zone"),
        ("watch.settle = 0.009", "allowed is a number of seconds from 0.01 to 60"),
        ("watch.settle = 61", "allowed is a number of seconds from 0.01 to 60"),
        ("watch.rescan = 0", "allowed is a number of seconds from 1 to 86400"),
        ("watch.rescan = inf", "watch.rescan is inf; allowed is a number of seconds from 1 to"),
        ("watch.rescan = 2026-01-01", "watch.rescan is 2026-01-01; allowed is a number"),
        ("watch.poll = 9.9", "allowed is a number of seconds from 10 to 604800"),
        ("watch.poll = 604801", "allowed is a number of seconds from 10 to 604800"),
        ('watch.notify_command = "a\\u0000"', 'allowed is a command, or "" for none'),
        ('state.path = "\\u0000"', 'allowed is a path, or "" for the usual place'),
        ('log.level = "verbose"', 'allowed is "debug", "info", "warning" or "error"'),
        ('log.format = "xml"', 'allowed is "auto", "console" or "json"'),
        ("log.format = {}", "log.format is a table; allowed is"),
        ('sync.on_remval = "keep"', "unknown key sync.on_remval; did you mean on_removal?"),
        ("sync.settle = 1", "unknown key sync.settle; settle belongs below [watch]"),
        ("sync.xyzzy = 1", "unknown key sync.xyzzy; the keys are direction, on_removal,"),
        ("settle = 1", "unknown key settle outside of a table; it belongs below [watch]"),
        ("snyc.adopt = true", "unknown table or key snyc; did you mean [sync]?"),
        ("xyzzy = 1", "the tables are [todo], [omi], [sync], [watch], [state], [log]"),
        ('"a\\nb" = 1', 'unknown table or key "a\\nb"; the tables are'),
        ('sync."a\\nb" = 1', 'unknown key sync."a\\nb"; the keys are'),
        ("sync.adopt = 0x" + "f" * 5000, "sync.adopt is 0xfff"),
        ("sync = 1", "sync must be a table: write [sync] and its keys below it (direction,"),
        ("omi = 1", "omi must be a table"),
    ],
)
def test_what_is_not_allowed(tmp_path: Path, line: str, said: str) -> None:
    """One wrong key is told once, with its line, its name and what is allowed."""
    found = refusal(tmp_path, f"\n# a comment\n{line}\n")
    assert found.startswith("3: ")
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize("name", ["CEST", "MEZ", "GMT+2", "UTC+2", "+02:00"])
def test_no_zone_is_guessed_of_an_abbreviation(tmp_path: Path, name: str) -> None:
    """The most similar one is hours away."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f'sync.timezone = "{name}"\n')
    assert caught.value.message.endswith('names such as "Europe/Berlin"')


def test_a_dotted_key_in_another_table_is_told_with_its_own_line(tmp_path: Path) -> None:
    """Not with that of the table, which is some lines above."""
    assert refusal(tmp_path, '[omi]\napi_key_file = ""\nsync.adopt = true\n').startswith("3: ")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Nobody corrects a file one run at a time; the lines are in the order of the file."""
    text = (
        "settle = 4\n"
        "[sync]\n"
        "adopt = 1\n"
        "max_removals = 2 # adopt = 3\n"
        "[watch]\n"
        'x = """\nrescan = 4\n"""\n'
        '"rescan" = 0\n'
        "[todo]\n"
        "open_marks = 'x'\n"
        "path = 'a'\n"
    )
    found = refusal(tmp_path, text).split("\n")
    assert [line.split(":")[0] for line in found] == ["1", "3", "4", "6", "9", "11", "12"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[sync]\nadopt = 1", 2),
        ("\n  [ sync ] # x\n\n  'adopt' = 1", 4),
        ("sync.adopt = 1", 1),
        ('x.y = 1\nsync . "adopt"=1', 2),
        ("\n\nsync = { adopt = 1 }", 3),
        ("# adopt = 1\n[sync]\r\n# adopt\r\nadopt = 1", 4),
        ("\ufeff[sync]\nadopt = 1", 2),
        ("[watch]\npoll = 20\n[sync]\ndue_time = '''\n\n'''\nadopt = 1", 7),
        ("[[sync]]\nadopt = 1", 1),
    ],
)  # fmt: skip
def test_the_line_of_a_key_is_found(tmp_path: Path, text: str, line: int) -> None:
    """However the key is written, the message leads to it."""
    starts = [said.split(":")[0] for said in refusal(tmp_path, text).split("\n")]
    assert str(line) in starts


def test_two_way_is_a_direction(tmp_path: Path) -> None:
    """It is taken as it stands, and push stays the default."""
    assert load(tmp_path, '\n[sync]\ndirection = "two-way"').two_way
    assert not load(tmp_path, "").two_way


def test_imports_since_a_day_begin_where_the_day_does(tmp_path: Path) -> None:
    """In the zone of the config; without a day there is no limit."""
    text = '[sync]\nimport_since = "2026-07-01"\ntimezone = "Europe/Berlin"'
    assert load(tmp_path, text).import_since() == 1782856800.0
    assert load(tmp_path, "").import_since() is None


@pytest.mark.parametrize(
    "text",
    [
        f'[omi]\napi_key = "{KEY}"',
        f'[omi]\napi_key_file = "{KEY}"',
        f'[omi]\napi_key_file = ["{KEY}"]',
        f'[omi]\nkey = {{ omi = "{KEY}" }}',
        f'omi = "{KEY}"',
        f'[omi]\napi_key_file = "{KEY}',
        f'[omi]\nbase_url = "https://{KEY}@api.omi.me"',
    ],
)
def test_a_key_in_the_config_is_not_repeated(tmp_path: Path, text: str) -> None:
    """A key written where none belongs does not reach a message, nor the errors behind it."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.__context__ is None
    assert KEY not in caught.value.message + caught.value.advice


SCALARS = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from(['""', '"x"', '"two-way"', "2026-01-01", "07:00:00", "[]", "{}", "[[1]]"]),
    st.just("0x" + "f" * 5000),
)
NAMES = st.sampled_from(
    [
        *SECTIONS,
        *(f"{s}.{key}" for s, model in SECTIONS.items() for key in model.model_fields),
        "sync.on_remval", "todo.path.x", "x", "x.y", '""', "omi.'é'",
    ]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, SCALARS), max_size=4, unique_by=lambda pair: pair[0]))
def test_any_config_loads_or_is_explained(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    """Whatever valid TOML says, the answer is a config or a ConfigError with lines of the file."""
    path = keep(tmp_path, "".join(f"{name} = {value}\n" for name, value in pairs))
    said = ""
    try:
        loaded = config.load(path, {"HOME": "/h"})
        assert loaded.store_path.is_absolute()
    except ConfigError as error:
        said = error.message
    for line in said.split("\n") if said else []:
        assert line.startswith(f"{path}:") or "state.path is the todo file" in line


# A new config.


@pytest.mark.parametrize("name", ["todo.md", 'a "b" \\ é 🙂.md', "liste.toml"])
def test_a_written_config_loads(tmp_path: Path, name: str) -> None:
    """What ``init`` writes is read back as the same todo file and key file."""
    text = config.written(tmp_path / name, tmp_path / "key")
    loaded = load(tmp_path, text)
    assert loaded.todo_path == tmp_path / name
    assert loaded.key_file == str(tmp_path / "key")
    assert load(tmp_path, config.written(tmp_path / name)).key_file == ""


def test_a_name_that_is_no_text_cannot_be_written() -> None:
    """A file name that is not UTF-8 is refused before a broken config is written."""
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.written(Path(os.fsdecode(b"/\xff.md")))


@pytest.mark.parametrize("odd", ["of the config", "of the user"])
def test_a_place_that_is_no_text_is_refused(tmp_path: Path, odd: str) -> None:
    """A folder that is not UTF-8: the store notes its list by name, and is opened by a URL."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = (folder if odd == "of the config" else tmp_path) / "config.toml"
    path.write_text('[todo]\npath = "todo.md"\n')
    home = {"HOME": str(folder if odd == "of the user" else tmp_path)}
    with pytest.raises(ConfigError, match=r"caf.* is not UTF-8"):
        config.load(path, home)


# Time zones.

WINTER, SUMMER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def hours(zone: object) -> list[float]:
    """Return the offsets of a zone in winter and summer."""
    assert isinstance(zone, config.tzinfo)
    offsets = [moment.astimezone(zone).utcoffset() for moment in (WINTER, SUMMER)]
    return [offset / timedelta(hours=1) for offset in offsets if offset is not None]


def test_a_named_zone(tmp_path: Path) -> None:
    """A configured name wins over the machine's zone."""
    loaded = load(tmp_path, '[sync]\ntimezone = "Europe/Berlin"', TZ="Asia/Tokyo")
    assert loaded.zone() == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("tz", "expected"),
    [
        ("Europe/Berlin", [1, 2]),
        (":Europe/Berlin", [1, 2]),
        ("EST5EDT", [-5, -4]),
        ("CET-1CEST", [1, 2]),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", [11, 10]),
        (":JST-9", [9, 9]),
        ("Asia/Kathmandu", [5.75, 5.75]),
        ("", [0, 0]),
        ("UTC", [0, 0]),
    ],
)
def test_the_local_zone_of_tz(tmp_path: Path, tz: str, expected: list[float]) -> None:
    """``"local"`` is what TZ says, with its DST rules, by name or as such; all as the C library."""
    assert hours(load(tmp_path, "", TZ=tz).zone()) == expected


def test_a_tz_that_no_database_knows(tmp_path: Path) -> None:
    """The offset of the process is the last resort."""
    standard = -time.timezone / 3600
    assert hours(load(tmp_path, "", TZ="Nowhere/Atoll").zone()) == [standard, standard]
    for odd in ("/no/such/file", "AAA-24", "CET-1CEST-24", "AB3"):
        assert hours(load(tmp_path, "", TZ=odd).zone()) == [standard, standard]


def test_the_zone_of_the_machine(tmp_path: Path) -> None:
    """Without TZ: the link of localtime, else the name file, else the bytes of localtime."""
    localtime, names = tmp_path / "localtime", tmp_path / "timezone"
    berlin = next(p for p in (Path(t, "Europe/Berlin") for t in TZPATH) if p.exists())
    shutil.copy(berlin, localtime)
    assert hours(local_zone(None, localtime, names)) == [1, 2]
    assert hours(local_zone(str(localtime))) == [1, 2]
    names.write_text("Asia/Tokyo\n")
    assert local_zone(None, localtime, names) == ZoneInfo("Asia/Tokyo")
    localtime.unlink()
    localtime.symlink_to("../usr/share/zoneinfo/America/New_York")
    assert local_zone(None, localtime, names) == ZoneInfo("America/New_York")


def test_a_machine_without_a_zone(tmp_path: Path) -> None:
    """Missing or broken zone files leave the offset of the process."""
    localtime, names = tmp_path / "localtime", tmp_path / "timezone"
    standard = -time.timezone / 3600
    assert hours(local_zone(None, localtime, names)) == [standard, standard]
    localtime.symlink_to(localtime)
    names.write_bytes(b"\xff")
    assert hours(local_zone(None, localtime, names)) == [standard, standard]


def test_the_zone_is_looked_up_anew(tmp_path: Path) -> None:
    """A daemon follows its person into another zone without a restart."""
    localtime = tmp_path / "localtime"
    found = []
    for name in ("Europe/Berlin", "Asia/Tokyo"):
        localtime.unlink(missing_ok=True)
        localtime.symlink_to(f"/usr/share/zoneinfo/{name}")
        found.append(local_zone(None, localtime, tmp_path / "none"))
    assert found == [ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")]
