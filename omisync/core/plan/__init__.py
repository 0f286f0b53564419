"""The decision table: what the file says, what the links say, what to do about it.

Rule: a plan is made from one observation and never resumed. Making it again
after everything in it took effect gives an empty plan.

- ``steps``     what a plan is made from and made of
- ``guard``     what would remove too much
- ``known``     lines and links that belong together, and links without a line
- ``arrivals``  lines without a link, items without a line
- ``graves``    removed tasks, of which a line may come back
- ``twins``     items that two machines made of one line

| local        | base | remote                      | decision                       |
|--------------|------|-----------------------------|--------------------------------|
| x            | -    | -                           | AddRemote                      |
| x            | -    | x (same text, unlinked)     | Adopt                          |
| x            | -    | buried (tombstone)          | Revive                         |
| x edited     | x    | x same                      | ChangeRemote                   |
| x edited     | x    | gone, text or due edited,   | AddRemote                      |
|              |      | or opened again             |                                |
| x edited     | x    | gone, only ticked           | nothing: a tick loses nothing  |
| -            | x    | x same                      | RemoveRemote, by policy        |
| -            | x    | gone                        | forget                         |
| same as base |      |                             | nothing                        |

In push direction ``remote`` is taken to equal the remote half of the base. With
a listing (two-way) there are these rows besides:

| local        | base | remote                      | decision                       |
|--------------|------|-----------------------------|--------------------------------|
| -            | -    | x                           | AddLocal, by policy            |
| x same       | x    | x edited                    | ChangeLocal                    |
| x edited     | x    | x edited                    | both, per field; clashes told  |
| -            | x    | x edited, open              | AddLocal: an edit beats a      |
|              |      |                             | deletion                       |
| x            | x    | missing, twice              | Probe                          |
| x same       | x    | proven gone                 | keep, ChangeLocal (check) or   |
|              |      |                             | RemoveLocal, by policy         |
| x            | x    | and its twin                 | DropTwin                       |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omisync.core import match, merge, order, unchanged
from omisync.core.plan import arrivals, guard, known
from omisync.core.plan.graves import latest
from omisync.core.plan.known import buried
from omisync.core.plan.steps import (
    AddLocal,
    AddRemote,
    Adopt,
    ChangeLocal,
    ChangeRemote,
    Draft,
    DropTwin,
    LocalOp,
    Observation,
    Op,
    Plan,
    Policy,
    Probe,
    Removal,
    RemoveLocal,
    RemoveRemote,
    Revive,
    grouped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omisync.core.model import Entry, Link, RemoteItem

__all__ = [
    "AddLocal",
    "AddRemote",
    "Adopt",
    "ChangeLocal",
    "ChangeRemote",
    "DropTwin",
    "LocalOp",
    "Observation",
    "Op",
    "Plan",
    "Policy",
    "Probe",
    "Removal",
    "RemoveLocal",
    "RemoveRemote",
    "Revive",
    "buried",
    "grouped",
    "latest",
    "make",
]


def make(seen: Observation, policy: Policy, keys: Iterator[str]) -> Plan:
    """Decide what to do about everything observed; new tasks take their key from ``keys``."""
    draft = Draft(seen, policy, keys)
    fresh: list[tuple[Entry, int]] = []
    met = _met(seen, policy)
    for number, entry in enumerate(met.entries):
        if number in met.link_of:
            known.decide(draft, entry, met.link_of[number], met.ranks[number])
        else:
            fresh.append((entry, met.ranks[number]))
    for link, line in met.unread:
        known.hold(draft, line, link)
    arrivals.decide(draft, fresh)
    known.decide_missing(draft)
    removed = [known.decide_absent(draft, link) for link in met.absent]
    return Plan(
        ops=tuple(draft.ops),
        rows=tuple(draft.rows),
        dropped=tuple(draft.dropped),
        buried=tuple(draft.buried),
        parked=tuple(draft.parked),
        waiting=tuple(draft.waiting),
        unsure=tuple(draft.unsure),
        grace_ends=min(draft.grace_ends, default=None),
        removal=guard.removal(
            [link for link in removed if link is not None], draft.ops, seen, policy
        ),
        departure=guard.departure(draft.departing, seen, policy),
        clashes=tuple(draft.clashes),
        strays=tuple(draft.strays),
        unheard=tuple(draft.unheard),
        mute=draft.mute,
        beside=draft.beside,
        deferred=tuple(draft.deferred),
        later=draft.later,
        tasks=len(seen.entries),
        ranks=() if seen.listed is None else met.ranks,
    )


class _Met(NamedTuple):
    """The entries that want a decision, which links they are, their ranks; links without one.

    ``unread`` are the lines that are not read, with their links.
    """

    entries: Sequence[Entry]
    link_of: dict[int, Link]
    ranks: list[int]
    absent: list[Link]
    unread: list[tuple[Link | None, Entry]]


def _met(seen: Observation, policy: Policy) -> _Met:
    """Return entries and links side by side, without the unchanged ends.

    With a listing every item may have changed, so every line is looked at.
    """
    if seen.listed is not None:
        edited = _edited(seen.links, seen.listed, policy)
        return _matched(seen, seen.entries, seen.links, edited)
    ends = unchanged.ends(seen.entries, seen.links)
    if ends == unchanged.Ends():
        return _matched(seen, seen.entries, seen.links)
    head, tail = ends
    entries = seen.entries[head : len(seen.entries) - tail]
    links = seen.links[head : len(seen.links) - tail]
    met = _matched(seen, entries, links)
    edges = [(0, links[0])] * (head > 0) + [(len(entries) - 1, links[-1])] * (tail > 0)
    if all(met.ranks[number] == link.rank for number, link in edges):
        return met
    # There was no room between the ranks of the two neighbours.
    return _matched(seen, seen.entries, seen.links)


def _edited(
    links: Sequence[Link], listed: Mapping[str, RemoteItem], policy: Policy
) -> dict[int, str]:
    """Return the texts that the app gave to links since, by index, as lines would say them."""
    texts = {}
    for at, link in enumerate(links):
        item = listed.get(link.remote_id or "")
        if item and link.base and item.fields.description != link.base.remote.description:
            texts[at] = merge.decode(item.fields, policy.encoding).text
    return texts


def _matched(
    seen: Observation,
    entries: Sequence[Entry],
    links: Sequence[Link],
    edited: Mapping[int, str] | None = None,
) -> _Met:
    """Return which entry is which link; lines that are not read stand among the others."""
    every: Sequence[Entry] = entries
    read: Sequence[int] = range(len(entries))
    held: Sequence[int] = ()
    if seen.unread:
        lines = [*enumerate(entries), *enumerate(seen.unread, len(entries))]
        lines.sort(key=lambda line: line[1].line)
        every = [entry for _, entry in lines]
        places = sorted(range(len(lines)), key=lambda at: lines[at][0])
        read, held = places[: len(entries)], places[len(entries) :]
    matching = match.pair(every, links, edited, {*held})
    link_of = {entry: links[link] for entry, link in matching.pairs}
    return _Met(
        entries,
        {number: link_of[at] for number, at in enumerate(read) if at in link_of},
        order.ranks([link_of[at].rank if at in link_of else None for at in read]),
        [links[at] for at in matching.absent],
        [(link_of.get(at), every[at]) for at in held],
    )
