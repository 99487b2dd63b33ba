"""The folder of a simulated batch: small letters, to which people and machines do all kinds of
things.
"""

from __future__ import annotations

import os
import random
from hashlib import sha256
from itertools import count
from pathlib import Path

SIZES = (1, 3, 8, 20)
FIRST_MTIME = 1_700_000_000
PEOPLE = ("added", "edited", "copied", "renamed", "deleted", "swapped", "rotated", "taken back")
TROUBLES = ("away", "emptied")  # of all files at once, until they are as they were


class Inbox:
    """`now`: digest of the bytes that each name has; `ever`: the name that each digest was first
    given.
    """

    def __init__(self, folder: Path, rng: random.Random, *, texts: str = "letter") -> None:
        self.folder, self._rng, self._numbers, self._texts = folder, rng, count(), texts
        self.now: dict[str, str] = {}
        self.ever: dict[str, str] = {}
        self._bytes: dict[str, str] = {}  # every text there ever was, by its digest
        self._in_trouble = False
        folder.mkdir()
        for number in range(rng.choice(SIZES)):
            same = f"the same {texts}"
            self._write(self._new_name(), same if number in (1, 2) else f"{texts} {number}")

    def change(self) -> str:
        """Something that happens to the documents between two runs, in a word."""
        rng = self._rng
        if self._in_trouble:
            self.restore()
            return "restored"
        if rng.random() < 0.2:
            return self._trouble(rng.choice(TROUBLES))
        what = rng.choice(PEOPLE)
        one = rng.choice(sorted(self.now)) if self.now else None
        if what == "added" or one is None:
            self._write(self._new_name(), f"new {self._texts} {next(self._numbers)}")
            return "added"
        if what == "edited":
            self._write(one, f"edited {self._texts} {next(self._numbers)}")
        elif what == "taken back":
            self._write(one, self._bytes[rng.choice(sorted(self._bytes))])
        elif what == "copied":
            self._write(self._new_name(), self._bytes[self.now[one]])
        elif what == "renamed":
            self._move({one: self._new_name()})
        elif what == "swapped":
            other = rng.choice(sorted(self.now))
            self._move({one: other, other: one})
        elif what == "rotated":
            names = sorted(self.now)
            self._move(dict(zip(names, [*names[1:], names[0]], strict=True)))
        elif len(self.now) > 1:
            (self.folder / one).unlink()
            del self.now[one]
        return what

    def restore(self) -> None:
        """All files are again what they are meant to be."""
        if self._in_trouble:
            self._in_trouble = False
            for name, digest in self.now.items():
                self._put(name, self._bytes[digest])

    def _trouble(self, what: str) -> str:
        self._in_trouble = True
        for name in self.now:
            (self.folder / name).unlink()
            if what == "emptied":
                self._put(name, "")
        return what

    def _move(self, names: dict[str, str]) -> None:
        """Each file under the new name that is given for it; all at once, as it seems."""
        for old in names:
            (self.folder / old).rename(self.folder / f".{old}")
        for old, new in names.items():
            (self.folder / f".{old}").rename(self.folder / new)
        moved = {new: self.now.pop(old) for old, new in names.items()}
        self.now.update(moved)

    def _new_name(self) -> str:
        return f"{next(self._numbers):03}.txt"

    def _write(self, name: str, text: str) -> None:
        self._put(name, text)
        self.now[name] = digest = sha256(text.encode()).hexdigest()
        self.ever.setdefault(digest, name)
        self._bytes[digest] = text

    def _put(self, name: str, text: str) -> None:
        new = self.folder / f".{name}"
        new.write_text(text)
        moment = FIRST_MTIME + next(self._numbers)
        os.utime(new, (moment, moment))
        new.replace(self.folder / name)
