"""Answers that say too much, and answers that reach somebody else: two more ways in which a service
misbehaves.

Their chances are their own: other faults come as they would without them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from batcher.errors import BadReply, Refused, ServiceError
from batcher.manifest.password_rules import passwords_in
from batcher.reducto.api_types import METADATA_KEY
from batcher.reducto.responses import explanation

if TYPE_CHECKING:
    from world import World

T = TypeVar("T")
KEY_IN: Final = "SIMULATION_KEY"  # the environment's variable
SEEN: Final = 8  # characters of a secret's beginning that nobody may find written down
COMPANY: Final = 60.0  # seconds that an answer may be on its way to somebody else


class Gossip:
    """A service that quotes what it was sent: its key, the password of its document, what signs a
    link, a token.

    In some lives. It says so in refusals, in half answers and in what its jobs fail with, in all
    the forms that words may have on their way through headers, JSON, addresses and pages; and cut
    short in the midst.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = random.Random(f"quotes {seed}")
        self.share = self._rng.choice((0.0, 0.0, 0.3, 1.0))  # of the words that it quotes in
        self.key = f"sk-{self._hex()}"
        self.password = f'{self._hex()} "ü"/%+ {self._hex()}'
        self.told: list[str] = []  # by batcher, to whoever watches and to its log
        self.journal: list[bytes] = []

    @property
    def talks(self) -> bool:
        return self.share > 0.0

    def signature(self, job_id: str) -> str:
        """Of the link that this job's result stands at."""
        return sha256(f"signature {self._seed} {job_id}".encode()).hexdigest()

    def link(self, job_id: str) -> str:
        signed = (
            f"?X-Amz-Expires=600&X-Amz-Signature={self.signature(job_id)}" if self.talks else ""
        )
        return f"https://results/{job_id}{signed}"

    def quoting(self, error: ServiceError, sent: Sequence[str] = ()) -> ServiceError:
        """The same error, in words that hold something of what was `sent`.

        What is no answer stays what it is.
        """
        if not isinstance(error, BadReply | Refused) or not self._wants_to():
            return error
        words = self.quoted(error.said if isinstance(error, Refused) else error.message, sent)
        return type(error)(error.call, words, **_facts(error))

    def quoted(self, words: str, sent: Sequence[str] = ()) -> str:
        secret = self._rng.choice([self.key, f"Bearer {self.key}", *sent])
        body = {"detail": f"{words} {self._rng.choice(_FORMS)(secret)}"}
        return explanation(json.dumps(body).encode())[1]

    def failing(self, words: str, sent: Sequence[str]) -> str:
        return self.quoted(words, sent) if self._wants_to() else words

    def witnessed(self, configs: Mapping[str, str]) -> Iterator[str]:
        """Each secret there was, by its beginning and what it is.

        `configs` by job: the requests as they came.
        """
        if not self.talks:
            return
        yield self.key.removeprefix("sk-")[:SEEN]
        yield from (self.password[:SEEN], self.password[-SEEN:])
        for job_id, config in configs.items():
            yield self.signature(job_id)[:SEEN]
            yield from (token[:SEEN] for token in tokens_in(config))

    def refuses(self) -> bool:
        """A submission, so that there is a verdict to quote in."""
        return self._wants_to() and self._rng.random() < 0.1

    def _wants_to(self) -> bool:
        return self.talks and self._rng.random() < self.share

    def _hex(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"


def secrets_in(config: str) -> list[str]:
    """Of one request: the passwords of its document."""
    return [*passwords_in(json.loads(config))]


def tokens_in(config: str) -> list[str]:
    mark = json.loads(config)["async"]["metadata"][METADATA_KEY]
    return [mark["token"]] if "token" in mark else []


def _facts(error: BadReply | Refused) -> dict[str, Any]:
    if isinstance(error, BadReply):
        return {"status": error.status}
    return {"status": error.status, "name": error.name, "retry_after": error.retry_after}


_FORMS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    json.dumps,
    lambda secret: json.dumps(json.dumps({"value": secret})),
    lambda secret: quote(secret, safe=""),
    lambda secret: f"https://results/some?X-Amz-Signature={quote(secret)}",
    lambda secret: f"<Provided>{secret}</Provided>",
    lambda secret: f"{secret[:12]}…",
)


class Crossroads:
    """In some lives two answers that are on their way at the same time change places: each reaches
    who asked the other. In some of these, answers to submissions go round among more.

    One of a process: with it goes who waits there.
    """

    def __init__(self, world: World, kind: str) -> None:
        life = random.Random(f"crossed {kind} {world.seed}")
        self._share = life.choice((0.0, 0.0, 0.1, 0.5))
        self._world = world
        self._kind = kind
        self._rng = random.Random(f"crossed {kind} {world.seed} {world.run}")
        # the answer that whoever comes next gets, and who gets theirs
        self._waiting: tuple[Any, asyncio.Future[Any]] | None = None
        rings = random.Random(f"rings {kind} {world.seed}")
        self._going_round = rings.choice((0.0, 0.5)) if kind == "submissions" else 0.0
        self._rings = random.Random(f"rings {kind} {world.seed} {world.run}")
        self._round: list[Any] = []  # the answers that have gone round so far

    async def passed(self, mine: T) -> T:
        """The answer that arrives where `mine` should: another's, if one comes the same way in
        time.
        """
        if self._waiting is not None:
            theirs, other = self._waiting
            self._world.faults[f"{self._kind} crossed"] += 1
            self._world.crossed += [(one, mine) for one in self._round]
            self._round.append(mine)
            if self._rings.random() < self._going_round:
                self._world.faults[f"{self._kind} in a ring"] += 1
                self._waiting = (mine, other)
            else:
                self._waiting = None
                other.set_result(mine)
            return theirs  # type: ignore[no-any-return]
        if self._world.calm or self._rng.random() >= self._share:
            return mine
        other = asyncio.get_running_loop().create_future()
        self._waiting = (mine, other)
        self._round = [mine]
        await asyncio.wait({other}, timeout=self._rng.uniform(0.0, COMPANY))
        self._world.step()
        if other.done():
            return other.result()  # type: ignore[no-any-return]
        last, _ = self._waiting
        self._waiting = None
        return last  # type: ignore[no-any-return]
