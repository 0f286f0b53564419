"""What a plan is made from: the file, the store and, in two-way, Omi's list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync.core import plan
from omisync.core.model import BOM

if TYPE_CHECKING:
    from omisync.config import Config
    from omisync.core.model import Document, Listing
    from omisync.store import Store


def observed(
    config: Config, document: Document, store: Store | None, now: float
) -> plan.Observation:
    """Return what the file says and what the store, if there is one yet, knows."""
    said = plan.Observation(
        entries=document.entries,
        links=(),
        now=now,
        blank=_is_blank(document),
        unread=[notice.unread for notice in document.notices if notice.unread is not None],
    )
    if store is None:
        return said
    return replace(
        said,
        links=store.links(),
        tombstones=store.tombstones(now, kept=config.two_way),
        pending={intent.key: intent.fields.description for intent in store.intents()},
    )


def met(seen: plan.Observation, listing: Listing) -> plan.Observation:
    """Return the observation with all that Omi has."""
    linked = {link.remote_id for link in seen.links}
    return replace(
        seen,
        unlinked=[item for item in listing.items if item.id not in linked],
        listed={item.id: item for item in listing.items},
        complete=listing.complete,
    )


def _is_blank(document: Document) -> bool:
    return not document.source.removeprefix(BOM).strip(b"\x00 \t\r\n")
