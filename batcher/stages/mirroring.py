"""Copies files from disk to an object store: results as they are made, data sets at a run's end.

Each object is put whole and recorded. Objects that batcher didn't put there are not touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from batcher.errors import MirrorError
from batcher.ledger import derived_outputs
from batcher.ledger.derived_outputs import Derivable, Derived, remember
from batcher.ledger.ledger import Ledger
from batcher.outputs import derived_files
from batcher.outputs.mirror import Mirror
from batcher.outputs.result_store import Store
from batcher.stages.making import Limit, in_thread, to_their_ends
from batcher.stages.run_control import RunControl

IN_A_ROW: Final = 3  # refused documents in a row, of a store that has never accepted any
# the same for a store that has: a folder of names that are too long is no reason to stop
MANY_IN_A_ROW: Final = 100


class Missed(NamedTuple):
    one: Derivable
    error: MirrorError


class Mirrored:
    """Puts each result into an object store, with its Markdown and pictures once they are made.

    What the store refuses while it accepts others is reported, and put by the next run. A store
    that refuses everything counts as unavailable.
    """

    format = "mirror"
    at_a_time = Limit(documents=16)

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        mirror: Mirror,
        control: RunControl,
        *,
        after: str | None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._mirror = mirror
        self._control = control
        self._has_taken = False  # any object, at any time
        self._refused = 0  # in a row
        self.after = after

    async def prepare(self) -> None:
        """Forget what was put into another place, so that it is put here too."""
        elsewhere = [
            name
            for name in derived_outputs.files(self._ledger.reader, self.format)
            if not name.startswith(f"{self._mirror.url}/")
        ]
        await derived_outputs.forget(self._ledger, self.format, elsewhere)
        self._has_taken = bool(derived_outputs.files(self._ledger.reader, self.format))

    async def make(self, group: Sequence[Derivable]) -> None:
        there = await in_thread(derived_files.whole, self._store, group)
        outcomes, error = await to_their_ends(map(self._tried, there))
        made = [one for one in outcomes if isinstance(one, Derived)]
        await remember(self._ledger, made)
        await self._take_in(
            [one for one in outcomes if isinstance(one, Missed)], has_taken=bool(made)
        )
        if error is not None:
            raise error

    async def _take_in(self, missed: Sequence[Missed], *, has_taken: bool) -> None:
        """Report refused documents. Raises MirrorError if the store itself is unavailable."""
        self._has_taken = self._has_taken or has_taken
        self._refused = 0 if has_taken else self._refused + len(missed)
        if missed and not has_taken and await self._is_away():
            raise missed[0].error
        for one, error in missed:
            await derived_outputs.give_up(self._ledger, one, self.format, str(error))
            self._control.warn(f"{one.source}: not in the object store: {error}")

    async def _is_away(self) -> bool:
        too_many = MANY_IN_A_ROW if self._has_taken else IN_A_ROW
        return self._refused >= too_many or not await self._mirror.answers()

    async def _tried(self, one: Derivable) -> Derived | Missed:
        try:
            return await self._put(one)
        except MirrorError as error:
            return Missed(one, error)

    async def _put(self, one: Derivable) -> Derived:
        markdown = derived_outputs.made_of(self._ledger.reader, one.document, "markdown")
        for name in await in_thread(derived_files.names_of, self._store, one, markdown):
            await self._mirror.put(name, self._store.path(name))
        place = f"{self._mirror.url}/{one.output}"
        return Derived(one.document, self.format, one.sha256, place, 0, one.size, one.sha256)


class MirroredSets:
    """Puts the files that many documents share: lines and Parquet.

    A data set's file that was deleted on disk is removed from the store too.
    """

    def __init__(self, ledger: Ledger, store: Store, mirror: Mirror) -> None:
        self._ledger = ledger
        self._store = store
        self._mirror = mirror

    async def conclude(self) -> None:
        """Put the files that have changed; a file of lines is put again as a whole if it has grown.

        Raises the first MirrorError, after the other files have been tried.
        """
        sets = {
            f"{self._mirror.url}/{one.name}": one
            for one in derived_outputs.data_sets(self._ledger.reader)
        }
        known = derived_outputs.mirrored_sets(self._ledger.reader)
        errors = list[MirrorError]()
        for place, one in sets.items():
            if known.get(place) != one.mark and self._store.path(one.name).is_file():
                with _kept(errors):
                    await self._mirror.put(one.name, self._store.path(one.name), length=one.length)
                    known[place] = one.mark
                    await derived_outputs.note_mirrored_sets(self._ledger, known)
                await self._stop_if_away(errors)
        for place in [place for place in known if place not in sets]:
            with _kept(errors):
                if place.startswith(f"{self._mirror.url}/"):
                    await self._mirror.remove(place.removeprefix(f"{self._mirror.url}/"))
                del known[place]
                await derived_outputs.note_mirrored_sets(self._ledger, known)
            await self._stop_if_away(errors)
        if errors:
            raise errors[0]

    async def _stop_if_away(self, errors: list[MirrorError]) -> None:
        if errors and not await self._mirror.answers():
            raise errors[0]


@contextmanager
def _kept(errors: list[MirrorError]) -> Iterator[None]:
    try:
        yield
    except MirrorError as error:
        errors.append(error)
