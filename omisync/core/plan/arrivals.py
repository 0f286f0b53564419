"""What becomes of the new: lines without a link, items without a line.

Rule: a line and an item of the same text are one task, whoever wrote it first.
Only what is left then is created there, or written here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from omisync.core import adopt, match, merge
from omisync.core.model import (
    FORGOTTEN,
    GONE,
    GONE_SECONDS,
    LEFT_IN_OMI,
    LET_GO,
    TOMBSTONE_SECONDS,
    TWIN,
    WRITABLE_ID,
    Base,
    Clash,
    Link,
    Patch,
    Tombstone,
)
from omisync.core.plan import known, twins
from omisync.core.plan.steps import AddLocal, Adopt, Revive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from omisync.core.model import Entry, RemoteItem
    from omisync.core.plan.steps import Draft, Observation, Policy


def decide(draft: Draft, fresh: Sequence[tuple[Entry, int]]) -> None:
    """Decide about entries without a link or an item, and items without a link."""
    seen, policy = draft.seen, draft.policy
    graves, skips = _Graves(seen, two_way=policy.two_way), policy.skip_completed
    new: list[tuple[Entry, int]] = []
    taken: set[str] = set()
    awaited, unsent = _soon_asked(draft), _unsent(draft) if policy.adopt else set()
    for entry, rank in fresh:
        if _is_others(draft, entry, awaited, unsent):
            draft.later = True
            continue
        stone = graves.claim(entry)
        if stone is None or (skips and entry.task.completed and graves.misses(stone)):
            new.append((entry, rank))
        else:
            taken.add(stone.remote_id)
            draft.ops.append(_revived(draft, graves, stone, (entry, rank)))
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
        _import(draft, taken, unsent)


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
    said = {text for link, _ in draft.missing if not _is_asked(link) for text in _said(link)}
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


def _is_asked(link: Link) -> bool:
    """Return whether it is known already what became of the item of a link."""
    return link.remote_id is None or link.probed_at is not None or link.parked is not None


def _said(link: Link) -> set[str]:
    """Return what the item of a link said, and what it is to say."""
    said = {merge.description(link.seen.text)}
    return said if link.base is None else said | {link.base.remote.description}


def _heirs(
    draft: Draft,
    graves: _Graves,
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


def _is_heir(graves: _Graves, item: RemoteItem, link: Link) -> bool:
    """Return whether an item was not there yet beside the one that this line had, or is that."""
    if link.made_at is not None:
        return (item.made_at or 0.0) >= link.made_at
    stone = graves.by_id.get(item.id)
    return stone is not None and stone.how == GONE


def _hold(draft: Draft, graves: _Graves, found: Sequence[RemoteItem | None]) -> None:
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
    graves: _Graves,
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


def _adopted(draft: Draft, graves: _Graves, link: Link, met: tuple[Entry, RemoteItem]) -> Adopt:
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


class _Graves:
    """The tombstones by text, each given out once, the latest first."""

    def __init__(self, seen: Observation, *, two_way: bool) -> None:
        self.two_way = two_way
        self.by_text: dict[str, list[Tombstone]] = defaultdict(list)
        self.by_id = _latest(seen.tombstones)
        self._seen = seen
        if not self.by_id:
            return
        self._unlinked = {item.id: item for item in seen.unlinked or ()}
        self._said = {match.normalised(item.fields.description) for item in seen.unlinked or ()}
        self._all_read = seen.listed is not None or seen.read_whole
        alive = {link.remote_id for link in seen.links}
        for stone in sorted(self.by_id.values(), key=lambda stone: stone.removed_at):
            if stone.how in LEFT_IN_OMI and stone.remote_id not in alive:
                self.by_text[match.normalised(stone.task.text)].append(stone)

    def claim(self, entry: Entry) -> Tombstone | None:
        """Return the grave that this line rises from: that of the item which it names, if any.

        A finished line does not come back open: an open line of the same text is
        the next round of a recurring chore.
        """
        if not self.by_text:
            return None
        task, named, text = entry.task, entry.explicit_id, match.normalised(entry.task.text)
        stones = self.by_text.get(text, [])
        for stone in reversed(stones):
            if named in self._unlinked and named != stone.remote_id:
                continue
            if self.misses(stone) and text in self._said:
                continue  # it is gone, and there is another that says the same
            if self._is_another(stone) or (self._is_old(stone) and not task.completed):
                continue
            if task.completed or not stone.task.completed:
                stones.remove(stone)
                return stone
        return None

    def item(self, stone: Tombstone) -> RemoteItem | None:
        """Return the item of a removed task, if it was read."""
        return self._unlinked.get(stone.remote_id)

    def _is_another(self, stone: Tombstone) -> bool:
        """Return whether the app made another task of the item; a push leaves that to the app."""
        item = self.item(stone) if self.two_way else None
        return item is not None and item.fields.description != stone.remote.description

    def _is_old(self, stone: Tombstone) -> bool:
        """Return whether it is too late to be opened again; what was kept in Omi is as it was."""
        return stone.how == "complete" and self._seen.now - stone.removed_at >= TOMBSTONE_SECONDS

    def misses(self, stone: Tombstone) -> bool:
        """Return whether a list was read, and the item of this task was not in it."""
        return self._all_read and stone.remote_id not in self._unlinked

    def offered(self, entries: Sequence[Entry], taken: set[str]) -> list[RemoteItem]:
        """Return the items that these lines can be.

        That of a removed task, as the removal left it, is another line's by its id only,
        and one that was just proven gone is none's.
        """
        named = {entry.explicit_id for entry in entries}
        offered = []
        for item in self._seen.unlinked or ():
            stone = self.by_id.get(item.id)
            if stone is not None and _is_just_gone(stone, self._seen.now):
                continue
            at_rest = stone is not None and stone.how != GONE and item.fields == stone.remote
            if item.id not in taken and (item.id in named or not at_rest):
                offered.append(item)
        return offered


def _revived(
    draft: Draft, graves: _Graves, stone: Tombstone, fresh: tuple[Entry, int]
) -> Revive | Adopt:
    """Return the op that gives a line its item again.

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
    return Revive(link, entry, stone, patch, unproven)


def _import(draft: Draft, taken: set[str], unsent: AbstractSet[str]) -> None:
    """Plan lines for the items that have none and are to have one; see ``_unsent``."""
    policy = draft.policy
    stones = _latest(draft.seen.tombstones)
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
        if stone is not None and _is_fresh(stone, draft.seen.now):
            draft.later = True  # the list may be late
            continue
        if stone is not None and _rests(stone, item):
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


def _latest(tombstones: Iterable[Tombstone]) -> dict[str, Tombstone]:
    """Return what was last decided about each removed item, by its id.

    Whatever else was decided about a twin holds; of the same moment a removal does.
    """
    ordered = sorted(
        tombstones,
        key=lambda stone: (stone.how != TWIN, stone.removed_at, stone.how != GONE),
    )
    return {stone.remote_id: stone for stone in ordered}


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


def _is_just_gone(stone: Tombstone, now: float) -> bool:
    """Return whether a list that has this item is not believed: it was gone twice in a row."""
    return stone.how == GONE and 0 < stone.removed_at - now <= GONE_SECONDS


def _is_fresh(stone: Tombstone, now: float) -> bool:
    """Return whether an item was proven gone not long ago."""
    return stone.how == GONE and abs(now - stone.removed_at) <= GONE_SECONDS


def _rests(stone: Tombstone, item: RemoteItem) -> bool:
    """Return whether a removed line stays removed: its item is as the removal left it.

    One that was deleted in the app, and is there again, comes in as any other.
    """
    if stone.how in {"delete", FORGOTTEN}:
        return True
    return stone.how != GONE and item.fields == stone.remote


def _wanted(item: RemoteItem, policy: Policy) -> bool:
    """Return whether the policy lets this item in."""
    if policy.import_items == "linked":
        return False
    if policy.import_since is not None and (
        item.made_at is None or item.made_at < policy.import_since
    ):
        return False
    return policy.import_items == "all" or not item.fields.completed
