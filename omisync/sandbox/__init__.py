"""A local Omi server with the real one's behaviour and traps.

For the demo, for trying a config without an account, and for every test that
would otherwise need the network. It serves the five action item operations of
the Omi Developer API as the public server source has them, and can be told to
fail in each way a server and a network fail.

- ``items``    what is kept of an item, and which items a list shows.
- ``wire``     bodies, queries and answers, in FastAPI's shapes.
- ``account``  one account: items, phone notifications, what a request does.
- ``faults``   which request fails, and how.
- ``server``   the account over HTTP: keys, scopes, budgets, faults, records.
- ``command``  what ``omisync sandbox`` runs.

Importing this package loads aiohttp and pydantic.
"""

from __future__ import annotations

from omisync.sandbox.command import line, serve
from omisync.sandbox.faults import Fault
from omisync.sandbox.items import Item
from omisync.sandbox.server import KEY, READ_ONLY_KEY, Request, Sandbox

__all__ = ["KEY", "READ_ONLY_KEY", "Fault", "Item", "Request", "Sandbox", "line", "serve"]
