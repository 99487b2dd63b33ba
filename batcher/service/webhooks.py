"""Send webhooks as the hosted service does: direct ones, and Svix-signed ones to the endpoints.

Deliveries are in memory, and a restart forgets them. Webhooks can get lost anyway, so a client that
waits for them must poll as well.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from batcher.reducto.api_types import JobStatus
from batcher.service.background_tasks import Errand, Errands
from batcher.service.endpoints import Endpoint, Endpoints
from batcher.service.faults import Chaos
from batcher.service.jobs import Clock, StoredJob
from batcher.service.public_addresses import Forbidden, Reach, check_address
from batcher.service.requests import asked_of

# Seconds before each of three retries; those of the hosted service are undocumented.
DIRECT_PAUSES: Final = (
    1.0,
    2.0,
    4.0,
)
# Seconds before each retry, as Svix documents them.
SVIX_PAUSES: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
WINDOW: Final = aiohttp.ClientTimeout(total=15)  # time to acknowledge a message
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
        session: aiohttp.ClientSession,
        checked: aiohttp.ClientSession,
        errands: Errands,
        *,
        reach: Reach,
        endpoints: Endpoints,
        chaos: Chaos,
        clock: Clock,
        pauses: Pauses,
    ) -> None:
        self._session = session
        self._checked = checked  # connects only to what `reach` allows
        self._reach = reach
        self._errands = errands
        self._endpoints = endpoints
        self._chaos = chaos
        self._clock = clock
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
                if await self._post(url, body, {}, trusted=False):
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
            signed = sign(endpoint.secret, message_id, int(self._clock()), body)
            if await self._call(endpoint, body, signed):
                await self._endpoints.acknowledged(endpoint_id)
                return
            await self._endpoints.failed(endpoint_id)
            await _rest(pause)

    async def _call(self, endpoint: Endpoint, body: bytes, signed: Mapping[str, str]) -> bool:
        """Send one signed message; return whether it was acknowledged.

        Endpoints declared at the service's start may be anywhere; those of the portal come from
        callers, and their addresses are checked.
        """
        try:
            return await self._post(
                endpoint.url, body, signed, trusted=self._endpoints.is_declared(endpoint)
            )
        except Forbidden:
            log.warning("no webhook is sent to %s: %s", endpoint.endpoint_id, NOT_ALLOWED)
            return False

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, trusted: bool
    ) -> bool:
        """Return whether the message was acknowledged: by any 2xx, but not by a redirect.

        Raises Forbidden if the address isn't allowed.
        """
        headers = {"Content-Type": "application/json", **headers}
        session = self._session if trusted else self._checked
        try:
            if not trusted:
                check_address(URL(url), self._reach)
            async with session.post(
                url, data=body, headers=headers, timeout=WINDOW, allow_redirects=False
            ) as answer:
                return 200 <= answer.status < 300
        except Forbidden:
            raise
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as trouble:
            if isinstance(trouble.__cause__, Forbidden):
                raise trouble.__cause__ from None
            return False


async def _rest(pause: float | None) -> None:
    if pause is None:
        log.warning("a webhook was not acknowledged and is given up")
    else:
        await asyncio.sleep(pause)


def is_secret(text: str) -> bool:
    """Tell whether a secret can sign; Svix writes them as `whsec_` and Base64."""
    try:
        sign(text, "", 0, b"")
    except ValueError:
        return False
    return bool(text)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return Svix's three headers; `timestamp` is in seconds since the epoch.

    Raises ValueError if the secret isn't Base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": message_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }
