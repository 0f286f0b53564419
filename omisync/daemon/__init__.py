"""When a cycle runs, never what it does.

``pace`` has the backoff and the loop of ``--once``, ``serve`` the daemon,
``supervisor`` what is told to systemd. Only the daemon loads the watcher.
"""

from omisync.daemon.pace import backoff, delay, once

__all__ = ["backoff", "delay", "once"]
