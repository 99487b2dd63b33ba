"""Workers that needn't import first what they read with: forked from a process that has.

`python forked_workers.py FD` forks a worker for each message that comes over the socket FD with
three files: its standard input and output, its standard error, and a pipe that is told its number
and its exit code. It ends with the socket. `start` is `asyncio.create_subprocess_exec` for workers.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from typing import Any, NoReturn

WORKER = "batcher.service.worker"
start_anew = asyncio.create_subprocess_exec


class Forked:
    """As much of asyncio's Process as a worker's side of the service uses."""

    def __init__(
        self,
        number: int,
        pipes: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        told: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.pid = number
        self.stdout, self.stdin = pipes
        self.returncode: int | None = None
        self._ending = asyncio.create_task(self._end(told))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._ending)

    async def _end(self, told: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> int:
        reading, writing = told
        self.returncode = int(await reading.readline())
        writing.close()
        return self.returncode


async def start(*words: str, **more: Any) -> Any:
    """A worker is forked, and any other process started anew."""
    if words[:3] != (sys.executable, "-m", WORKER):
        return await start_anew(*words, **more)
    ours, theirs = socket.socketpair()
    telling, told = socket.socketpair()
    command = {"parser": words[3], "environment": more["env"], "directory": os.getcwd()}  # noqa: PTH109
    socket.send_fds(_origin(), [json.dumps(command).encode()], [theirs.fileno(), 2, told.fileno()])
    theirs.close()
    told.close()
    reading, writing = await asyncio.open_connection(sock=telling)
    number = int(await reading.readline())
    pipes = await asyncio.open_connection(sock=ours, limit=more["limit"])
    return Forked(number, pipes, (reading, writing))


@cache
def _origin() -> socket.socket:
    """The socket to the process that forks, which ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        env={**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONPATH": os.pathsep.join(sys.path)},
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def main(connection: socket.socket) -> str:
    """Return in a worker with the name of its parser; leave the other process here."""
    ends, ended = os.pipe()
    os.set_blocking(ended, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ended)
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, ends], [], [])
        if ends in ready:
            os.read(ends, 1 << 10)
            _tell(told)
        if connection not in ready:
            continue
        message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not message:
            sys.exit()
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _close(connection.detach(), ends, ended, *told.values())
            return _become(json.loads(message), *files)
        pipes, error, code = files
        _close(pipes, error)
        _say(code, child)
        told[child] = code


def _tell(told: dict[int, int]) -> None:
    while told:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        code = told.pop(child)
        _say(code, os.waitstatus_to_exitcode(status))
        os.close(code)


def _say(code: int, number: int) -> None:
    """Or not, where the service has ended meanwhile, and its worker ends with its input."""
    with contextlib.suppress(OSError):
        os.write(code, f"{number}\n".encode())


def _become(command: dict[str, Any], pipes: int, error: int, code: int) -> str:
    for number, file in enumerate((pipes, pipes, error)):
        os.dup2(file, number)
    _close(pipes, error, code)
    os.chdir(command["directory"])
    os.environ.clear()
    os.environ.update(command["environment"])
    return command["parser"]


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


def _work(connection: socket.socket) -> NoReturn:
    import plain_parser  # noqa: F401

    from batcher.service import parsing, worker  # noqa: F401

    gc.freeze()
    worker.main(main(connection))
    raise AssertionError("a worker ends with its input")


if __name__ == "__main__":
    _work(socket.socket(fileno=int(sys.argv[1])))
