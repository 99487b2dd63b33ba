"""Processes of batcher that needn't import it first: forked from one that has.

`python warm_start.py FD` imports all of batcher but the service. Then it forks a process for each
byte that comes over the socket FD with five files: a pipe that tells the argv, the environment and
the directory of a command, one that is told its process id and then its exit code, and its three
standard files. It ends with the socket.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
from typing import NoReturn, TextIO


def main(connection: socket.socket) -> None:
    """Return in the process of a command, to run it; leave the others here."""
    sys.path[0] = ""  # as with `python -m`
    _import_all()
    gc.freeze()
    ends, ended = os.pipe()
    os.set_blocking(ended, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ended)
    told: dict[int, int] = {}  # by process, the pipe that is told its exit code
    while True:
        ready, _, _ = select.select([connection, ends], [], [])
        if ends in ready:
            os.read(ends, 1 << 10)
            _tell(told)
        if connection not in ready:
            continue
        asked, files, _, _ = socket.recv_fds(connection, 1, 5)
        if not asked:
            sys.exit()
        words, code, *standard = files
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _close(connection.detach(), ends, ended, code, *told.values())
            _become(words, standard)
            return
        os.write(code, b"%d\n" % child)
        told[child] = code
        _close(words, *standard)


def _import_all() -> None:
    import batcher

    for module in pkgutil.walk_packages(batcher.__path__, "batcher."):
        if not module.name.startswith(("batcher.service", "batcher.testing", "batcher.__main__")):
            importlib.import_module(module.name)


def _tell(told: dict[int, int]) -> None:
    while told:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        with os.fdopen(told.pop(child), "w") as pipe:
            pipe.write(str(os.waitstatus_to_exitcode(status)))


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


def _become(words: int, standard: list[int]) -> None:
    with os.fdopen(words) as asked:
        command = json.load(asked)
    for number, file in enumerate(standard):
        os.dup2(file, number)
    _close(*standard)
    sys.stdin = _opened(0, sys.stdin, "r")
    sys.stdout, sys.stderr = _opened(1, sys.stdout), _opened(2, sys.stderr)
    os.chdir(command["directory"])
    os.environ.clear()
    os.environ.update(command["environment"])
    time.tzset()
    sys.argv = ["batcher", *command["words"]]


def _opened(number: int, like: TextIO, mode: str = "w") -> TextIO:
    """Of another kind of file than before: `like` knows whether one can seek in it."""
    return os.fdopen(number, mode, encoding=like.encoding, errors=like.errors, closefd=False)


def _end_without_tidying(code: int) -> NoReturn:
    """As the interpreter ends, but for freeing each object: all of their memory would be copied."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
    try:
        runpy.run_module("batcher", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        _end_without_tidying(ended.code)
