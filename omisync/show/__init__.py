"""What a person or a program reads of plans, cycles, repairs and status.

Functions from values to text or to JSON-ready data. Data goes to the stream
that is given for it, remarks and progress to stderr. On a terminal there are
colours and lines are cut to its width; elsewhere the same words come plain, one
fact a line. ``terminal`` overrides what a stream says it is.

``words`` has numbers, times and foreign text, ``paper`` the terminal or plain
stream, ``steps`` the ops of a plan, ``plans``, ``results``, ``standing``, ``repairs``, ``events``
and ``progress`` what is shown. rich is loaded only when something is written to a terminal.
"""

from omisync.show.events import clashes, clashes_data, history, history_data
from omisync.show.plans import plan, plan_data
from omisync.show.progress import Progress
from omisync.show.repairs import repaired, repaired_data
from omisync.show.results import check, error, headline, outcome, outcome_data
from omisync.show.standing import StatusFacts, status, status_data
from omisync.show.words import (
    ago,
    alike,
    called_with,
    clock_time,
    commands,
    count,
    duration,
    lines,
    safe,
    write_json,
)

__all__ = [
    "Progress",
    "StatusFacts",
    "ago",
    "alike",
    "called_with",
    "check",
    "clashes",
    "clashes_data",
    "clock_time",
    "commands",
    "count",
    "duration",
    "error",
    "headline",
    "history",
    "history_data",
    "lines",
    "outcome",
    "outcome_data",
    "plan",
    "plan_data",
    "repaired",
    "repaired_data",
    "safe",
    "status",
    "status_data",
    "write_json",
]
