"""What must be true of a simulated batch in the end: by the service's jobs, the files, and the
states they led to.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from hashlib import sha256
from typing import Any

from inbox import Inbox
from world import HOUR, LATE, START, SimService, World

from batcher.adapters.clock import TOLERANCE
from batcher.core.lifecycle import OPEN, State
from batcher.manifest.model import Manifest
from batcher.reducto import api_types
from batcher.reducto.error_rules import PASSING, RUNS


def violations(
    world: World,
    manifest: Manifest,
    inboxes: Sequence[Inbox],
    pardons: Counter[str],
    caps: Mapping[int, int],
    credits: Mapping[int, float],
    left_out: Mapping[int, Set[str]],
) -> list[str]:
    """`pardons`: how often each digest may be paid for again; `caps`, `credits`: how much a run may
    send, and spend.

    `left_out`: digests that nobody asked for in a run.
    """
    world.service.catch_up()
    return [
        *world.defects,
        *_not_ended(world, manifest, inboxes),
        *_paid_twice(world, pardons),
        *_sent_unasked(world, left_out),
        *_twins_unsaid(world),
        *_over_budget(world, caps),
        *_overspent(world, credits),
        *_wrong_files(world, inboxes),
        *_expired_without_reason(world),
        *_held_without_reason(world),
        *_failed_without_reason(world),
        *_not_tried_as_often_as_promised(world, inboxes),
        *(_left_behind(world) if manifest.output.clean == "saved" else ()),
    ]


def secrets_told(world: World) -> list[str]:
    """Nothing that is written down or shown holds what only the service was to hear: not in the
    ledger, its journal, the warnings, the log's traces, nor what a run says of its end.
    """
    gossip = world.gossip
    requests = {job_id: job.config for job_id, job in world.service.jobs.items()}
    secrets = set(gossip.witnessed(requests))
    if not secrets:
        return []
    places = {
        "the ledger": world.database.serialize(),
        "its journal": b"".join(gossip.journal),
        "what is told": "\n".join(gossip.told).encode(),
    }
    return [
        f"{place} holds {secret}…"
        for place, text in places.items()
        for secret in secrets
        if _stands_in(secret.encode(), text)
    ]


def _stands_in(secret: bytes, text: bytes) -> bool:
    """Whether its letters are there by themselves: within a digest they are a matter of chance."""
    apart = rb"(?<![0-9a-f])%s|%s(?![0-9a-f])"
    word = re.escape(secret)
    return secret in text and re.search(apart % (word, word), text) is not None


def _not_ended(world: World, manifest: Manifest, inboxes: Sequence[Inbox]) -> Iterator[str]:
    rows = world.database.execute(
        "SELECT folder, source, job, state FROM documents WHERE current = 1"
    )
    states = {row[:3]: row[3] for row in rows}
    wanted = [(str(inbox.folder), source) for inbox in inboxes for source in inbox.now]
    for folder, source in wanted:
        for job in manifest.jobs:
            state = states.get((folder, source, job.name))
            if state is None:
                yield f"{source} was never taken in for {job.name}"
            elif state in OPEN:
                yield f"{source} is still {state} for {job.name}"


def _paid_twice(world: World, pardons: Counter[str]) -> Iterator[str]:
    """A second job for the same bytes and step is only ever right where the first has failed before
    it was accepted.

    A person may decide to pay again. What was sent again on its way nobody can prevent: see
    `_twins_unsaid`.
    """
    service = world.service
    last: dict[tuple[str, str], str] = {}
    left = {
        (endpoint, digest): n
        for digest, n in pardons.items()
        for endpoint in ("parse", "extract", "split")
    }
    replayed = {*service.replays, *service.replays.values()}
    held = {row[0] for row in world.database.execute("SELECT job_id FROM attempts")}
    for job_id, job in service.jobs.items():
        digest = service.charged.get(job_id)
        if digest is None or (job_id in replayed and job_id not in held):
            continue
        what = (job.endpoint, digest)
        before = service.jobs.get(last.get(what, ""))
        if before is not None and (before.error is None or before.ends_at > job.accepted_at):
            # One submission that was sent again on its way: where answers were mixed up as well,
            # two attempts may hold its two jobs.
            if job_id in (service.replays.get(before.job_id), *_copies(service, before.job_id)):
                pass
            elif before.cancelled:
                world.faults["paid for after a person had cancelled it"] += 1
            elif _was_answered_by_a_failure(world, before.job_id):
                world.faults["paid for again because a crossed job had failed"] += 1
            elif left.get(what):
                left[what] -= 1
            else:
                yield (
                    f"what begins with {digest[:8]} was paid for twice: {before.job_id} and "
                    f"{job_id}"
                )
        last[what] = job_id


def _copies(service: SimService, job_id: str) -> Iterator[str]:
    return (copy for copy, first in service.replays.items() if first == job_id)


def _was_answered_by_a_failure(world: World, job_id: str) -> bool:
    """Whether whoever had sent it was told of another job, and that one brought nothing: nobody
    looks whose it was.
    """
    others = [one for pair in world.crossed if job_id in pair for one in pair if one != job_id]
    return any(
        job.error is not None or job.cancelled for job in map(world.service.jobs.get, others) if job
    )


def _sent_unasked(world: World, left_out: Mapping[int, Set[str]]) -> Iterator[str]:
    """Only what the manifest of a run asks for is sent by it."""
    for job_id, digest in world.service.charged.items():
        if digest in left_out.get(world.service.run_of[_nonce(world, job_id)], ()):
            yield (
                f"job {job_id} was sent in a run that didn't ask for what begins with {digest[:8]}"
            )


def _twins_unsaid(world: World) -> Iterator[str]:
    """Nobody can keep a POST from being sent again on its way; but both jobs are on record, where
    they could be seen.

    Where a person has called jobs off or sent them anew, or the listing goes in circles, nobody can
    be held to that.
    """
    if any(world.faults[what] for what in ("cancel", "retry", "endless_listing")):
        return
    rows = world.database.execute("SELECT job_id FROM attempts UNION SELECT job_id FROM twins")
    known = {row[0] for row in rows}
    for second, first in world.service.replays.items():
        both = {first, second}
        if (
            both <= world.service.charged.keys()
            and not both <= known
            and _could_be_seen(world, first, second)
        ):
            yield f"jobs {first} and {second} are one submission, and nobody is told"


def _could_be_seen(world: World, first: str, second: str) -> bool:
    """Whether a run has held the listing against the ledger, without a doubt, when it showed them
    both.

    And when the attempt had its job. What comes later than any request should is nobody's to find,
    and so is what a listing that shows the other left out when it was held against the ledger.
    """
    service = world.service
    if world.concealed & {first, second}:
        return False
    sql = "SELECT sent_at, accepted_at FROM attempts WHERE nonce = ? AND job_id IS NOT NULL"
    row = world.database.execute(sql, (_nonce(world, second),)).fetchone()
    if row is None or service.jobs[second].accepted_at > row[0] + LATE:
        return False
    since = max(service.shown_at[first], service.shown_at[second], row[1] + TOLERANCE)
    until = service.jobs[first].accepted_at + 11 * HOUR
    return any(since < began and ended < until for began, ended in world.audits)


def _are_kept(world: World, *job_ids: str) -> bool:
    return not any(world.service.jobs[job_id].deleted for job_id in job_ids)


def _left_behind(world: World) -> Iterator[str]:
    """What is saved is deleted at the service, until its time is up by our own reckoning."""
    sql = (
        "SELECT job_id, nonce FROM attempts JOIN documents d ON d.id = document"
        " WHERE outcome = 'saved' AND current = 1 AND deadline_at > ?"
        " AND state <> 'cancelled'"  # called off while its lost result was to be fetched again
    )
    for job_id, nonce in world.database.execute(sql, (world.now + TOLERANCE,)):
        if world.service.known(job_id) is None:
            continue
        if _nonce(world, job_id) != nonce and _was_told_as_another_s(world, job_id):
            world.faults[
                "another document's job, which nobody could put right, was told and kept"
            ] += 1
            continue
        yield f"job {job_id} is saved, and still at the service"


def _was_told_as_another_s(world: World, job_id: str) -> bool:
    """Whether a run has said that a document holds it which it wasn't submitted for."""
    return any(f"holds job {job_id}, which was" in told for told in world.gossip.told)


def _over_budget(world: World, caps: Mapping[int, int]) -> Iterator[str]:
    service = world.service
    spent: Counter[int] = Counter()
    for job_id in service.charged:
        if job_id not in service.replays:
            spent[service.run_of[_nonce(world, job_id)]] += 1
    for run, cap in caps.items():
        if spent[run] > cap:
            yield f"run {run} might send {cap} documents, and sent {spent[run]}"


def _overspent(world: World, credits: Mapping[int, float]) -> Iterator[str]:
    """A run may be over its cap by one document: what is out when nothing fits beside it any more
    is alone.

    What has no answer or no result any more is reserved for and not waited for, so each of those
    may surprise as well.
    """
    service = world.service
    bills: dict[int, list[float]] = {run: [] for run in credits}
    for job_id in service.charged:
        job = service.jobs[job_id]
        run = service.run_of[_nonce(world, job_id)]
        if (
            run in bills
            and job.error is None
            and not job.cancelled
            and job_id not in service.replays
        ):
            bills[run].append(service.bill_of(job)[1])
    sql = (
        "SELECT nonce FROM attempts WHERE outcome = 'lost' OR document IN"
        " (SELECT document FROM events WHERE event = 'ReplyLost')"
    )
    lost = Counter(service.run_of.get(nonce, 0) for (nonce,) in world.database.execute(sql))
    for run, cap in credits.items():
        surprises = sorted(bills[run], reverse=True)[: 1 + lost[run]]
        if sum(bills[run]) > cap + sum(surprises):
            yield f"run {run} might spend {cap} credits, and spent {sum(bills[run])}"


def _wrong_files(world: World, inboxes: Sequence[Inbox]) -> Iterator[str]:
    now = {
        (str(inbox.folder), source): digest
        for inbox in inboxes
        for source, digest in inbox.now.items()
    }
    sql = "SELECT folder, source, state, output, output_sha256 FROM documents WHERE current = 1"
    for folder, source, state, output, digest in world.database.execute(sql):
        data = world.disk.visible.get(output)
        if state != State.SAVED:
            continue
        if data is None or sha256(data).hexdigest() != digest:
            yield f"{source} counts as saved, and its file isn't there"
        elif now.get((folder, source), "") not in data.decode() and not _is_told_or_unseen(
            world, data
        ):
            yield f"{source} has the result of another document, or of an older version"


def _is_told_or_unseen(world: World, data: bytes) -> bool:
    """Whether two submissions were answered crosswise, and that was told of, or nobody could see
    it.

    Where the answers about jobs echo the requests they say whose each is, so no wrong result is
    ever saved. Elsewhere only the listing says whose a job is. Where it is deleted, or its time is
    up, before an audit has seen it there, each of the two looks as it should: that is counted, for
    it is a weakness. So are copies, which bear other names.
    """
    if world.service.echoes:
        return False
    try:
        job_id = json.loads(data)["job_id"]
    except ValueError:  # torn: it is nobody's result
        return False
    pairs = [pair for pair in world.crossed if job_id in pair]
    if any(_was_told(world, pair) for pair in pairs):
        return True
    if all(_are_kept(world, *pair) and _could_be_seen(world, *pair) for pair in pairs):
        return False
    world.faults["answers that were crossed, and nobody could see it"] += 1
    return True


def _was_told(world: World, pair: Sequence[Any]) -> bool:
    """Whether a message names the documents whose jobs these are."""
    sql = "SELECT source FROM documents JOIN attempts ON document = id WHERE nonce IN (?, ?)"
    names = {row[0] for row in world.database.execute(sql, [_nonce(world, one) for one in pair])}
    return any(all(name in words for name in names) for words in world.mixed_up)


def _expired_without_reason(world: World) -> Iterator[str]:
    """A result may only be lost where no process could have fetched it in time, or where a person
    deleted it later.
    """
    if world.now - START > 11 * HOUR:
        return
    sql = (
        "SELECT source, a.job_id FROM documents d JOIN attempts a ON a.document = d.id AND "
        "a.outcome = 'lost'"
        " WHERE state IN ('expired', 'lost')"
    )
    for source, job_id in world.database.execute(sql):
        if world.faults["result deleted"] and world.service.jobs[job_id].deleted:
            continue
        yield f"{source} counts as expired or lost, and nothing was away for so long"


def _held_without_reason(world: World) -> Iterator[str]:
    """A person is asked only where the service can't tell: not where there was no look that
    counted.

    Of what the listing doesn't show in time it must have left something out, or somebody has had it
    deleted.
    """
    listing_was_odd = any(what.startswith("listing ") for what in world.faults)
    left_out = ("the listing doesn't show", "the listing shows no job")
    rows = world.database.execute("SELECT source, reason FROM documents WHERE state = 'held'")
    for source, reason in rows:
        if "internal error" in reason:
            yield f"{source} is held for an error of ours: {reason}"
        elif reason.endswith("not proven: absence"):
            yield f"{source} is held, and nothing spoke against its absence"
        elif any(words in reason for words in left_out) and not (
            listing_was_odd or _names_deleted(world, reason)
        ):
            yield f"{source} is held, and the listing would have told: {reason}"


def _names_deleted(world: World, reason: str) -> bool:
    """Whether a job it names was deleted, by a process that died before it had that on record."""
    return any(job.deleted for job_id, job in world.service.jobs.items() if job_id in reason)


def _failed_without_reason(world: World) -> Iterator[str]:
    """No document fails for want of the input that we took away, or let lapse.

    But one may be told of another's failure, which doesn't say whose it is.
    """
    rows = world.database.execute(
        "SELECT source, reason, job_id FROM documents d JOIN attempts a ON a.document = d.id"
        " WHERE state = 'failed' AND job = 'parse'"
        " AND a.number = (SELECT max(number) FROM attempts WHERE document = d.id)"
    )
    for source, reason, job_id in rows:
        is_of_another = any(job_id in pair for pair in world.crossed)
        if (reason or "").startswith(api_types.ErrorName.INVALID_CONFIG) and not is_of_another:
            yield f"{source} failed for want of its upload"


def _not_tried_as_often_as_promised(world: World, inboxes: Sequence[Inbox]) -> Iterator[str]:
    """What failed for a reason that may pass is tried by so many runs, each once, since a person
    last decided.

    A run has tried it when it failed there: one that put it back in the queue and then found out
    that its source makes way for another, or was killed, has used up no try. A verdict that a copy
    has taken over from before that decision is left for a person to put back once more.
    """
    sql = (
        "SELECT d.content, d.step, e.event FROM events e JOIN documents d ON d.id = e.document "
        "WHERE e.event IN"
        " ('TakenUp', 'Retried', 'Follows', 'JobFailed', 'GivenUp', 'Rejected') ORDER BY e.seq"
    )
    happened: dict[tuple[str, str], Counter[str]] = {}
    for content, step, event in world.database.execute(sql):
        since = happened.setdefault((content, step), Counter())
        if event in ("Retried", "Follows"):
            since.clear()
        since[event] += 1
        tries = since["JobFailed"] + since["GivenUp"] + since["Rejected"]
        if event == "TakenUp" and tries >= RUNS:
            yield f"what begins with {content[:8]} is taken up by more than {RUNS} runs"
    sql = (
        "SELECT d.folder, d.source, d.content, d.step, d.kind FROM documents d LEFT JOIN "
        "documents u ON "
        "u.id = d.upstream"
        " WHERE d.state = 'failed' AND d.current = 1 AND (u.id IS NULL OR u.state = 'saved') AND "
        "NOT EXISTS (SELECT 1"
        " FROM attempts a WHERE a.content = d.content AND a.step = d.step AND a.outcome <> 'void')"
    )
    there = {(str(inbox.folder), source) for inbox in inboxes for source in inbox.now}
    for folder, source, content, step, kind in world.database.execute(sql):
        if (folder, source) not in there:  # no run finds it any more: its verdict stands
            continue
        since = happened.get((content, step), Counter[str]())
        tries = since["JobFailed"] + since["GivenUp"] + since["Rejected"]
        if kind in PASSING and 0 < tries < RUNS and not since["TakenUp"]:
            yield f"{source} failed for a reason that may pass, and no later run has tried it"


def _nonce(world: World, job_id: str) -> str:
    return str(
        json.loads(world.service.jobs[job_id].config)["async"]["metadata"]["batcher"]["nonce"]
    )
