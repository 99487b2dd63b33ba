"""Try passwords on a PDF, in a separate process, so that a malicious file can't take down the run.

Question and answer are one JSON line each through a pipe, so that no password is visible in a list
of processes. Passwords of other formats can't be tried.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

PATIENCE: Final = 20.0  # seconds for one document, whatever the number of passwords
LARGEST: Final = 256 << 20  # bytes; a larger PDF isn't tried
MEMORY: Final = 4 << 30  # bytes of address space of the process, far more than it uses
_PDF = b"%PDF-"
_OLE = b"\xd0\xcf\x11\xe0"
# the name of a stream that an encrypted Office file has
_SEALED: Final = "EncryptedPackage".encode("utf-16-le")


class _Question(msgspec.Struct):
    passwords: Sequence[str]
    path: bytes = b""  # bytes, since a path need not be UTF-8
    content: bytes = b""  # instead of `path`, for a document in memory


class Opened(msgspec.Struct):
    """The password that opens a document.

    `password` is empty if the document needs none; `known` is False if that couldn't be found out.
    """

    password: str = msgspec.field(default="")
    known: bool = True

    def __repr__(self) -> str:
        return "Opened(…)"


def wants_password(content: bytes | Path) -> bool | None:
    """Tell whether a document may need a password, hardly reading it.

    Returns False if it surely needs none, and None if it may need one that can't be tried here.
    """
    if isinstance(content, bytes):
        return _wants(content)
    try:
        with (
            content.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return _wants(mapped) if len(mapped) <= LARGEST else None
    except (OSError, ValueError):
        return None  # whatever reads it next reports the error


def _wants(content: bytes | mmap.mmap) -> bool | None:
    if content.find(_PDF, 0, 1024) >= 0:
        return content.find(b"/Encrypt") >= 0
    return None if content[:4] == _OLE and content.find(_SEALED) >= 0 else False


class Unlocker:
    """Owns the process that opens documents.

    The process is started with the first document, and again if one took it down. Methods may be
    called from several threads.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def opened_by(self, content: bytes | Path, passwords: Sequence[str]) -> Opened | None:
        """Return the first of `passwords` that opens the PDF, or None if none does. Blocking."""
        of_it = (
            {"content": content} if isinstance(content, bytes) else {"path": os.fsencode(content)}
        )
        with self._turn:
            answer = self._ask(_Question(passwords, **of_it))
            if answer is None:
                self._end()
                return Opened(known=False)
        return msgspec.json.decode(answer, type=Opened | None)

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._end()

    def _ask(self, question: _Question) -> bytes | None:
        """Return the process's answer, or None if it gives none in time."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            return process.stdout.readline() or None if ready else None
        except OSError:
            return None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 (of our own)
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                start_new_session=True,  # so that Ctrl-C reaches only the run
            )
        return self._process

    def _end(self) -> None:
        process = self._process
        self._process = None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()
        process.wait()


def _main() -> None:
    """Answer questions until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while line := sys.stdin.buffer.readline():
        question = msgspec.json.decode(line, type=_Question)
        sys.stdout.buffer.write(msgspec.json.encode(_tried(question)) + b"\n")
        sys.stdout.buffer.flush()


def _tried(question: _Question) -> Opened | None:
    import liteparse

    content = question.content or Path(os.fsdecode(question.path)).read_bytes()
    for password in question.passwords:
        try:
            liteparse.LiteParse(
                ocr_enabled=False, quiet=True, target_pages="1", password=password or None
            ).parse(content)
        except liteparse.ParseError as error:
            if "password" in str(error).lower():
                continue
            return Opened(known=False)
        return Opened(password)
    return None


if __name__ == "__main__":
    _main()
