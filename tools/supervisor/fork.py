"""A process begun by a fork of the supervisor, which has loaded what all of ours need.

A fresh interpreter for each would import Python's library, numpy and numba anew, half a second of
work ten times over before anybody can trade. The fork has them. In everything else it is made to be
what `python -m MODULE ARGUMENTS` would have been: its own session, signals at their defaults, no
descriptor that an exec would have closed, its own name in the process list; and it ends without
undoing anything that the supervisor has still to undo.

The supervisor has one thread, so there is no lock that somebody else held during the fork.
"""

import contextlib
import fcntl
import gc
import os
import runpy
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from setproctitle import setproctitle

_FAILED = 1


class Forked:
    """A child process by its pid, with what the supervisor needs of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode = 0  # negative: the number of the signal that ended it

    def poll(self) -> bool:
        """Whether it has ended; `returncode` says how from then on."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)
        return pid != 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; until `poll` has said that it ended, the pid is nobody else's."""
        os.kill(self.pid, number)


def fork(module: str, arguments: Sequence[str], supervisor_variable: str, output: int) -> Forked:
    """Run a module as a process of its own, as `python -m` would.

    supervisor_variable: set to our pid in its environment. output: the open file of its standard
    output and error. It has its own session when this returns: what is asked of the kernel for a
    session (tools/supervisor/turns.py) would else be asked for ours.
    """
    supervisor = os.getpid()
    began, begins = os.pipe()
    # A signal between the fork and the child's own handlers would run ours in it.
    allowed = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            environment = {supervisor_variable: str(supervisor)}
            _become(module, arguments, environment, output, begins, allowed)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, allowed)
    os.close(begins)
    os.read(began, 1)  # Ends when the child has closed its end, however it went on.
    os.close(began)
    return Forked(pid)


def _become(
    module: str, arguments: Sequence[str], environment: dict[str, str], output: int, begins: int,
    allowed: Iterable[int],
) -> NoReturn:
    """Be the module's process to its end. What is on our stack is the supervisor's business."""
    code = _FAILED
    try:
        os.setsid()  # Ctrl-C in the terminal is for the supervisor, who stops the others in order.
        os.close(begins)
        os.environ.update(environment)
        gc.freeze()  # Nothing of the supervisor's is ever collected here, nor are its pages copied.
        _take_descriptors(output)
        _reset_signals(allowed)
        sys.excepthook = sys.__excepthook__
        sys.argv = [module, *arguments]
        setproctitle(" ".join([sys.executable, "-m", *sys.argv]))
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _take_descriptors(output: int) -> None:
    """Standard input from nowhere, both outputs to `output`, nothing else an exec would close."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nowhere, 0), (output, 1), (output, 2)):
        os.dup2(source, target, inheritable=True)
    # New ones: what the supervisor has still to write must not be written twice.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (they live as long as this process)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # The listing's own is closed by now.
            if fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
                os.close(descriptor)


def _reset_signals(allowed: Iterable[int]) -> None:
    """Default for each signal that had a handler, as after an exec; then let them through."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, allowed)
