"""How the service calls back: from the manifest's [webhook] to a receiver, and to what each
submission says of it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batcher.errors import ManifestError, Problem
from batcher.manifest.model import Manifest, Webhook
from batcher.reducto.webhook_signature import Judge, Signed, Tokened, read_secrets

if TYPE_CHECKING:
    from batcher.adapters.webhook_receiver import Receiver


@dataclass(frozen=True, slots=True)
class Callback:
    """`wish` is what submissions ask for; `token_key` makes their tokens where nobody signs."""

    receiver: Receiver
    wish: Mapping[str, Any]
    token_key: bytes | None = field(default=None, repr=False)


@asynccontextmanager
async def calling_back(
    manifest: Manifest, *, token_key: bytes, clock: Callable[[], float]
) -> AsyncIterator[Callback | None]:
    """Listens as long as the block lasts; None where the manifest has no [webhook].

    `token_key` stands in where a direct webhook names no secret: the same in every run with the
    same API key, so that what an earlier run sent out can still call back. Raises ManifestError,
    ReceiverUnusable.
    """
    webhook = manifest.webhook
    if webhook is None:
        yield None
        return
    # half of aiohttp, and few batches are called back
    from batcher.adapters.webhook_receiver import (
        receiving,
    )

    secret = _secret(manifest, webhook)
    key = secret.encode() if secret else token_key
    judge: Judge = (
        Tokened(key) if webhook.mode == "direct" else Signed(_secrets(manifest, webhook, secret))
    )
    async with receiving(*webhook.listen, judge, clock=clock) as receiver:
        if webhook.mode == "direct":
            yield Callback(
                receiver, {"mode": "direct", "url": webhook.public_url or receiver.url}, key
            )
        else:
            yield Callback(receiver, _svix_wish(webhook))


def _svix_wish(webhook: Webhook) -> dict[str, Any]:
    return {"mode": "svix", **({"channels": list(webhook.channels)} if webhook.channels else {})}


def _secret(manifest: Manifest, webhook: Webhook) -> str:
    if webhook.secret_env is None:
        return ""
    secret = os.environ.get(webhook.secret_env, "").strip()
    if not secret:
        what = f"the environment variable {webhook.secret_env} isn't set"
        raise ManifestError(
            manifest.where,
            [Problem("webhook.secret_env", what, f"export {webhook.secret_env}=whsec_…")],
        )
    return secret


def _secrets(manifest: Manifest, webhook: Webhook, text: str) -> tuple[bytes, ...]:
    try:
        return read_secrets(text)
    except ValueError:
        what = f"{webhook.secret_env} holds no secret as Svix writes it"
        raise ManifestError(
            manifest.where, [Problem("webhook.secret_env", what, "whsec_ and Base64")]
        ) from None
