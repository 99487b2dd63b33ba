"""What all makers have in common: limits, their interface, and the threads that they run in."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from batcher.errors import OutputError
from batcher.ledger.derived_outputs import Derivable
from batcher.outputs.result_store import trouble

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limit:
    """How much is made at once: documents, or bytes of results, whichever is reached first.

    A `patient` maker waits until one of them is reached or the run ends.
    """

    documents: int = 128
    size: int = 32 << 20
    patient: bool = False


class Maker(Protocol):
    @property
    def format(self) -> str: ...

    @property
    def after(self) -> str | None:
        """The format that must be made first for the same document, if any."""

    @property
    def at_a_time(self) -> Limit: ...

    async def prepare(self) -> None:
        """Repair what a crash left behind or a person changed."""

    async def make(self, group: Sequence[Derivable]) -> None:
        """Make the group's files and record them in the ledger.

        Raises OutputError, or an unexpected error caused by one document. What was made of the
        others by then is recorded, or is made again.
        """


async def to_their_ends(work: Iterable[Awaitable[T]]) -> tuple[list[T], BaseException | None]:
    """Wait for all of `work`; return its results and the first error. Nothing is left running."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    errors = [one for one in outcomes if isinstance(one, BaseException)]
    return [one for one in outcomes if not isinstance(one, BaseException)], next(iter(errors), None)


async def in_thread(work: Callable[..., T], *values: Any) -> T:
    """Run `work` in a thread and wait for its end, even if the run is being cancelled.

    Nothing may be written after the ledger has been released. Raises OutputError if the system
    refuses to read or write.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *values))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            words = f"{error}: it was changed while a run was under way; run again"
            raise OutputError(words, errno=errno.ENOENT) from error
        raise trouble("the output", error) from error
