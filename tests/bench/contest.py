"""Contenders on one stub service: each in a process of its own, measured by what the system says it
used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# as pip leaves a package; without, each start would compile batcher anew
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Used:
    """Seconds and bytes of one contender over one batch, and of the stub meanwhile."""

    wall: float
    cpu: float
    peak: int
    requests: int
    costly: int  # of them: submissions, which are paid for, and uploads
    stub_cpu: float
    submitted_after: float  # the last submission came so long after the start


Words = Callable[[str, Path, Path], list[str]]


def _script(name: str, *more: str) -> Words:
    return lambda url, inbox, out: [
        sys.executable,
        str(HERE / name),
        url,
        str(inbox),
        str(out),
        *more,
    ]


def batcher(*more: str) -> Words:
    return lambda url, inbox, out: [
        sys.executable,
        "-m",
        "batcher",
        "run",
        str(inbox),
        "-o",
        str(out),
        "--service",
        url,
        "-q",
        *more,
    ]


def _cli(url: str, inbox: Path, out: Path) -> list[str]:
    return [
        VENDORS_CLI,
        "parse",
        str(inbox),
        "--out-dir",
        str(out),
        "-o",
        "json",
        "-j",
        "100",
        "-q",
    ]


def _cli_each(url: str, inbox: Path, out: Path) -> list[str]:
    """The CLI once for each document, 16 at a time."""
    each = f"{VENDORS_CLI} parse {{}} -o json -q > {out}/{{/}}.json"
    return [
        "sh",
        "-c",
        f"mkdir -p {out}; find {inbox} -type f | parallel --will-cite -j 16 '{each}'",
    ]


VENDORS_CLI = (
    shutil.which("reducto", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    or ""
)
CONTENDERS: dict[str, Words] = {
    "bare aiohttp loop": _script("bare.py"),
    "batcher": batcher(),
    "SDK recipe, httpx": _script("recipe.py", "httpx"),
    "SDK recipe, aiohttp": _script("recipe.py", "aiohttp"),
    **({"vendor's CLI": _cli} if VENDORS_CLI else {}),
    **({"CLI, GNU parallel": _cli_each} if VENDORS_CLI and shutil.which("parallel") else {}),
}


@contextmanager
def stub(*words: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stub.py"), *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def inbox_of(documents: int, size: int) -> Iterator[Path]:
    """`documents` files of `size` bytes, each different, older than the moment a file is given to
    settle.
    """
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox")
        inbox.mkdir()
        for number in range(documents):
            path = inbox / f"{number:06}.pdf"
            path.write_bytes(f"{number:016}".encode() + os.urandom(64) * (size // 64))
            os.utime(path, (1_700_000_000, 1_700_000_000))
        yield inbox


def run(
    words: Words, url: str, inbox: Path, out: Path | None = None, *, ends_with: int = 0
) -> Used:
    """One batch by one contender. Its output stays until the inbox goes, unless one is given.

    ext4 looks long for a free inode where many were deleted in the last minutes: whoever came after
    a clearing up would pay for it, up to half of what the bare loop takes.
    """
    folder = out or Path(tempfile.mkdtemp(dir=inbox.parent))
    before = _used(url)
    began = time.perf_counter()
    began_at = time.time()
    keys = {"REDUCTO_API_KEY": "key", "REDUCTO_BASE_URL": url, "HOME": str(folder)}
    process = subprocess.Popen(
        words(url, inbox, folder / "out"), cwd=ROOT, env={**os.environ, **keys, **COMPILED}
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    after = _used(url)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != ends_with:
        raise SystemExit(f"{words(url, inbox, folder)} ended with {process.returncode}")
    return Used(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        requests=sum(after["requests"].values()) - sum(before["requests"].values()) - 1,
        costly=_costly(after) - _costly(before),
        stub_cpu=after["cpu"] - before["cpu"],
        submitted_after=after["submitted_at"] - began_at,
    )


def _costly(used: dict[str, Any]) -> int:
    return sum(number for call, number in used["requests"].items() if call.startswith("POST"))


def _used(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/__used") as answer:
        used: dict[str, Any] = json.load(answer)
        return used
