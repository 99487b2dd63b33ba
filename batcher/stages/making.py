"""What all makers have in common: how much each takes at once, what it is asked to do, and the
thread it blocks.
"""

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
    """Of a group: documents, or bytes of results.

    `patient`: it waits until one of them is reached, or the run ends.
    """

    documents: int = 128
    size: int = 32 << 20
    patient: bool = False


class Maker(Protocol):
    @property
    def format(self) -> str: ...

    @property
    def after(self) -> str | None:
        """Which other one goes first, for the same document."""

    @property
    def at_a_time(self) -> Limit: ...

    async def prepare(self) -> None:
        """Look after what a crash left, or a person changed."""

    async def make(self, group: Sequence[Derivable]) -> None:
        """Make it and have the ledger remember it. Raises OutputError, and whatever nobody foresaw:
        of one document.

        What was made of the others in the group by then is remembered, or is made again.
        """


async def to_their_ends(work: Iterable[Awaitable[T]]) -> tuple[list[T], BaseException | None]:
    """What came of all of it, and the first error: none is left at work behind another's back."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    errors = [one for one in outcomes if isinstance(one, BaseException)]
    return [one for one in outcomes if not isinstance(one, BaseException)], next(iter(errors), None)


async def in_thread(work: Callable[..., T], *values: Any) -> T:
    """`work` in a thread, to its end even where this run's is near: nobody writes once the ledger
    is let go.
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
