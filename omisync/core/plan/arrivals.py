"""What becomes of the new: lines without a link, items without a line.

Rule: a line and an item of the same text are one task, whoever wrote it first.
Only what is left then is created there, or written here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import adopt, merge
from omisync.core.model import (
    GONE,
    LET_GO,
    WRITABLE_ID,
    Base,
    Clash,
    Link,
    Patch,
    Tombstone,
)
from omisync.core.plan import known, twins
from omisync.core.plan.graves import Graves, is_fresh, rests
from omisync.core.plan.steps import AddLocal, Adopt, Revive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from omisync.core.model import Entry, RemoteItem
    from omisync.core.plan.steps import Draft, Policy


def decide(draft: Draft, fresh: Sequence[tuple[Entry, int]]) -> None:
    """Decide about entries without a link or an item, and items without a link."""
    seen, policy = draft.seen, draft.policy
    graves, skips = Graves(seen, two_way=policy.two_way), policy.skip_completed
    new: list[tuple[Entry, int]] = []
    taken: set[str] = set()
    awaited, unsent = _soon_asked(draft), _unsent(draft) if policy.adopt else set()
    for entry, rank in fresh:
        if _is_others(draft, entry, awaited, unsent):
            draft.later = True
        else:
            new.append((entry, rank))
    for unheard in (False, True):  # what says what the item says goes first
        left, new = new, []
        for entry, rank in left:
            stone = graves.claim(entry, unheard=unheard)
            if stone is None or (skips and entry.task.completed and graves.misses(stone)):
                new.append((entry, rank))
                continue
            taken.add(stone.remote_id)
            asks = unheard and seen.unlinked is None
            draft.ops.append(_revived(draft, graves, stone, (entry, rank), asks=asks))
    held = len(draft.unmade) + len(draft.orphans)
    found: dict[int, RemoteItem] = {}
    if seen.unlinked:
        entries = [entry for _, entry in (*draft.unmade, *draft.orphans)]
        entries += [entry for entry, _ in new]
        offered = graves.offered(entries, taken)
        found = adopt.pairs(entries, offered, policy.encoding, by_text=policy.adopt)
        if policy.adopt:
            found |= _heirs(draft, graves, offered, found)
    taken.update(item.id for item in found.values())
    _hold(draft, graves, [found.get(number) for number in range(held)])
    _begin(draft, graves, new, [found.get(held + number) for number in range(len(new))])
    if seen.listed is not None:
        _import(draft, graves.by_id, taken, unsent)


def _is_others(
    draft: Draft, entry: Entry, awaited: AbstractSet[str], unsent: AbstractSet[str]
) -> bool:
    """Return whether the item of a new line may yet be that of another line.

    One that came in the place of an item waits for the line of that to be proven without.
    And where a rewording does not get through, another machine may have written a line of
    what the item still says.
    """
    if draft.seen.listed is None or not draft.policy.adopt or entry.explicit_id is not None:
        return False
    text = merge.description(entry.task.text)
    if text in unsent:
        draft.deferred.append(entry)
    return text in unsent or text in awaited


def _soon_asked(draft: Draft) -> set[str]:
    """Return what items say that may be in the place of one that is asked for next."""
    unasked = (link for link, _ in draft.missing if link.probed_at is None)
    said = {text for link in unasked for text in _said(link)}
    return said & {item.fields.description for item in draft.seen.unlinked or ()}


def _unsent(draft: Draft) -> set[str]:
    """Return what items still say whose rewording does not get through."""
    unsent = set()
    for link in draft.standing:
        item = draft.item(link)
        fails = link.failures or link.parked is not None or link.doubt
        if fails and item is not None and link.base is not None:
            said = item.fields.description
            if said == link.base.remote.description != merge.description(link.seen.text):
                unsent.add(said)
    return unsent


def _unlisted(draft: Draft) -> Iterator[Link]:
    """Yield the links of lines whose item is not in the list, and may be there all the same."""
    for link in draft.standing:
        refused = link.parked is not None and link.parked.status != known.LOCKED
        if link.missing and link.missing != LET_GO and link.base and not refused:
            yield link


def _said(link: Link) -> set[str]:
    """Return what the item of a link said, and what it is to say."""
    said = {merge.description(link.seen.text)}
    return said if link.base is None else said | {link.base.remote.description}


def _heirs(
    draft: Draft,
    graves: Graves,
    offered: Sequence[RemoteItem],
    found: Mapping[int, RemoteItem],
) -> dict[int, RemoteItem]:
    """Return the items that came in the place of gone ones whose lines were edited, by line.

    A reprocessed conversation makes such items: they say what those said, and are younger.
    Where it is not known how old those were, only one that was away is known again.
    """
    taken = {item.id for item in found.values()}
    left: dict[tuple[str, bool], list[RemoteItem]] = defaultdict(list)
    for item in sorted(offered, key=lambda item: item.age_order):
        if item.id not in taken:
            left[item.fields.description, item.fields.completed].append(item)
    heirs = {}
    for number, (link, _) in enumerate((*draft.unmade, *draft.orphans)):
        if number in found or link.base is None or link.missing == LET_GO:
            continue
        same = left[link.base.remote.description, link.base.remote.completed]
        if same and _is_heir(graves, same[-1], link):
            heirs[number] = same.pop()
    return heirs


def _is_heir(graves: Graves, item: RemoteItem, link: Link) -> bool:
    """Return whether an item was not there yet beside the one that this line had, or is that."""
    if link.made_at is not None:
        return (item.made_at or 0.0) >= link.made_at
    stone = graves.by_id.get(item.id)
    return stone is not None and stone.how == GONE


def _hold(draft: Draft, graves: Graves, found: Sequence[RemoteItem | None]) -> None:
    """Decide about the lines with a link and no item; ``found`` has the item of each."""
    lines, unmade = [*draft.unmade, *draft.orphans], len(draft.unmade)
    draft.orphans = []
    for number, ((link, entry), item) in enumerate(zip(lines, found, strict=True)):
        if item is not None:
            again = link.but(missing=0, probed_at=None, made_at=None, parked=None, failures=0)
            if link.base and item.fields.description == link.base.remote.description:
                again = again.but(seen=replace(entry.task, text=link.base.local.text))
            draft.ops.append(_adopted(draft, graves, again, (entry, item)))
        elif link.parked is not None:
            draft.parked.append((link, entry))
        elif number < unmade:
            draft.ops.append(known.add(link, entry, draft.policy))
        else:
            draft.orphans.append((link, entry))


def _begin(
    draft: Draft,
    graves: Graves,
    new: Sequence[tuple[Entry, int]],
    found: Sequence[RemoteItem | None],
) -> None:
    """Decide about the lines without a link; ``found`` has the item of each."""
    policy = draft.policy
    for (entry, rank), item in zip(new, found, strict=True):
        if item is None and entry.task.completed and policy.skip_completed:
            continue
        link = Link(next(draft.keys), None, entry.task, entry.section, rank)
        if item is None:
            draft.ops.append(known.add(link, entry, policy))
        else:
            draft.ops.append(_adopted(draft, graves, link, (entry, item)))


def _adopted(draft: Draft, graves: Graves, link: Link, met: tuple[Entry, RemoteItem]) -> Adopt:
    """Return the op that ties a line to an item.

    An open line opens a finished item that its person names, or that was removed here:
    an id alone says nothing where omisync writes ids itself.
    """
    entry, item = met
    policy = draft.policy
    named = entry.explicit_id == item.id and (not policy.ids or item.id in graves.by_id)
    opens = named and item.fields.completed and not entry.task.completed
    opens = opens and not (policy.two_way and policy.prefer == "remote")
    if opens and policy.two_way:
        told = Clash(link.key, entry.task.text, "completed", "remote", "open", "done")
        draft.clashes.append(told)
    tied = adopt.tied(link, item, policy.encoding, both_ways=policy.two_way, by_id=opens)
    return Adopt(tied.but(seen=entry.task), entry, item)


def _revived(
    draft: Draft, graves: Graves, stone: Tombstone, fresh: tuple[Entry, int], *, asks: bool
) -> Revive | Adopt:
    """Return the op that gives a line its item again; ``asks`` has Omi's list read before.

    One that the app edited meanwhile is only tied to it where the next plan joins the two;
    in a push it is left as it is, but opened. One that a list lacks is asked for by
    sending a field as it is.
    """
    entry, rank = fresh
    item, two_way = graves.item(stone), draft.policy.two_way
    if item is not None and not two_way:
        stone = replace(stone, remote=item.fields)
    left = replace(stone.task, completed=stone.remote.completed)
    base = Base(left, stone.remote)
    link = Link(stone.key, stone.remote_id, entry.task, entry.section, rank, base)
    if item is not None and item.fields != stone.remote:
        return Adopt(link, entry, item)
    patch = merge.outgoing(entry.task, base, stone.remote, draft.policy.encoding)
    if not patch and graves.misses(stone):
        patch = Patch.unchanging(stone.remote)
    unproven = not patch and item is None and not entry.task.completed
    return Revive(link, entry, stone, patch, unproven or asks)


def _import(
    draft: Draft, stones: Mapping[str, Tombstone], taken: set[str], unsent: AbstractSet[str]
) -> None:
    """Plan lines for the items that have none and are to have one; see ``_unsent``."""
    policy = draft.policy
    waiting = _awaited(draft)
    met = twins.Twins(draft)
    taken = taken | twins.drop(draft, stones, taken)
    lines = set() if policy.adopt else _open_texts(draft)
    unread = Counter(merge.description(line.task.text) for line in draft.unread)
    lacking = _Lacking(unread, _hidden(draft), unsent)
    for item in sorted(draft.seen.unlinked or (), key=lambda item: item.age_order):
        stone = stones.get(item.id)
        if item.id in taken or (item.fields.description in lines and not item.fields.completed):
            continue
        if item.fields.description in waiting:
            draft.later = True
            continue
        if stone is None and met.takes(item):  # what had a line of ours is nobody's twin
            continue
        if stone is not None and is_fresh(stone, draft.seen.now):
            draft.later = True  # the list may be late
            continue
        if stone is not None and rests(stone, item):
            continue
        if _wanted(item, policy):
            task = merge.decode(item.fields, policy.encoding)
            if not task.text:
                draft.mute += 1
                continue
            if lacking.takes(item):
                draft.beside += 1
                continue
            link = Link(next(draft.keys), item.id, task, base=Base(task, item.fields))
            identifier = item.id if policy.ids and WRITABLE_ID.fullmatch(item.id) else None
            draft.ops.append(AddLocal(link, item, identifier))
    met.finish()


class _Lacking(NamedTuple):
    """What items say that may be those of lines which have none that could be told.

    ``unread`` are lines without a link whose box means nothing, ``hidden`` those whose item
    no list has, ``unsent`` those whose rewording does not get through.
    """

    unread: Counter[str]
    hidden: Counter[tuple[str, bool]]
    unsent: AbstractSet[str]

    def takes(self, item: RemoteItem) -> bool:
        """Return whether an item may be that of one of these lines, once for each."""
        said, done = item.fields.description, item.fields.completed
        if self.unread[said] > 0:
            self.unread[said] -= 1
        elif self.hidden[said, done] > 0:
            self.hidden[said, done] -= 1
        else:
            return said in self.unsent
        return True


def _open_texts(draft: Draft) -> set[str]:
    """Return what the open lines say.

    Where equal texts are not linked, each of two machines would bring in the other's items.
    """
    tasks = (entry.task for entry in draft.seen.entries)
    return {merge.description(task.text) for task in tasks if not task.completed}


def _awaited(draft: Draft) -> set[str]:
    """Return the descriptions of which an item may yet turn out to be a known task's.

    A create without an answer is looked for first, and a line whose item just
    disappeared may be the line of the item that came in its place, edited or not.
    """
    told = set(draft.seen.pending.values())
    for link in _unlisted(draft):
        if link.probed_at is None:
            told |= _said(link)
    return told


def _hidden(draft: Draft) -> Counter[tuple[str, bool]]:
    """Return what items say that another machine may have made of a line whose item is hidden.

    That machine cannot know it: no list has it, though it is there. An open item beside a
    finished line is the next round of a chore.
    """
    return Counter((text, link.seen.completed) for link in _unlisted(draft) for text in _said(link))


def _wanted(item: RemoteItem, policy: Policy) -> bool:
    """Return whether the policy lets this item in."""
    if policy.import_items == "linked":
        return False
    if policy.import_since is not None and (
        item.made_at is None or item.made_at < policy.import_since
    ):
        return False
    return policy.import_items == "all" or not item.fields.completed
