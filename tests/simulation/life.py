"""One batch from its first run to its end, through every fault that its seed holds; and what must be true then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from virtual import VirtualLoop, unhurried
from world import HOUR, LISTING_LAG, START, Dead, SimTwin, SimWriter, World

from batcher.core.lifecycle import OPEN, State
from batcher.core.manifest import Job, Manifest, Output, Service, Source
from batcher.edges.clock import TOLERANCE
from batcher.edges.ledger import Ledger, memory_ledger
from batcher.errors import BatcherError
from batcher.opening import Reached
from batcher.runs import Run
from batcher.stages.course import Course

RUNS_AT_MOST = 40
SETTLE = 60.0


@dataclass(slots=True)
class Outcome:
    """What became of a seed. `violations` is empty, or batcher has a defect."""

    seed: int
    documents: int
    runs: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    tally: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def live(seed: int, inbox: Path) -> Outcome:
    """Run the batch of `inbox` until nothing is open, with the crashes and outages of `seed` in between."""
    world = World(seed)
    manifest = _manifest(inbox, world.rng)
    contents = {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(inbox.iterdir())}
    documents = [(source, job.name) for source in contents for job in manifest.jobs]
    outcome = Outcome(seed, len(documents))
    world.database = memory_ledger(manifest.output.ledger_path, batch=manifest.batch, clock=world.clock).reader
    try:
        while _is_open(world, len(documents)) and outcome.runs < RUNS_AT_MOST:
            outcome.runs += 1
            _plan_next(world, last=outcome.runs >= world.rng.randint(3, RUNS_AT_MOST // 2))
            _run_once(world, manifest)
        _plan_next(world, last=True)
        world.stop(downtime=LISTING_LAG)
        _run_once(world, manifest)  # nothing is left to do but to look for what the last one could not see yet
    except Exception as error:
        outcome.violations.append(f"{type(error).__name__}: {error}")
    outcome.violations += _violations(world, contents, documents)
    if manifest.output.clean == "saved":
        outcome.violations += _left_behind(world)
    outcome.steps, outcome.faults = world.steps, dict(world.faults)
    outcome.virtual_seconds = world.now - START
    outcome.tally = dict(world.database.execute("SELECT state, count(*) FROM documents GROUP BY state"))
    return outcome


def _manifest(inbox: Path, rng: random.Random) -> Manifest:
    """One job, or a chain of two or three."""
    chain = (Job(), Job(name="extract", endpoint="extract"), Job(name="split", endpoint="split"))
    return Manifest(
        batch="life",
        service=Service(name="", url="twin://", settle=SETTLE),
        sources=(Source(directory=inbox),),
        jobs=chain[: rng.choice((1, 1, 2, 3))],
        output=Output(directory=inbox.parent / "never written", clean=rng.choice(("never", "saved"))),
    )


# --- between two runs -----------------------------------------------------------------------------------------------


def _plan_next(world: World, *, last: bool) -> None:
    """When the next process dies, and what has happened while none was running."""
    rng = world.rng
    world.calm, world.dies_at = last, None
    if last:
        world.outage_until = 0.0
        return
    if rng.random() < 0.8:
        world.dies_at = world.steps + int(rng.expovariate(1 / rng.choice((20, 200, 1000)))) + 1
    if rng.random() < 0.1:
        world.outage_until = world.now + rng.uniform(0, 6 * HOUR)
        world.faults["outage"] += 1
    if rng.random() < 0.15:
        world.skew = rng.uniform(-TOLERANCE, TOLERANCE)  # more is set right by the service's own clock
        world.faults["clock jump"] += 1


def _run_once(world: World, manifest: Manifest) -> None:
    loop = VirtualLoop(world.now)
    world.start(loop)
    try:
        loop.run_until_complete(_process(world, manifest))
    except (BatcherError, Dead):
        pass
    except BaseExceptionGroup as errors:
        if errors.split((BatcherError, Dead))[1] is not None:
            raise
    finally:
        world.stop(downtime=world.rng.choice((1.0, 60.0, HOUR, 13 * HOUR)) * world.rng.random())
        _bury(loop)
    if world.rng.random() < 0.5:
        world.disk.cut_power()


async def _process(world: World, manifest: Manifest) -> None:
    ledger = Ledger(SimWriter(world), world.database, clock=world.clock)
    await ledger.interrupted()
    run = Run(
        manifest,
        ledger,
        world.disk,
        Reached(SimTwin(world), "twin", "none"),
        Course(),
        unhurried(),
        clock=world.clock,
        rng=world.rng,
    )
    await run.to_its_end()
    await run.audit()


def _bury(loop: VirtualLoop) -> None:
    """What the dead process had in hand is dropped without a trace; `world.alive` keeps its last words unheard."""
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


# --- what must be true in the end -----------------------------------------------------------------------------------


def _is_open(world: World, documents: int) -> bool:
    states = ",".join(f"'{state}'" for state in sorted(OPEN))
    row = world.database.execute(f"SELECT count(*), total(state IN ({states})) FROM documents").fetchone()
    return bool(row[0] < documents or row[1])


def _violations(world: World, contents: dict[str, str], documents: list[tuple[str, str]]) -> list[str]:
    return [
        *world.defects,
        *_not_ended(world, documents),
        *_paid_twice(world, contents),
        *_twins_unsaid(world),
        *_wrong_files(world, contents),
        *_expired_without_reason(world),
    ]


def _not_ended(world: World, documents: list[tuple[str, str]]) -> Iterator[str]:
    rows = world.database.execute("SELECT source, job, state FROM documents WHERE current = 1")
    states = {(source, job): state for source, job, state in rows}
    for source, job in documents:
        state = states.get((source, job))
        if state is None:
            yield f"{source} was never taken in for {job}"
        elif state in OPEN:
            yield f"{source} is still {state} for {job}"


def _paid_twice(world: World, contents: dict[str, str]) -> Iterator[str]:
    """A second job for the same bytes and step is only ever right where the first has failed before it was accepted."""
    names = {digest: source for source, digest in contents.items()}
    service = world.service
    service.catch_up()
    last: dict[tuple[str, str], str] = {}
    replayed = {*service.replays, *service.replays.values()}
    held = {row[0] for row in world.database.execute("SELECT job_id FROM attempts")}
    for job_id in service.jobs:
        digest = service.charged.get(job_id)
        if digest is None or (job_id in replayed and job_id not in held):
            continue
        job = service.jobs[job_id]
        before = service.jobs.get(last.get((job.endpoint, digest), ""))
        if before is not None and (before.error is None or before.ends_at > job.accepted_at):
            yield f"{names[digest]} was paid for twice: {before.job_id} and {job_id}"
        last[job.endpoint, digest] = job_id


def _twins_unsaid(world: World) -> Iterator[str]:
    """Nobody can keep a POST from being sent again on its way; but both jobs are on record, while they can be seen."""
    if world.now - START > 11 * HOUR:
        return
    rows = world.database.execute("SELECT job_id FROM attempts UNION SELECT job_id FROM twins")
    known = {row[0] for row in rows}
    for second, first in world.service.replays.items():
        both = {first, second}
        if both <= world.service.charged.keys() and not both <= known:
            yield f"jobs {first} and {second} are one submission, and nobody is told"


def _left_behind(world: World) -> Iterator[str]:
    """What is saved is deleted at the service, until its time is up by our own reckoning."""
    rows = world.database.execute(
        "SELECT job_id FROM attempts WHERE outcome = 'saved' AND deadline_at > ?", (world.now + TOLERANCE,)
    )
    for (job_id,) in rows:
        if world.service.known(job_id) is not None:
            yield f"job {job_id} is saved, and still at the service"


def _wrong_files(world: World, contents: dict[str, str]) -> Iterator[str]:
    rows = world.database.execute("SELECT source, state, output, output_sha256 FROM documents WHERE current = 1")
    for source, state, output, digest in rows:
        data = world.disk.visible.get(output)
        if state != State.SAVED:
            continue
        if data is None or sha256(data).hexdigest() != digest:
            yield f"{source} counts as saved, and its file isn't there"
        elif contents[source] not in data.decode():
            yield f"{source} has the result of another document"


def _expired_without_reason(world: World) -> Iterator[str]:
    """A result may only be lost where no process could have fetched it in time."""
    if world.now - START > 11 * HOUR:
        return
    for (source,) in world.database.execute("SELECT source FROM documents WHERE state IN ('expired', 'lost')"):
        yield f"{source} counts as expired or lost, and nothing was away for so long"


def fill(folder: Path, documents: int) -> Path:
    """An inbox of small letters, two of them the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        text = "the same letter" if number in (1, 2) else f"letter {number}"
        (folder / f"{number:03}.txt").write_text(text)
    return folder


def inboxes(root: Path, sizes: tuple[int, ...] = (1, 3, 8, 20)) -> list[Path]:
    return [fill(root / f"inbox-{size}", size) for size in sizes]


def pick(seed: int, folders: list[Path]) -> Path:
    return random.Random(~seed).choice(folders)
