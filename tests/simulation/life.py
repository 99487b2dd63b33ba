"""One batch from its first run to its end, through every fault that its seed holds, and all that
people do to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from answers import KEY_IN
from hands import hands_of
from inbox import Inbox
from virtual import VirtualLoop, unhurried
from witnesses import secrets_told, violations
from world import (
    BOGUS,
    HOUR,
    LISTING_LAG,
    SETTLE,
    START,
    Dead,
    SimJournal,
    SimTwin,
    SimWriter,
    World,
)

from batcher.adapters.clock import TOLERANCE
from batcher.core.lifecycle import OPEN, UNSENT, State
from batcher.errors import BatcherError
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.ledger.named import Wanted
from batcher.ledger.queries.rows import Candidate
from batcher.maintenance.retry import requeue
from batcher.maintenance.verify import remedies_for
from batcher.manifest.model import Limits, Manifest, Output, Service, Source
from batcher.manifest.password_rules import opening
from batcher.reducto.job import Job
from batcher.runs.cancelling import chosen
from batcher.runs.kinds import Cancellation, CollectRun, Run, RunContext
from batcher.runs.preflight import Connection, keep_secrets
from batcher.runs.running import _discreet as discreet
from batcher.runs.wiring import budget_of
from batcher.stages.run_control import RunControl

_DIGEST = re.compile("[0-9a-f]{64}")
RUNS_AT_MOST = 40
LONGEST_RUN = 30 * 24 * HOUR  # what takes longer never ends


@dataclass(slots=True)
class Outcome:
    """What became of a seed. `violations` is empty, or batcher has a defect."""

    seed: int
    documents: int = 0
    runs: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    tally: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def digest(self) -> str:
        """The same for the same seed, in any process."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def live(seed: int, root: Path) -> Outcome:
    """Run a batch until nothing is open, with the crashes, outages and people of `seed` in between.

    Its inbox is a folder of its own below `root`, on a file system that should be fast.
    """
    with TemporaryDirectory(dir=root) as folder:
        return _Life(World(seed), Path(folder)).lived()


class _Life:
    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.outcome = world, Outcome(world.seed)
        self.inboxes = [Inbox(folder / "inbox", world.rng)]
        if world.rng.random() < 0.2:  # two folders with the same names go to one output, in turns
            self.inboxes.append(Inbox(folder / "another inbox", world.rng, texts="note"))
        self.manifest = _manifest(folder, world)
        world.is_chain = len(self.manifest.jobs) > 1
        self.left_out: dict[int, set[str]] = {}  # by run: digests that nothing asks for in it
        self.caps: dict[int, int] = {}  # by run, of those that may send only so many
        self.credits: dict[int, float] = {}  # … or may spend only so much
        # by digest: a person decided that it may be paid for once more
        self.pardons: Counter[str] = Counter()
        self.hands = hands_of(world)
        self.stormy = world.rng.randint(1, RUNS_AT_MOST // 2)

    def lived(self) -> Outcome:
        world = self.world
        outcome = self.outcome
        path = self.manifest.output.ledger_path
        world.database = memory_ledger(path, batch=self.manifest.batch, clock=world.clock).reader
        try:
            while outcome.runs < RUNS_AT_MOST and not (world.calm and not _is_open(world)):
                outcome.runs += 1
                self._one_run(last=outcome.runs > self.stormy)
            world.stop(downtime=LISTING_LAG)
            # Twice: what comes back with the verdict of a copy is tried by the run after that.
            for inbox in (*self.inboxes, *self.inboxes):
                self._one_run(last=True, inbox=inbox)
                world.stop(downtime=LISTING_LAG)
            # nothing is left to do but to look for what the last one could not see yet
            self._one_run(last=True)
        except Exception as error:
            outcome.violations.append(f"{type(error).__name__}: {error}")
        told = (self.pardons, self.caps, self.credits, self.left_out)
        outcome.violations += violations(world, self.manifest, self.inboxes, *told)
        outcome.documents = sum(len(inbox.now) for inbox in self.inboxes)
        outcome.steps, outcome.faults = world.steps, dict(world.faults)
        outcome.virtual_seconds = world.now - START
        outcome.tally = dict(
            world.database.execute("SELECT state, count(*) FROM documents GROUP BY state")
        )
        return outcome

    def _one_run(self, *, last: bool, inbox: Inbox | None = None) -> None:
        world = self.world
        rng = self.world.rng
        _plan_next(world, last=last)
        kind = Run
        limits = Limits()
        inbox = inbox or rng.choice(self.inboxes)
        if not last:
            if world.run:
                self._in_between()
            kind = rng.choices((Run, CollectRun, Cancellation), (0.9, 0.07, 0.03))[0]
            if len(self.manifest.jobs) == 1 and rng.random() < 0.1:
                limits = Limits(max_documents=rng.randint(1, 5))
                self.caps[world.run + 1] = int(limits.max_documents or 0)
            # one of its own: caps shift no other chance
            chance = random.Random(f"{world.seed} {world.run}")
            if not limits.spending and chance.random() < 0.2:
                limits = Limits(max_credits=chance.randint(5, 40))
                self.credits[world.run + 1] = float(limits.max_credits or 0)
        source = self._source(inbox, last=last)
        self._process(
            lambda ledger: self._batch(
                ledger, kind, replace(self.manifest, sources=source, limits=limits)
            )
        )
        if rng.random() < 0.5:
            world.disk.cut_power()
        self.outcome.violations += secrets_told(world)

    def _source(self, inbox: Inbox, *, last: bool) -> tuple[Source, ...]:
        """What the next run's manifest asks for; now and then some documents are left out."""
        rng = self.world.rng
        exclude = tuple[str, ...]()
        if last:
            inbox.restore()
        elif inbox.now and rng.random() < 0.15:
            exclude = tuple(rng.sample(sorted(inbox.now), k=rng.randint(1, len(inbox.now))))
            self.world.faults["left out"] += 1
        asked = {digest for name, digest in inbox.now.items() if name not in exclude}
        self.left_out[self.world.run + 1] = {
            digest for one in self.inboxes for digest in one.ever
        } - asked
        return (Source(directory=inbox.folder, exclude=exclude),)

    def _in_between(self) -> None:
        """What people do while nothing runs: to the documents, to the results, to the batch."""
        rng = self.world.rng
        if rng.random() < 0.3:
            self.world.faults[rng.choice(self.inboxes).change()] += 1
        if (
            len(self.manifest.jobs) == 1 and rng.random() < 0.1
        ):  # of a chain, copies that are retried may part company
            self._process(self._retry)
        if rng.random() < 0.05 and self.world.disk.visible:
            data = self.world.disk.visible.pop(rng.choice(sorted(self.world.disk.visible)))
            self.pardons.update(self._digests_of(data))  # nobody else may have it any more
            self.world.faults["result deleted"] += 1
            while not self._process(self._repair):
                pass

    def _digests_of(self, data: bytes) -> set[str]:
        """Of the bytes that this file is the result of, as the ledger has it.

        A job that was crossed with another has read other bytes than those. What the ledger doesn't
        know says itself what it was made of.
        """
        sql = "SELECT content FROM documents WHERE output_sha256 = ?"
        rows = self.world.database.execute(sql, (sha256(data).hexdigest(),)).fetchall()
        return {row[0].partition(".")[0] for row in rows} or set(_DIGEST.findall(data.decode()))

    def _process(self, work: Callable[[Ledger], Awaitable[None]]) -> bool:
        """Whether `work`, in a process of its own, came to its end."""
        world = self.world
        loop = VirtualLoop(world.now)
        world.start(loop)
        try:
            loop.run_until_complete(self._in_words(work))
            return True
        except (BatcherError, Dead):
            return False
        except BaseExceptionGroup as errors:
            if errors.split((BatcherError, Dead))[1] is not None:
                raise
            return False
        finally:
            world.dies_at = None
            world.stop(
                downtime=world.rng.choice((1.0, 60.0, HOUR, 13 * HOUR, 36 * HOUR))
                * world.rng.random()
            )
            _bury(loop)

    async def _in_words(self, work: Callable[[Ledger], Awaitable[None]]) -> None:
        """`work` by a process that knows its secrets.

        The error that ends it is told, as the command line tells it.
        """
        world = self.world
        gossip = self.world.gossip
        journal = SimJournal(gossip.journal) if gossip.talks else None
        ledger = Ledger(SimWriter(world), world.database, clock=world.clock, journal=journal)
        os.environ[KEY_IN] = gossip.key
        keep_secrets(self.manifest, ledger.secrets)
        try:
            await work(ledger)
        except Exception as error:
            ledger.secrets.clean(error)
            gossip.told += [str(one) for one in _each(error)]
            raise

    async def _batch(self, ledger: Ledger, kind: type[CollectRun], manifest: Manifest) -> None:
        world = self.world
        await ledger.interrupted()
        if kind is Cancellation:
            world.faults["cancel"] += 1
        if manifest.limits.spending:
            await ledger.keep_to(budget_of(manifest))
        reached = Connection(SimTwin(world), "twin", "none")
        control = RunControl(secrets=ledger.secrets, tell=world.gossip.told.append)
        control.trace = lambda text: world.gossip.told.append(ledger.secrets.cut(text))
        means = RunContext(manifest, ledger, world.disk, reached, control, world.clock, world.rng)
        only = self._named(ledger) if kind is Cancellation else None
        means = means._replace(rate_limits=unhurried(), callback=Caller(world), only=only)
        run = kind(means._replace(hands=self.hands))
        before = _cancelled(ledger)
        try:
            async with asyncio.timeout(LONGEST_RUN):
                await run.to_its_end()
                if kind is Cancellation:
                    self._check_cancelled(ledger, only, _cancelled(ledger) - before)
                await self._audit(run, control)
        finally:
            world.gossip.told.append(control.reason)

    def _named(self, ledger: Ledger) -> frozenset[int] | None:
        """The documents that a person names, half of the time; None where all are meant.

        Its chance is one of its own: it shifts no other.
        """
        chance = random.Random(f"{self.world.seed} {self.world.run} cancel")
        sources = [row[0] for row in ledger.reader.execute("SELECT DISTINCT source FROM documents")]
        if not sources or chance.random() < 0.5:
            return None
        some = chance.sample(sources, chance.randint(1, len(sources)))
        try:
            return chosen(
                ledger.reader, Wanted(listed=tuple((one,) for one in some)), None
            ).documents
        except BatcherError:
            return None  # nothing of it is open, or a copy that isn't named needs the job

    def _check_cancelled(
        self, ledger: Ledger, only: frozenset[int] | None, cancelled: set[int]
    ) -> None:
        unsent = _in_states(ledger, UNSENT)
        if (only is None and unsent) or (only is not None and unsent & only):
            self.world.defects.append("something is still to be sent after it was called off")
        if only is not None and not cancelled <= only:
            self.world.defects.append("a document was cancelled that nobody named")

    async def _audit(self, run: CollectRun, control: RunControl) -> None:
        """By one that says that it could see all there is, what it didn't see isn't there."""
        world = self.world
        began = self.world.now
        world.replica.left_out.clear()
        audit = discreet(await run.audit(), run.ledger.secrets)
        world.gossip.told += [*audit.words(), *audit.notes]
        world.mixed_up += audit.mixed_up
        world.concealed |= world.replica.left_out
        left_out = bool(world.replica.left_out)
        if not audit.notes and control.exit_code != 4 and not control.abort and not left_out:
            world.audits.append((began, world.now))

    async def _retry(self, ledger: Ledger) -> None:
        """A person puts everything with a verdict back in the queue, and knows that some of it is
        paid again.
        """
        self.world.faults["retry"] += 1
        chosen = list(ledger.repair.with_verdict())
        self._pardon(ledger, chosen)
        await requeue(ledger, chosen)

    async def _repair(self, ledger: Ledger) -> None:
        """As `batcher.maintenance.verify.repair` does it, with this world's disk."""
        sql = "SELECT output, output_sha256 FROM documents WHERE current = 1 AND state = 'saved'"
        rows = ledger.reader.execute(sql).fetchall()
        broken = [
            ledger.repair.of_result(output)
            for output, sha256 in rows
            if self.world.disk.digest(output) != sha256
        ]
        remedies = remedies_for(ledger.repair, self.world.disk.digest, broken, ledger.clock())
        self._pardon(ledger, [*remedies.paid, *(c for c, _ in remedies.copied)])
        await ledger.record(*remedies.events())

    def _pardon(self, ledger: Ledger, chosen: list[Candidate]) -> None:
        for one in chosen:
            sql = "SELECT content FROM documents WHERE id = ?"
            content = ledger.reader.execute(sql, (one.id,)).fetchone()[0] or ""
            self.pardons[content.partition(".")[0]] += 1


def _cancelled(ledger: Ledger) -> set[int]:
    return _in_states(ledger, {State.CANCELLED})


def _in_states(ledger: Ledger, states: Collection[State]) -> set[int]:
    return {one for state in states for one in ledger.tracking.in_state(state)}


class Caller:
    """A webhook that may come early, late, twice, for nobody's job, or not at all."""

    wish: Mapping[str, str] = {"mode": "direct"}
    token_key = b"key"

    def __init__(self, world: World) -> None:
        self.receiver = self
        self._world = world

    async def next_job(self) -> str:
        rng = self._world.rng
        await asyncio.sleep(rng.expovariate(1 / 600.0))
        return rng.choice([*list(self._world.service.jobs)[-5:], BOGUS])


def _manifest(folder: Path, world: World) -> Manifest:
    """One job, or a chain of two or three."""
    rng = world.rng
    chain = (Job(), Job(name="extract", endpoint="extract"), Job(name="split", endpoint="split"))
    if world.gossip.talks:
        chain = tuple(
            replace(job, options=opening(job.endpoint, world.gossip.password)) for job in chain
        )
    return Manifest(
        batch="life",
        service=Service(name="", url="twin://", settle=SETTLE, api_key_env=KEY_IN),
        sources=(Source(directory=folder / "inbox"),),
        jobs=chain[: rng.choice((1, 1, 2, 3))],
        output=Output(directory=folder / "never written", clean=rng.choice(("never", "saved"))),
    )


def _each(error: BaseException) -> Iterator[BaseException]:
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _each(one)
    yield error


def _plan_next(world: World, *, last: bool) -> None:
    """When the next process dies, and how the service is while it runs."""
    rng = world.rng
    world.calm = last
    world.dies_at = None
    if last:
        world.outage_until = world.storm_until = 0.0
        return
    if rng.random() < 0.8:
        world.dies_at = world.steps + int(rng.expovariate(1 / rng.choice((20, 200, 1000)))) + 1
    if rng.random() < 0.1:
        world.outage_until = world.now + rng.uniform(0, 6 * HOUR)
        world.faults["outage"] += 1
    if rng.random() < 0.1:
        world.storm_until = world.now + rng.uniform(0, HOUR)
        world.faults["storm of refusals"] += 1
    if rng.random() < 0.15:
        # more is set right by the service's own clock
        world.skew = rng.uniform(-TOLERANCE, TOLERANCE)
        world.faults["clock jump"] += 1


def _bury(loop: VirtualLoop) -> None:
    """What the dead process had in hand is dropped without a trace; `world.alive` keeps its last
    words unheard.
    """
    with _silence(loop):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        for _ in range(3):
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()


@contextmanager
def _silence(loop: VirtualLoop) -> Iterator[None]:
    loop.set_exception_handler(lambda *_: None)
    yield


def _is_open(world: World) -> bool:
    states = ",".join(f"'{state}'" for state in sorted(OPEN))
    return bool(
        world.database.execute(
            f"SELECT count(*) FROM documents WHERE state IN ({states})"
        ).fetchone()[0]
    )
