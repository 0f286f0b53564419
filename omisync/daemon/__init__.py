"""When a cycle runs, never what it does.

``pace`` has the backoff and the loop of ``--once``, ``serve`` the daemon,
``basis`` the config and key it runs on, ``opening`` the store that it holds,
``signals`` and ``asked`` what it is asked for, ``alarm`` the failure that lasts,
``supervisor`` what is told to systemd, ``threads`` what may hang, ``memory`` what it
gives back. ``--once`` loads no watcher.
"""

from omisync.daemon.pace import once

__all__ = ["once"]
