"""What the next cycle would do, by the same decisions; nothing is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omisync import file
from omisync.core import plan
from omisync.sync import ending, fitting, formats, observing, owner
from omisync.sync.desk import keys, policy

if TYPE_CHECKING:
    from omisync.config import Config
    from omisync.core.model import Document, Listing
    from omisync.core.plan import Plan
    from omisync.store import Store
    from omisync.sync.fitting import Fitted


def preview(
    config: Config, store: Store | None, now: float, listing: Listing | None = None
) -> tuple[Document, Plan]:
    """Return what the next cycle would do, asking nobody and changing nothing.

    ``listing`` is what Omi has, where it was asked for a two-way plan.

    Raises:
        OmisyncError: the file or the store cannot be used.
    """
    if store is not None:
        owner.check_bound(store, config)
    document = formats.parsed(config, file.read(config.todo_path))
    seen = observing.observed(config, document, store, now)
    if listing is not None:
        seen = observing.met(seen, listing)
    rules = policy(config, 0.0)
    fitted = fitting.fit(config, document, seen, plan.make(seen, rules, keys()), rules)
    then = _followed(config, document, seen, fitted.plan, rules)
    decided = replace(
        fitted.plan,
        ops=(*fitted.plan.ops, *then.plan.ops),
        clashes=(*fitted.plan.clashes, *then.plan.clashes),
    )
    said = (*ending.notices(document, decided), *fitted.notices, *then.notices)
    return replace(document, notices=tuple(sorted(said, key=lambda one: one.line))), decided


def _followed(
    config: Config, document: Document, seen: plan.Observation, decided: Plan, rules: plan.Policy
) -> Fitted:
    """Return what comes right after a plan: the changes of what it links."""
    tied = sorted((op for op in decided.adoptions if op.differs), key=lambda op: op.entry.line)
    seen = replace(
        seen,
        entries=[op.entry for op in tied],
        links=[op.link for op in tied],
        tombstones=(),
        unlinked=(),
        unread=(),
    )
    return fitting.fit(config, document, seen, plan.make(seen, rules, keys()), rules)
