"""The folder of a simulated batch: small letters, some the same, which people add, edit, copy, rename and delete."""

from __future__ import annotations

import os
import random
from hashlib import sha256
from itertools import count
from pathlib import Path

SIZES = (1, 3, 8, 20)
FIRST_MTIME = 1_700_000_000


class Inbox:
    """`now`: digest of the bytes that each name has; `ever`: the name that each digest was first given."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._folder, self._rng, self._numbers = folder, rng, count()
        self.now: dict[str, str] = {}
        self.ever: dict[str, str] = {}
        folder.mkdir()
        for number in range(rng.choice(SIZES)):
            self._write(self._new_name(), "the same letter" if number in (1, 2) else f"letter {number}")

    def change(self) -> str:
        """Something that a person does to the documents between two runs, in a word."""
        rng = self._rng
        what = rng.choice(("added", "edited", "copied", "renamed", "deleted"))
        one = rng.choice(sorted(self.now)) if self.now else None
        if what == "added" or one is None:
            self._write(self._new_name(), f"new {next(self._numbers)}")
            return "added"
        if what == "edited":
            self._write(one, f"edited {next(self._numbers)}")
        elif what == "copied":
            self._write(self._new_name(), (self._folder / one).read_text())
        elif what == "renamed":
            (self._folder / one).rename(self._folder / (name := self._new_name()))
            self.now[name] = self.now.pop(one)
        elif len(self.now) > 1:
            (self._folder / one).unlink()
            del self.now[one]
        return what

    def _new_name(self) -> str:
        return f"{next(self._numbers):03}.txt"

    def _write(self, name: str, text: str) -> None:
        new = self._folder / f".{name}"
        new.write_text(text)
        moment = FIRST_MTIME + next(self._numbers)
        os.utime(new, (moment, moment))
        new.replace(self._folder / name)
        self.now[name] = digest = sha256(text.encode()).hexdigest()
        self.ever.setdefault(digest, name)
