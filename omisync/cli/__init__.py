"""The command line: arguments in, advice and exit codes out.

A run that finds nothing to do ends before anything heavy is imported, so every
command imports what it needs itself.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from omisync import errors

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run omisync with these arguments (default: the process's) and return the exit code."""
    from omisync.cli.arguments import parsed

    options = parsed(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except errors.OmisyncError as error:
        return _explained(error, as_json=options.json)
    except KeyboardInterrupt:
        return errors.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (``| head``): nothing is wrong with the sync.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.OK
    return code


def _explained(error: errors.OmisyncError, *, as_json: bool) -> int:
    """Tell the person what happened and what to do; return the exit code."""
    from omisync import show

    show.error(error, sys.stderr)
    if as_json:
        import json

        fault = {"message": error.message, "advice": error.advice}
        print(json.dumps({"code": error.exit_code, "error": fault}, ensure_ascii=False))  # noqa: T201 - data for programs
    return error.exit_code
