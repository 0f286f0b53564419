"""One Omi account: its items, its phone, and what a request does to them.

Nothing here knows of sockets, keys or faults; an answer is either a row or a
``Refusal``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING

from omisync.errors import UsageError
from omisync.sandbox import items as rows
from omisync.sandbox.items import Item
from omisync.sandbox.wire import (
    Batch,
    Blocked,
    Change,
    ListQuery,
    NewItem,
    Refusal,
    refused_elements,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_PLAIN = string.ascii_letters + string.digits
_WEIRD = _PLAIN + " #?%&+;=@:é☃"
"""No slash: the documents of the real store cannot have one in their id."""

_ID_LENGTH = 20
_TICK = timedelta(microseconds=1)


class Account:
    """An account as the app and the API see it.

    ``poison``, ``blocked``, ``refuse`` and ``batch_leaves_out`` hold descriptions (stripped)
    and may be changed at any time:

    - ``poison`` answers 500, nothing done, to every request about the item;
    - ``blocked`` is stopped by a firewall, with 406 and a page, in a batch as well;
    - ``refuse`` maps to the status that sending the description answers; in a
      batch always 422, with the index of each such element in ``loc``, of the first
      one while ``names_all`` is False, of none while ``names_culprit`` is False;
    - ``batch_leaves_out`` are created, but missing from the batch's reply.
    """

    def __init__(self, clock: Callable[[], float], seed: int, *, weird_ids: bool = False) -> None:
        self.clock = clock
        self.state: Path | None = None
        self.clears_due = True
        self.sorts_windows = False
        self.mixed_times = False
        self.items: dict[str, Item] = {}
        self.notifications: list[tuple[float, str, str]] = []
        self.poison: set[str] = set()
        self.blocked: set[str] = set()
        self.refuse: dict[str, int] = {}
        self.names_culprit = self.names_all = True
        self.batch_leaves_out: set[str] = set()
        self._letters = _WEIRD if weird_ids else _PLAIN
        self._chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self._styles = cycle(range(rows.STYLES))
        self._latest = datetime.min.replace(tzinfo=UTC)

    # What the person does in the app, or the app by itself.

    def add(  # noqa: PLR0913  # an item has that many properties
        self,
        description: str,
        *,
        completed: bool = False,
        due_at: datetime | None = None,
        created_at: datetime | None = None,
        locked: bool = False,
        hidden: bool = False,
        conversation_id: str | None = None,
        item_id: str | None = None,
    ) -> Item:
        """Make an item as the app does: no request, no limits. Times must be aware."""
        now = self._now()
        item = Item(
            id=self._new_id() if item_id is None else item_id,
            description=description,
            completed=completed,
            created_at=now if created_at is None else created_at.astimezone(UTC),
            updated_at=now,
            due_at=due_at and due_at.astimezone(UTC),
            completed_at=now if completed else None,
            conversation_id=conversation_id,
            locked=locked,
            hidden=hidden,
        )
        self.items[item.id] = item
        self._changed()
        return item

    def touch(self, item_id: str) -> None:
        """Move ``updated_at`` without a visible change, as the app's bookkeeping does."""
        self.items[item_id].updated_at = self._now()
        self._changed()

    def reprocess(self, item_id: str) -> Item:
        """Replace an item by an equal one with a new id, as a reprocessed conversation does."""
        item = replace(self.items.pop(item_id), id=self._new_id())
        self.items[item.id] = item
        self._changed()
        return item

    def _new_id(self) -> str:
        while True:
            item_id = "".join(self._chance.choices(self._letters, k=_ID_LENGTH))
            if item_id not in self.items:
                return item_id

    def _now(self) -> datetime:
        """Return the clock's time, but always later than any before."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        self._latest = max(now, self._latest + _TICK)
        return self._latest

    # What the API does.

    def list_items(self, query: ListQuery) -> list[dict[str, object]]:
        """Answer a GET."""
        found = rows.page(self.items.values(), query, sorts_windows=self.sorts_windows)
        return [self._shown(item) for item in found]

    def create(self, new: NewItem) -> dict[str, object]:
        """Answer a POST: commit, then ring the phone if there is a due date."""
        self._admit([new])
        return self._shown(self._commit(new))

    def create_batch(self, batch: Batch) -> dict[str, object]:
        """Answer a batch: all or nothing; ``created_count`` counts the rows shown."""
        self._admit(batch.action_items, batch=True)
        with self._saved_once():
            made = [self._commit(new) for new in batch.action_items]
        told = [item for item in made if item.description not in self.batch_leaves_out]
        return {"action_items": [self._shown(item) for item in told], "created_count": len(told)}

    def _admit(self, wanted: list[NewItem], *, batch: bool = False) -> None:
        """Refuse the whole request for an unacceptable description."""
        texts = [new.description.strip() for new in wanted]
        if not all(texts):
            raise Refusal(422, "description cannot be empty")
        for text in texts:
            self._taste(text)
        refused = [index for index, text in enumerate(texts) if text in self.refuse]
        if refused and not batch:
            raise self._refusal(texts[0])
        if refused and not self.names_culprit:
            raise Refusal(422, "An action item is not acceptable")
        if refused:
            raise refused_elements(*refused[: None if self.names_all else 1])

    def _taste(self, text: str) -> None:
        if text in self.poison:
            raise Refusal(500, "Internal Server Error")
        if text in self.blocked:
            raise Blocked

    def _refusal(self, text: str) -> Refusal:
        status = self.refuse[text]
        if status == 422:  # noqa: PLR2004  # HTTP's own number
            return refused_elements()
        return Refusal(status, "This description is not acceptable")

    def _commit(self, new: NewItem) -> Item:
        item = self.add(new.description.strip(), completed=new.completed, due_at=new.due_at)
        if new.due_at is not None:
            self._ring(item)
        return item

    def change(self, item_id: str, change: Change) -> dict[str, object]:
        """Answer a PATCH. A blank description is stored empty, as the real server does."""
        item = self._unlocked(item_id)
        text = None if change.description is None else change.description.strip()
        clear = self.clears_due and change.due_at is None and "due_at" in change.model_fields_set
        if text is None and change.completed is None and change.due_at is None and not clear:
            raise Refusal(422, "At least one field must be provided")
        if text is not None:
            self._taste(text)
            if text in self.refuse:
                raise self._refusal(text)
            item.description = text
        item.updated_at = self._now()
        if change.completed is not None:
            item.completed = change.completed
            item.completed_at = item.updated_at if change.completed else None
        if clear:
            item.due_at = None
        elif change.due_at is not None:
            item.due_at = change.due_at
            self._ring(item)
        self._changed()
        return self._shown(item)

    def remove(self, item_id: str) -> Item:
        """Answer a DELETE: the item is gone for good."""
        item = self._unlocked(item_id)
        del self.items[item_id]
        self._changed()
        return item

    def _unlocked(self, item_id: str) -> Item:
        item = self.items.get(item_id)
        if item is None:
            raise Refusal(404, "Action item not found")
        if item.locked:
            raise Refusal(402, "This action item is locked by your plan")
        self._taste(item.description)
        return item

    def _ring(self, item: Item) -> None:
        self.notifications.append((self.clock(), item.id, item.description))

    def _shown(self, item: Item) -> dict[str, object]:
        return rows.shown(item, next(self._styles) if self.mixed_times else 0)

    # The state file.

    def save(self, path: Path) -> None:
        """Write items and notifications to ``path``, atomically."""
        items = _listed(rows.stored(item) for item in self.items.values())
        notifications = _listed(self.notifications)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(
            f'{{"items": {items},\n"notifications": {notifications}}}\n', encoding="utf-8"
        )
        temporary.replace(path)

    def check_kept(self, path: Path) -> None:
        """Write to ``path`` what it says already.

        Raises:
            UsageError: it cannot be written, and no change could be kept.
        """
        try:
            self.save(path)
        except OSError as error:
            message = f"{path} cannot be written: {os.strerror(error.errno or 0)}"
            raise UsageError(message, "Name a file in another folder.") from error

    def load(self, path: Path) -> None:
        """Replace items and notifications by those of ``path``.

        Raises:
            UsageError: the file is not a state file of the sandbox.
        """
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            found = [rows.restored(row) for row in state["items"]]
            rung = [(float(at), str(item), str(text)) for at, item, text in state["notifications"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            advice = "Name another file, or remove this one to start afresh."
            raise UsageError(f"{path} is not a state file of the sandbox", advice) from error
        self.items.clear()
        self.items.update((item.id, item) for item in found)
        self.notifications[:] = rung
        stamps = [item.created_at for item in found if item.created_at is not None]
        self._latest = max(stamps, default=self._latest)

    def _changed(self) -> None:
        if self.state is not None:
            self.save(self.state)

    @contextlib.contextmanager
    def _saved_once(self) -> Iterator[None]:
        """Save what is changed inside with one write of the state file."""
        state, self.state = self.state, None
        try:
            yield
        finally:
            self.state = state
            self._changed()


def _listed(values: Iterable[object]) -> str:
    """Return a JSON array with a line for each value."""
    return "[" + ",".join(f"\n{json.dumps(value, ensure_ascii=False)}" for value in values) + "]"
