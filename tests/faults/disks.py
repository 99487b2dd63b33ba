"""Two file systems for ledger and results: loop mounts whose power can be cut, or two folders where
those can't be had.

On one file system a commit of the ledger also makes durable what was written beside it, and hides a
missing sync.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_FLUSHING_THE_LOG: Final = struct.pack("I", 2)
SIZE: Final = 48 << 20


@dataclass(frozen=True, slots=True)
class Disks:
    """`images` are what the two folders are mounted from; none where power can't be cut."""

    ledger: Path
    results: Path
    images: tuple[Path, ...] = ()

    @property
    def mounts(self) -> list[str]:
        return [str(self.ledger), str(self.results)] if self.images else []

    def cut_power(self) -> None:
        """From now on nothing reaches the disks, and what hadn't is lost."""
        for folder in (self.ledger, self.results):
            fd = os.open(folder, os.O_RDONLY)
            try:
                fcntl.ioctl(fd, SHUTDOWN, WITHOUT_FLUSHING_THE_LOG)
            finally:
                os.close(fd)

    def restore_power(self) -> None:
        for folder, image in zip((self.ledger, self.results), self.images, strict=True):
            _say("umount", folder)
            _say("mount", "-o", "loop", image, folder)

    def wipe(self) -> None:
        for folder in (self.ledger, self.results):
            for entry in folder.iterdir():
                if entry.name != "lost+found":
                    shutil.rmtree(entry)
            _say("sync", "-f", folder)  # or else a cut brings back what the trial before left


def why_no_power_cuts() -> str | None:
    """What is missing for `mounted`; None where nothing is."""
    if os.geteuid() != 0:
        return "cutting the power of a file system needs root"
    if missing := [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]:
        return f"cutting the power of a file system needs {missing[0]}"
    try:
        with tempfile.TemporaryDirectory() as folder, mounted(Path(folder)) as disks:
            disks.cut_power()
            disks.restore_power()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no ext4 on a loop device whose power could be cut: {error}"
    return None


@contextmanager
def mounted(root: Path) -> Iterator[Disks]:
    """Two small ext4 file systems on loop devices."""
    folders = [root / name for name in ("ledger", "results")]
    images = [root / f"{folder.name}.img" for folder in folders]
    with ExitStack() as stack:
        for folder, image in zip(folders, images, strict=True):
            folder.mkdir()
            with image.open("wb") as file:
                file.truncate(SIZE)
            _say("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
            _say("mount", "-o", "loop", image, folder)
            stack.callback(_say, "umount", "-l", folder)
        yield Disks(*folders, images=tuple(images))


@contextmanager
def plain(root: Path) -> Iterator[Disks]:
    """Two folders; the ledger's in memory where that is a file system of its own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else root) as ledger:
        (root / "results").mkdir()
        yield Disks(Path(ledger), root / "results")


def _say(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
