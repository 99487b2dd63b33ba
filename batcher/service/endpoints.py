"""The endpoints for signed webhooks: those declared at the start, and those added on the portal.

Records how deliveries to each fare, and disables one that has failed for too long. Sends nothing.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from batcher.service.database import Database
from batcher.service.jobs import Clock

# Seconds of nothing but failures after which an endpoint is disabled, as Svix documents.
PATIENCE: Final = 5 * 86400.0


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """An endpoint for signed webhooks.

    `secret` has Svix's form, `whsec_` and Base64. Without `channels` it gets all of them.
    `failing_since` is in seconds since the epoch.
    """

    url: str
    secret: str
    channels: frozenset[str] = frozenset()
    endpoint_id: str = field(default_factory=lambda: f"ep_{uuid.uuid4().hex}")
    failing_since: float | None = None
    disabled: bool = False

    def wants(self, channels: Sequence[str] | None) -> bool:
        """Tell whether a message on these channels, or on none, goes to this endpoint."""
        return not self.disabled and (
            not channels or not self.channels or bool(self.channels & set(channels))
        )


class Endpoints:
    """All endpoints; declared ones are in memory, those of the portal in the database."""

    def __init__(self, database: Database, declared: Sequence[Endpoint], *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._all = {endpoint.endpoint_id: endpoint for endpoint in declared}
        self._declared = frozenset(self._all)
        self._all |= {endpoint.endpoint_id: endpoint for endpoint in self._kept()}

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(list(self._all.values()))

    def now(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint's present state, or None if it was removed."""
        return self._all.get(endpoint_id)

    def is_declared(self, endpoint: Endpoint) -> bool:
        """Tell whether the endpoint was declared at the service's start."""
        return endpoint.endpoint_id in self._declared

    async def add(self, url: str, channels: Sequence[str]) -> Endpoint:
        """Add an endpoint with a new secret."""
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        endpoint = Endpoint(url, secret, frozenset(channels))
        await self._keep(endpoint)
        return endpoint

    async def remove(self, endpoint_id: str) -> None:
        """Remove an endpoint of the portal; a declared one stays."""
        if endpoint_id not in self._declared and self._all.pop(endpoint_id, None) is not None:
            await self._database.write(
                ("DELETE FROM endpoints WHERE endpoint_id = ?", (endpoint_id,))
            )

    async def enable(self, endpoint_id: str) -> None:
        """Enable an endpoint that was disabled."""
        endpoint = self._all.get(endpoint_id)
        if endpoint is not None:
            await self._keep(replace(endpoint, failing_since=None, disabled=False))

    async def acknowledged(self, endpoint_id: str) -> None:
        """Record a delivery that succeeded."""
        endpoint = self._all.get(endpoint_id)
        if endpoint is not None and endpoint.failing_since is not None:
            await self._keep(replace(endpoint, failing_since=None))

    async def failed(self, endpoint_id: str) -> None:
        """Record a delivery that failed; after `PATIENCE` of failures the endpoint is disabled."""
        endpoint = self._all.get(endpoint_id)
        now = self._clock()
        if endpoint is None:
            return
        if endpoint.failing_since is None:
            await self._keep(replace(endpoint, failing_since=now))
        elif now - endpoint.failing_since >= PATIENCE and not endpoint.disabled:
            await self._keep(replace(endpoint, disabled=True))

    async def _keep(self, endpoint: Endpoint) -> None:
        self._all[endpoint.endpoint_id] = endpoint
        if endpoint.endpoint_id in self._declared:
            return
        columns = "endpoint_id, url, secret, channels, failing_since, disabled"
        values = (
            endpoint.endpoint_id,
            endpoint.url,
            endpoint.secret,
            ",".join(sorted(endpoint.channels)),
        )
        state = (endpoint.failing_since, int(endpoint.disabled))
        await self._database.write(
            (
                f"INSERT OR REPLACE INTO endpoints ({columns}) VALUES (?, ?, ?, ?, ?, ?)",
                (*values, *state),
            )
        )

    def _kept(self) -> Iterator[Endpoint]:
        for row in self._database.all("SELECT * FROM endpoints ORDER BY rowid"):
            yield Endpoint(
                row["url"],
                row["secret"],
                frozenset(filter(None, row["channels"].split(","))),
                row["endpoint_id"],
                row["failing_since"],
                bool(row["disabled"]),
            )
