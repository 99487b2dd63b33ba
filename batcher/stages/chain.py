"""Releases the later steps of a chain when the step before has ended.

It sends nothing and fetches nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Final

from batcher.common.signals import Signal
from batcher.core import events
from batcher.core.lifecycle import VERDICTS, State
from batcher.ledger.ledger import Ledger, Transition
from batcher.ledger.queries.rows import Follower

GROUP: Final = 256
_ENDS: Final = VERDICTS | {State.SAVED}


class Chain:
    def __init__(self, ledger: Ledger, found: asyncio.Event) -> None:
        """`found` is set once all sources are in the ledger.

        By then steps may have come in whose upstream had already ended.
        """
        self._ledger = ledger
        self._found = found
        self._ended: deque[int] = deque()
        self._heard = asyncio.Event()
        self._settled = Signal()
        self._looking = asyncio.Lock()  # one look-up and the events that follow from it at a time

    def outstanding(self) -> int:
        """Return how many ended steps still have followers to release.

        The latest of them may release a blocked document.
        """
        return len(self._ended) + self._looking.locked()

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._settled.wait()

    async def run(self) -> None:
        """Release followers for as long as the run lasts."""
        self._ledger.listeners.append(self._hear)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_for_ever())
            await self._look_through()
            await self._found.wait()
            await self._look_through()

    def _hear(self, change: Transition) -> None:
        if change.after in _ENDS:
            self._ended.append(change.event.document)
            self._heard.set()
        elif change.after is State.FOLLOWING:
            upstream = self._ledger.sending.upstream_of(change.event.document)
            assert upstream is not None, f"document {change.event.document} follows nothing"
            self._ended.append(upstream)  # its upstream may have ended long ago
            self._heard.set()

    async def _follow_for_ever(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            while self._ended:
                upstreams = [self._ended.popleft() for _ in range(min(GROUP, len(self._ended)))]
                async with self._looking:
                    await self._release(self._ledger.sending.followers(upstreams))
                self._settled.give()

    async def _look_through(self) -> None:
        """Release, in groups, what waits for steps that ended before anybody listened."""
        after = 0
        while True:
            async with self._looking:
                followers = self._ledger.sending.ready_to_follow(after=after, limit=GROUP)
                await self._release(followers)
            self._settled.give()
            if not followers:
                return
            after = followers[-1].id

    async def _release(self, followers: Sequence[Follower]) -> None:
        if followers:
            await self._ledger.record(*happened(followers))


def happened(followers: Sequence[Follower]) -> Iterator[events.Event]:
    """Yield the events that release `followers`.

    Of several blocked ones with the same bytes and step the first pays, for none of them has been
    sent.
    """
    first: dict[str, int] = {}
    for follower in followers:
        payer = follower.payer
        if payer is None and follower.same is not None and follower.state is State.SAVED:
            payer = first.setdefault(follower.same, follower.id)
        yield _event(follower, None if payer == follower.id else payer)


def _event(follower: Follower, payer: int | None) -> events.Event:
    if follower.state is State.SAVED:
        return (
            events.UpstreamSaved(follower.id)
            if payer is None
            else events.Rejoined(follower.id, payer)
        )
    reason = f"{follower.job} {follower.state}: {follower.reason or ''}".rstrip(": ")
    return events.UpstreamFailed(
        follower.id, reason, follower.kind or follower.state, error_name=follower.error_name or ""
    )
