"""What a person is told of a plan, beside what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omisync.core import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omisync.core.model import Link
    from omisync.core.plan import Plan
    from omisync.sync.desk import Run

FEW = 3
"""Lines at most that are told of by themselves."""


def left(run: Run, decided: Plan) -> Iterator[str]:
    """Yield what is to be said of items and lines of which nothing is made for now."""
    if decided.mute:
        yield _mute(decided.mute)
    if decided.beside:
        yield _beside(decided.beside)
    waiting = {op.link.key for op in decided.ops}  # what is done about these tells more
    missed = [row for row in decided.rows if row.missing == 1 and row.key not in waiting]
    if missed and not run.again:  # else the next cycle comes at once, and misses them too
        yield _missed(missed)
    for entry in decided.deferred[:FEW]:
        yield (
            f"{run.desk.config.todo_path}:{entry.line}: this waits, for Omi still says the same of"
            " another line, the rewording of which does not get through"
        )


def strays(run: Run, decided: Plan) -> Iterator[str]:
    """Yield what is to be said of lines that name an item which is not theirs."""
    path = run.desk.config.todo_path
    # Many are somebody's own numbers, in TOML say.
    for entry in decided.strays if len(decided.strays) <= FEW else ():
        yield (
            f"{path}:{entry.line}: the id {entry.explicit_id} is not that of this line, which keeps"
            " its own item; only a new line can be tied by hand"
        )
    created = [
        op
        for op in decided.ops
        if isinstance(op, plan.AddRemote) and op.entry.explicit_id and op.link.base is None
    ]
    holders = {link.remote_id: link.seen.quoted for link in run.store.links()} if created else {}
    for op in created:
        if op.link.key in run.written:
            holder = holders.get(op.entry.explicit_id)
            whose = "no item of Omi's list" if holder is None else holder
            said = f"the id {op.entry.explicit_id} is that of {whose}"
            yield f"{path}:{op.entry.line}: {said}; this is a new task"


def _mute(items: int) -> str:
    what = "1 item of Omi has" if items == 1 else f"{items} items of Omi have"
    return f"{what} no text that a line could hold; nothing was written for it."


def _beside(items: int) -> str:
    what = "1 item of Omi says" if items == 1 else f"{items} items of Omi say"
    return (
        f"{what} the same as a line that is not read for its box, whose item Omi does not list,"
        " or whose rewording does not get through; no line is written beside it."
    )


def _missed(rows: Sequence[Link]) -> str:
    texts = [row.seen.quoted for row in rows[:FEW]]
    more = [f"{len(rows) - FEW} more"] if len(rows) > FEW else []
    *first, last = texts + more
    what = f"{', '.join(first)} and {last}" if first else last
    are, them = ("is", "it") if len(rows) == 1 else ("are", "them")
    then = f"the next sync that misses {them} too asks for {them}"
    return f"{what} {are} missing from Omi's list; {then}."
