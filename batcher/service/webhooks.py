"""Webhooks as the hosted service sends them: direct ones, and Svix-signed ones to the endpoints declared here.

Deliveries live in memory: a restart forgets them, as deliveries can get lost anyway; whoever listens must also poll.
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
from typing import Any, Final

import aiohttp
import msgspec

from batcher.core.wire import JobStatus
from batcher.service.chaos import Chaos
from batcher.service.errands import Errands
from batcher.service.jobs import Clock, Job

DIRECT_PAUSES: Final = (1.0, 2.0, 4.0)  # seconds before each of three retries; the hosted ones are undocumented
SVIX_PAUSES: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
WINDOW: Final = aiohttp.ClientTimeout(total=15)  # to acknowledge in
TOLD: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Where signed webhooks go. `secret` as Svix writes them, `whsec_` and Base64; no `channels`: all of them."""

    url: str
    secret: str
    channels: frozenset[str] = frozenset()

    def wants(self, channels: Sequence[str] | None) -> bool:
        return not channels or not self.channels or bool(self.channels & set(channels))


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds before each retry."""

    direct: Sequence[float] = DIRECT_PAUSES
    svix: Sequence[float] = SVIX_PAUSES


class Webhooks:
    """`announce` what ended; deliveries run as errands."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        errands: Errands,
        *,
        endpoints: Sequence[Endpoint],
        chaos: Chaos,
        clock: Clock,
        pauses: Pauses,
    ) -> None:
        self._session = session
        self._errands = errands
        self._endpoints = endpoints
        self._chaos = chaos
        self._clock = clock
        self._pauses = pauses

    def announce(self, job: Job, status: JobStatus) -> None:
        asked = (msgspec.json.decode(job.raw_config).get("async") or {}) if status in TOLD else {}
        wish = asked.get("webhook")
        if not wish:
            return
        body = msgspec.json.encode({"status": status, "job_id": job.job_id, "metadata": asked.get("metadata")})
        if wish["mode"] == "direct":
            self._send(job, lambda: self._deliver(wish["url"], body, self._pauses.direct))
            return
        for endpoint in self._endpoints:
            if endpoint.wants(wish.get("channels")):
                self._send_signed(job, endpoint, body)

    def _send_signed(self, job: Job, endpoint: Endpoint, body: bytes) -> None:
        message_id = f"msg_{uuid.uuid4().hex}"  # the same in every retry
        self._send(
            job,
            lambda: self._deliver(endpoint.url, body, self._pauses.svix, endpoint=endpoint, message_id=message_id),
        )

    def _send(self, job: Job, delivery: Any) -> None:
        late = self._chaos.strikes("webhook-late", job.job_id)
        self._errands.send(delivery, delay=self._chaos.seconds("webhook-late") if late else 0)
        if self._chaos.strikes("webhook-duplicate", job.job_id):
            self._errands.send(delivery)

    async def _deliver(
        self,
        url: str,
        body: bytes,
        pauses: Sequence[float],
        *,
        endpoint: Endpoint | None = None,
        message_id: str = "",
    ) -> None:
        for pause in (*pauses, None):
            signed = sign(endpoint.secret, message_id, int(self._clock()), body) if endpoint else {}
            if await self._post(url, body, signed):
                return
            if pause is not None:
                await asyncio.sleep(pause)
        log.warning("a webhook was not acknowledged and is given up")

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it was acknowledged: any 2xx; a redirect is no acknowledgement."""
        headers = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=WINDOW, allow_redirects=False
            ) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False


def is_secret(text: str) -> bool:
    """Whether it can sign: Svix writes `whsec_` and Base64."""
    try:
        sign(text, "", 0, b"")
    except ValueError:
        return False
    return bool(text)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Svix; `ValueError` where the secret is not Base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": message_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }
