"""Where a run's lines for people go: to a stream, and to a log file beside it.

On a terminal they are as they are; elsewhere, and in a file, each line begins with the time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TextIO

from batcher.views.log_file import LogFile
from batcher.views.status import plain
from batcher.views.tones import Tone, painted


class Messages:
    """Lines about the batch of that name; it is named in each if it may be one of many.

    With `quiet` the stream gets only warnings and errors, which then name the batch; the file gets
    everything. `write` puts a text above a progress bar, if there is one.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        batch: str = "",
        quiet: bool = False,
        coloured: bool = False,
        file: LogFile | None = None,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._stream = stream
        self._named = f'batch "{batch}": ' if quiet and batch else ""
        self._quiet = quiet
        self._coloured = coloured
        self._file = file
        self._write = write or self._write_plainly
        self._stamps = not stream.isatty()

    @property
    def is_silent(self) -> bool:
        """Whether nobody reads what is neither a warning nor an error."""
        return self._quiet and self._file is None

    def say(self, words: str, tone: Tone = Tone.PLAIN) -> None:
        """Tell something; nothing that anybody need act on."""
        if not self._quiet:
            self._show(words, tone)
        self._keep(words)

    def note(self, words: str) -> None:
        """Write to the file alone what the stream shows in another way."""
        self._keep(words)

    def begin(self, words: str) -> None:
        """Tell that a run begins, where its lines follow those of others."""
        if self._stamps:
            self.say(words)
        else:
            self._keep(words)

    def warn(self, words: str) -> None:
        self.alert(f"warning: {words}", Tone.WARNING)

    def fail(self, words: str) -> None:
        """Tell why the run can't start or go on."""
        self.alert(words, Tone.BAD)

    def alert(self, words: str, tone: Tone, *, is_kept: bool = True) -> None:
        """Tell something that also those hear who want to hear of nothing else.

        The file gets it if it `is_kept`.
        """
        said = f"batcher: {self._named}{words}"
        self._show(said, tone)
        if is_kept:
            self._keep(said)

    def _show(self, words: str, tone: Tone) -> None:
        words = plain(words, keep="\n")
        if self._coloured:
            words = painted(words, tone)
        with suppress(OSError):  # that nobody can read it is no reason to stop a run
            self._write(_stamped(words) if self._stamps else words)

    def _keep(self, words: str) -> None:
        if self._file is not None:
            self._file.write(_stamped(plain(words, keep="\n")) + "\n")

    def _write_plainly(self, words: str) -> None:
        self._stream.write(words + "\n")
        self._stream.flush()


def _stamped(words: str) -> str:
    """Return each line after the local time, with what that differs from UTC by."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return "\n".join(f"{now} {line}" for line in words.split("\n"))
