"""The decision table: what the file says, what the links say, what to do about it.

Rule: a plan is made from one observation and never resumed. Making it again
after everything in it took effect gives an empty plan.

- ``steps``     what a plan is made from and made of
- ``guard``     what would remove too much
- ``known``     lines and links that belong together, and links without a line
- ``arrivals``  lines without a link, items without a line, twins

| local        | base | remote                      | decision                       |
|--------------|------|-----------------------------|--------------------------------|
| x            | -    | -                           | AddRemote                      |
| x            | -    | x (same text, unlinked)     | Adopt                          |
| x            | -    | buried (tombstone)          | Revive                         |
| x edited     | x    | x same                      | ChangeRemote                   |
| x edited     | x    | gone, text or due edited    | AddRemote                      |
| x edited     | x    | gone, only completed edited | nothing: a tick loses nothing  |
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

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import match, merge, order, unchanged
from omisync.core.plan import arrivals, guard, known
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
        removal=guard.removal([link for link in removed if link is not None], seen, policy),
        departure=guard.departure(draft.departing, seen, policy),
        clashes=tuple(draft.clashes),
        strays=tuple(draft.strays),
        mute=draft.mute,
        later=draft.later,
        tasks=len(seen.entries),
        ranks=() if seen.listed is None else met.ranks,
    )


class _Met(NamedTuple):
    """The entries that want a decision, which links they are, their ranks; links without one."""

    entries: Sequence[Entry]
    link_of: dict[int, Link]
    ranks: list[int]
    absent: list[Link]


def _met(seen: Observation, policy: Policy) -> _Met:
    """Return entries and links side by side, without the unchanged ends.

    With a listing every item may have changed, so every line is looked at.
    """
    links: Sequence[Link] = seen.links
    if held := _held(seen):
        links = [link for link in links if link.key not in held]
    if seen.listed is not None:
        return _matched(seen.entries, links, _edited(links, seen.listed, policy))
    ends = unchanged.ends(seen.entries, links)
    if ends == unchanged.Ends():
        return _matched(seen.entries, links)
    head, tail = ends
    entries = seen.entries[head : len(seen.entries) - tail]
    between = links[head : len(links) - tail]
    met = _matched(entries, between)
    edges = [(0, between[0])] * (head > 0) + [(len(entries) - 1, between[-1])] * (tail > 0)
    if all(met.ranks[number] == link.rank for number, link in edges):
        return met
    # There was no room between the ranks of the two neighbours.
    return _matched(seen.entries, links)


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


def _held(seen: Observation) -> set[str]:
    """Return the keys of the links whose lines stand in the file with a mark that means nothing.

    They are left alone: nobody knows whether such a task is done, but it was not removed.
    """
    if not seen.unread:
        return set()
    spare = Counter(match.normalised(text) for text in seen.unread)
    links = [(link.key, match.normalised(link.seen.text)) for link in seen.links]
    lacking = Counter(text for _, text in links)
    lacking.subtract(match.normalised(entry.task.text) for entry in seen.entries)
    held = set()
    for key, text in reversed(links):
        if spare[text] > 0 and lacking[text] > 0:
            spare[text] -= 1
            lacking[text] -= 1
            held.add(key)
    return held


def _matched(
    entries: Sequence[Entry], links: Sequence[Link], edited: Mapping[int, str] | None = None
) -> _Met:
    matching = match.pair(entries, links, edited)
    link_of = {entry: links[link] for entry, link in matching.pairs}
    ranks = order.ranks([link_of[n].rank if n in link_of else None for n in range(len(entries))])
    return _Met(entries, link_of, ranks, [links[at] for at in matching.absent])
