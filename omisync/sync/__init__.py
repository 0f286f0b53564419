"""One cycle: observe, decide, apply, settle.

``desk`` holds what a cycle works with, ``looks`` reads the server, ``creates``
creates exactly once, ``changes`` patches and removes, ``cycle`` puts them in
order; ``repair`` and ``parked`` are for when a person has to help. Nothing here
waits for a later time: a cycle returns when to look again.
"""

from omisync.sync.cycle import cycle, parsed, preview
from omisync.sync.desk import Desk, Outcome
from omisync.sync.looks import check_bound
from omisync.sync.parked import forget, retry
from omisync.sync.repair import Repaired, repair

__all__ = [
    "Desk",
    "Outcome",
    "Repaired",
    "check_bound",
    "cycle",
    "forget",
    "parsed",
    "preview",
    "repair",
    "retry",
]
