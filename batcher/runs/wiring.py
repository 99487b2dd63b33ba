"""Builds what the stages need from the manifest: rate limits, budget, templates of submissions.

It decides no rules, and starts nothing.
"""

from __future__ import annotations

from typing import Final

from batcher.adapters.rate_limits import RateLimiter, RateLimits
from batcher.core.account import Account
from batcher.core.budget import Budget
from batcher.core.completion_rate import WAIT, CompletionRate
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.fetch_rate import Drain
from batcher.core.poll_schedule import LATEST_FIRST, PollSchedule
from batcher.ledger.ledger import Ledger
from batcher.manifest.model import Manifest
from batcher.outputs.result_store import Store
from batcher.reducto.job import Job
from batcher.reducto.rate_card import rate
from batcher.runs.callback import Callback
from batcher.runs.preflight import Connection
from batcher.stages.cleaner import Cleaner
from batcher.stages.context import StageContext
from batcher.stages.deriver import Deriver
from batcher.stages.fetcher import WIDTH, Fetcher
from batcher.stages.job_template import JobTemplate

# submissions per second to begin with; it adapts, since plans differ a hundredfold
HOSTED_RATE: Final = 10.0
HOSTED_FETCHES: Final = 150.0  # GET /job requests per second; the API allows 200
LOCAL_SETTLE = 5.0  # seconds
HOSTED_SETTLE = 60.0


def budget_of(manifest: Manifest) -> Budget:
    return Budget(manifest.limits, manifest.prices.dollars_per_credit)


def rate_limits_of(manifest: Manifest) -> RateLimits:
    """Return the rate limits; only the hosted service has any that the manifest doesn't set."""
    service = manifest.service
    hosted = service.url is None and not service.is_local
    submit = RateLimiter(service.requests_per_second)
    if hosted and service.requests_per_second is None:
        submit = RateLimiter(HOSTED_RATE, adapts=True)
    return RateLimits(submit=submit, fetch=RateLimiter(HOSTED_FETCHES if hosted else None))


def cleaner_of(
    manifest: Manifest,
    reached: Connection,
    context: StageContext,
    store: Store,
    deriver: Deriver,
    fetcher: Fetcher,
) -> Cleaner | None:
    # what the local service keeps fills this machine's own disk, and costs nothing to have again
    if manifest.output.clean == "never" and not manifest.service.is_local:
        return None
    return Cleaner(
        context,
        store,
        account=account_of(manifest, reached),
        in_the_end=len(manifest.jobs) > 1,
        is_wanted=deriver.still_fetches,
        is_doubtful=lambda: fetcher.met_doubt,
    )


def schedule_of(ledger: Ledger, retention: float) -> PollSchedule:
    """Return a poll schedule that starts from how long the latest jobs took."""
    schedule = PollSchedule(latest_first=min(LATEST_FIRST, retention * WAIT / 2))
    for size, took in ledger.reporting.took():
        schedule.seed(size, took)
    return schedule


def concurrency_of(manifest: Manifest) -> ConcurrencyLimit:
    service = manifest.service
    # the service sets no time within which batch-priority jobs end
    exempt = any(job.queue_priority == "batch" for job in manifest.jobs)
    return ConcurrencyLimit(
        Drain(WIDTH),
        CompletionRate(service.result_retention),
        most=service.max_in_flight,
        exempt=exempt,
    )


def account_of(manifest: Manifest, reached: Connection) -> Account:
    return Account(reached.identity, reached.key_print, manifest.service.result_retention)


def settle_of(manifest: Manifest) -> float:
    """Return the seconds to wait before a job that the job list lacks may be taken as absent."""
    if manifest.service.settle is not None:
        return manifest.service.settle
    return LOCAL_SETTLE if manifest.service.is_local else HOSTED_SETTLE


def template_of(
    manifest: Manifest, job: Job, reached: Connection, callback: Callback | None
) -> JobTemplate:
    return JobTemplate(
        batch=manifest.batch,
        endpoint=job.endpoint,
        options=job.queued_options,
        metadata=job.metadata,
        priority=job.priority,
        account=account_of(manifest, reached),
        patience=manifest.service.patience,
        rate=rate(job, manifest.prices),
        chained_rate=rate(job, manifest.prices, chained=True),
        counts_pages=budget_of(manifest).counts_pages,
        webhook=callback.wish if callback else None,
        token_key=callback.token_key if callback else None,
    )
