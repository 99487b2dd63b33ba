"""Send one webhook message: signed as Svix signs, and only to where it may go.

It sends once. Which messages there are, and what follows when one isn't acknowledged, is decided in
`webhooks`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from batcher.service.jobs import Clock
from batcher.service.public_addresses import Forbidden, Reach, check_address

WINDOW: Final = aiohttp.ClientTimeout(total=15)  # time to acknowledge a message


class WebhookSender:
    """Sends through `anywhere` to trusted addresses, through `checked` to all others.

    `checked` connects only to what `reach` admits. `clock` gives the seconds since the epoch that a
    signature holds.
    """

    def __init__(
        self,
        anywhere: aiohttp.ClientSession,
        checked: aiohttp.ClientSession,
        *,
        reach: Reach,
        clock: Clock,
    ) -> None:
        self._anywhere = anywhere
        self._checked = checked
        self._reach = reach
        self._clock = clock

    async def send(self, url: str, body: bytes) -> bool:
        """Send an unsigned message to an address that a caller named.

        Returns whether it was acknowledged. Raises Forbidden if the address isn't allowed.
        """
        return await self._post(url, body, {}, trusted=False)

    async def send_signed(
        self, url: str, body: bytes, *, secret: str, message_id: str, trusted: bool
    ) -> bool:
        """Send a signed message; return and raise as `send`.

        The address of a `trusted` receiver isn't checked.
        """
        signed = sign(secret, message_id, int(self._clock()), body)
        return await self._post(url, body, signed, trusted=trusted)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, trusted: bool
    ) -> bool:
        """Return whether the message was acknowledged: by any 2xx, but not by a redirect.

        Raises Forbidden if the address isn't allowed.
        """
        headers = {"Content-Type": "application/json", **headers}
        session = self._anywhere if trusted else self._checked
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
