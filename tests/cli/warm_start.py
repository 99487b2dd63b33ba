"""Processes of batcher that needn't import it first: forked from one that has.

`python warm_start.py FD` imports all of batcher but the service. Then it forks a process for each
byte that comes over the socket FD with five files: a pipe that tells the argv, the environment and
the directory of a command, one that is told its exit code, and its three standard files. It ends
with the socket.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import time
from typing import TextIO


def main(connection: socket.socket) -> None:
    """Return in the process of a command, to run it; leave the others here."""
    sys.path[0] = ""  # as with `python -m`
    _import_all()
    gc.freeze()
    while True:
        asked, files, _, _ = socket.recv_fds(connection, 1, 5)
        _reap()
        if not asked:
            _reap(0)
            sys.exit()
        if not os.fork():
            connection.close()
            _become(*files)
            return
        for file in files:
            os.close(file)


def _import_all() -> None:
    import batcher

    for module in pkgutil.walk_packages(batcher.__path__, "batcher."):
        if not module.name.startswith(("batcher.service", "batcher.testing", "batcher.__main__")):
            importlib.import_module(module.name)


def _become(asked: int, told: int, *standard: int) -> None:
    """Return in a child whose end is told; the parent waits for it."""
    with os.fdopen(asked) as words:
        command = json.load(words)
    child = os.fork()
    if child:
        for file in standard:
            os.close(file)
        _, status = os.waitpid(child, 0)
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(told)
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = _opened(1, sys.stdout), _opened(2, sys.stderr)
    os.chdir(command["directory"])
    os.environ.clear()
    os.environ.update(command["environment"])
    time.tzset()
    sys.argv = ["batcher", *command["words"]]


def _opened(number: int, like: TextIO) -> TextIO:
    """Of another kind of file than before: `like` knows whether one can seek in it."""
    return os.fdopen(number, "w", encoding=like.encoding, errors=like.errors, closefd=False)


def _reap(options: int = os.WNOHANG) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("batcher", run_name="__main__", alter_sys=True)
