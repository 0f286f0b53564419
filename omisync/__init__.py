"""omisync keeps Omi's action items saying what a plain todo file says.

The map of this package, from the decision outwards:

- ``core``         decides: what the file says, which task is which, what to do. Pure.
- ``errors``       what can go wrong, by who must act; each class has its exit code.
- ``places``       where config, state and key are found. Standard library only.
- ``libc``         what is asked of the C library: functions, and its heap.
- ``config``       the config file as one frozen model.
- ``file``         the todo file's bytes.
- ``watch``        says that the file may have changed.
- ``store``        the ID map and everything else that must survive a power cut.
- ``api``          the Omi Developer API.
- ``sync``         one cycle: observe, decide, apply, settle.
- ``quick``        the run that finds nothing to do, decided at a glance.
- ``daemon``       when a cycle runs: wakes, backoff, stop.
- ``control``      what a running daemon can be asked, and how.
- ``log``          what a running daemon says.
- ``show``         what a person or a program reads of plans, cycles and status.
- ``cli``          the command line.
- ``sandbox``      a local Omi server with the real one's behaviour and traps.
"""

__version__ = "0.1.0"
