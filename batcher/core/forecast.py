"""How long a batch would take and which results could expire, judged by its earlier runs. Pure.

Before a first run it says that nothing is known: how fast a service processes an account's jobs can
only be found out by trying.
"""

from __future__ import annotations

from dataclasses import dataclass

from batcher.common.formatting import format_duration
from batcher.core.fetch_rate import SHARE
from batcher.manifest.model import Manifest
from batcher.reducto.api_types import RETENTION
from batcher.reducto.rate_card import asks_to_persist, leaves_model_open

# Announced: from then on the service parses with r-1 if a request names no model.
CHANGES_ON = "2026-12-07"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast in words; `seconds` is None if unknown."""

    seconds: float | None
    basis: str
    risks: tuple[str, ...]
    warnings: tuple[str, ...]

    def words(self) -> list[str]:
        lines = [f"  time       {self.basis}"]
        lines += [
            f"  {'expiry' if not number else '':<11}{risk}"
            for number, risk in enumerate(self.risks)
        ]
        return lines + [f"  warning    {warning}" for warning in self.warnings]


def forecast(
    manifest: Manifest,
    documents: int,
    *,
    speed: float | None,
    took: float | None,
    nearest_deadline_in: float | None,
) -> Forecast:
    """Return the forecast for so many documents.

    `speed` is in documents per second, recently; `took` is the duration of the longest recent job
    in seconds, and `nearest_deadline_in` the seconds until the first result expires.
    """
    seconds, basis = _time(manifest, documents, speed, took)
    risks = tuple(_risks(manifest, took, nearest_deadline_in))
    return Forecast(seconds, basis, risks, tuple(_warnings(manifest)))


def _time(
    manifest: Manifest, documents: int, speed: float | None, took: float | None
) -> tuple[float | None, str]:
    ceiling = manifest.service.requests_per_second
    if not documents:
        return 0.0, "none: nothing is to be sent"
    if speed:
        seconds = documents / min(speed, ceiling or speed) + (took or 0.0)
        return (
            seconds,
            f"about {format_duration(seconds)}, at {speed:.3g} documents a second as of late",
        )
    if ceiling:
        least = format_duration(documents / ceiling)
        return None, f"at least {least}: service.requests_per_second = {ceiling:g}"
    return None, "not known before a first run; `--sample 20` tells"


def _risks(manifest: Manifest, took: float | None, nearest_deadline_in: float | None) -> list[str]:
    retention = manifest.service.result_retention
    risks = []
    if nearest_deadline_in is not None and nearest_deadline_in <= 0:
        risks.append("jobs in flight have passed their deadline: some results may be gone")
    elif nearest_deadline_in is not None:
        risks.append(
            "the first result of a job in flight is deleted in "
            f"{format_duration(nearest_deadline_in)}: run before that"
        )
    if any(job.queue_priority == "batch" for job in manifest.jobs):
        risks.append(
            f"batch lane: jobs may end late in their {format_duration(RETENTION)}; keep a run or "
            "--collect going"
        )
    elif took is not None and took > SHARE * retention:
        risks.append(
            f"jobs took up to {format_duration(took)} of the {format_duration(retention)} that "
            "results are kept"
        )
    if any(map(asks_to_persist, manifest.jobs)):
        risks.append(
            f"persist_results may keep results beyond {format_duration(retention)}; a run doesn't "
            "rely on it"
        )
    safe = format_duration(SHARE * retention)
    return risks or [f"none, unless this machine is offline for more than {safe}"]


def _warnings(manifest: Manifest) -> list[str]:
    if manifest.service.is_local or not any(map(leaves_model_open, manifest.jobs)):
        return []
    return [
        f"settings.model is not set: on {CHANGES_ON} the service goes over to r-1, and results "
        "and prices with it; "
        'name "legacy" or "r-1"'
    ]
