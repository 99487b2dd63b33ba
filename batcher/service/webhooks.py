"""Send webhooks as the hosted service does: direct ones, and Svix-signed ones to the endpoints.

Deliveries are in memory, and a restart forgets them. Webhooks can get lost anyway, so a client that
waits for them must poll as well.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from batcher.reducto.api_types import JobStatus
from batcher.service.background_tasks import Errand, Errands
from batcher.service.endpoints import Endpoint, Endpoints
from batcher.service.faults import Chaos
from batcher.service.jobs import StoredJob
from batcher.service.public_addresses import Forbidden
from batcher.service.requests import asked_of
from batcher.service.webhook_sender import WebhookSender

# Seconds before each of three retries; those of the hosted service are undocumented.
DIRECT_PAUSES: Final = (
    1.0,
    2.0,
    4.0,
)
# Seconds before each retry, as Svix documents them.
SVIX_PAUSES: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
TOLD: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED})

NOT_ALLOWED: Final = (
    "it leads out of reach; start the service with --allow-urls, and "
    "--allow-loopback-urls for this machine"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds before each retry."""

    direct: Sequence[float] = DIRECT_PAUSES
    svix: Sequence[float] = SVIX_PAUSES


class Webhooks:
    """Sends webhooks for jobs that end. Call `announce`; deliveries run in the background."""

    def __init__(
        self,
        sender: WebhookSender,
        endpoints: Endpoints,
        errands: Errands,
        *,
        chaos: Chaos,
        pauses: Pauses,
    ) -> None:
        self._sender = sender
        self._endpoints = endpoints
        self._errands = errands
        self._chaos = chaos
        self._pauses = pauses

    def announce(self, job: StoredJob, status: JobStatus) -> None:
        """Start the deliveries that the job's request asks for when it ends with `status`."""
        asked = (asked_of(job, job.raw_config).get("async") or {}) if status in TOLD else {}
        wish = asked.get("webhook")
        if wish is None:
            return
        body = msgspec.json.encode(
            {"status": status, "job_id": job.job_id, "metadata": asked.get("metadata")}
        )
        if (wish.get("mode") or ("direct" if wish.get("url") else "svix")) == "direct":
            self._send(job, lambda: self._deliver(job.job_id, wish["url"], body))
            return
        for endpoint in self._endpoints:
            if endpoint.wants(wish.get("channels")):
                self._send_signed(job, endpoint, body)

    def _send_signed(self, job: StoredJob, endpoint: Endpoint, body: bytes) -> None:
        # the same in every retry, so that receivers can drop duplicates
        message_id = f"msg_{uuid.uuid4().hex}"
        self._send(job, lambda: self._deliver_signed(endpoint.endpoint_id, message_id, body))

    def _send(self, job: StoredJob, delivery: Errand) -> None:
        late = self._chaos.strikes("webhook-late", job.job_id)
        self._errands.send(delivery, delay=self._chaos.seconds("webhook-late") if late else 0)
        if self._chaos.strikes("webhook-duplicate", job.job_id):
            self._errands.send(delivery)

    async def _deliver(self, job_id: str, url: str, body: bytes) -> None:
        for pause in (*self._pauses.direct, None):
            try:
                if await self._sender.send(url, body):
                    return
            except Forbidden:
                log.warning(
                    "job %s: no webhook is sent where its caller wants it: %s", job_id, NOT_ALLOWED
                )
                return
            await _rest(pause)

    async def _deliver_signed(self, endpoint_id: str, message_id: str, body: bytes) -> None:
        """Send to the endpoint as it is at each try; it may have been removed or disabled."""
        for pause in (*self._pauses.svix, None):
            endpoint = self._endpoints.now(endpoint_id)
            if endpoint is None or endpoint.disabled:
                return
            if await self._call(endpoint, message_id, body):
                await self._endpoints.acknowledged(endpoint_id)
                return
            await self._endpoints.failed(endpoint_id)
            await _rest(pause)

    async def _call(self, endpoint: Endpoint, message_id: str, body: bytes) -> bool:
        """Send one signed message; return whether it was acknowledged.

        Endpoints declared at the service's start may be anywhere; those of the portal come from
        callers, and their addresses are checked.
        """
        try:
            return await self._sender.send_signed(
                endpoint.url,
                body,
                secret=endpoint.secret,
                message_id=message_id,
                trusted=self._endpoints.is_declared(endpoint),
            )
        except Forbidden:
            log.warning("no webhook is sent to %s: %s", endpoint.endpoint_id, NOT_ALLOWED)
            return False


async def _rest(pause: float | None) -> None:
    if pause is None:
        log.warning("a webhook was not acknowledged and is given up")
    else:
        await asyncio.sleep(pause)
