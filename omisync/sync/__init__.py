"""One cycle: observe, decide, apply, settle.

- ``desk``      what a cycle works with
- ``formats``   the two kinds of todo file
- ``looks``     looks at the server before creates
- ``owner``     whose a store is: of which server, list, account
- ``reading``   two-way: when the whole list is read
- ``observing`` what a plan is made from
- ``guards``    what is refused whole
- ``fitting``   what of a plan the file can be made to say
- ``inward``    two-way: what happened in Omi reaches the file
- ``creates``   creates exactly once
- ``unknown``   what became of creates without an answer
- ``changes``   patches, removals, probes
- ``sending``   sends what a plan says
- ``remarks``   what is told beside what is done
- ``ending``    the outcome of a cycle
- ``cycle``     puts them in order
- ``preview``   what the next one would do
- ``repair``, ``parked``, ``taking_back``, ``commands``  for when a person has to help

Nothing here waits for a later time: a cycle returns when to look again.
"""

from omisync.sync.commands import COMMANDS
from omisync.sync.cycle import cycle
from omisync.sync.desk import Desk, Outcome
from omisync.sync.ending import failed_after, note_next_try
from omisync.sync.formats import parsed
from omisync.sync.guards import floods, is_refused
from omisync.sync.owner import check_bound
from omisync.sync.parked import forget, retry
from omisync.sync.preview import preview
from omisync.sync.reading import glance
from omisync.sync.repair import Repaired, repair
from omisync.sync.taking_back import restore, undo

__all__ = [
    "COMMANDS",
    "Desk",
    "Outcome",
    "Repaired",
    "check_bound",
    "cycle",
    "failed_after",
    "floods",
    "forget",
    "glance",
    "is_refused",
    "note_next_try",
    "parsed",
    "preview",
    "repair",
    "restore",
    "retry",
    "undo",
]
