"""The steps of a manifest: what each one asks for, and which earlier step it reads.

A step that can read a parse job reads the nearest one before it; any other step starts from the
document itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.common.names import output_name
from batcher.reducto.api_types import READS_JOBS
from batcher.reducto.job import Job, step_hash

# What single documents ask for in addition to the job's options, by the job's name.
Overrides = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a manifest.

    `upstream` is the earlier step whose job this one reads. `suffix` ends the file names of its
    results.
    """

    job: Job
    upstream: Step | None
    suffix: str
    service: str  # results of one service never count as those of another
    hash: str

    @property
    def name(self) -> str:
        return self.job.name

    def hash_with(self, overrides: Overrides) -> str:
        """Return a hash that is equal for the same bytes exactly if the results are equal."""
        return (
            self.hash if not overrides else _hash(self.job, self.upstream, self.service, overrides)
        )

    def output(self, name: str) -> str:
        return output_name(name, suffix=self.suffix)


def steps_of(jobs: Sequence[Job], *, service: str = "") -> tuple[Step, ...]:
    """Return the steps in the order in which a document goes through them."""
    steps: list[Step] = []
    for job in jobs:
        suffix = f".{job.name}.json" if len(jobs) > 1 else ".json"
        upstream = _upstream(job, steps)
        steps.append(Step(job, upstream, suffix, service, _hash(job, upstream, service, {})))
    return tuple(steps)


def merged(options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` overridden by `more`, with nested tables merged."""
    laid = dict(options)
    for name, value in more.items():
        below = laid.get(name)
        laid[name] = (
            merged(below, value)
            if isinstance(below, Mapping) and isinstance(value, Mapping)
            else value
        )
    return laid


def _upstream(job: Job, before: Iterable[Step]) -> Step | None:
    parses = [step for step in before if step.job.endpoint == "parse"]
    return parses[-1] if parses and job.endpoint in READS_JOBS else None


def _hash(job: Job, upstream: Step | None, service: str, overrides: Overrides) -> str:
    options = merged(job.options, overrides.get(job.name, {}))
    before = upstream.hash_with(overrides) if upstream else ""
    return step_hash(job.endpoint, options, upstream=before, service=service)
