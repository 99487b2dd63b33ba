"""Webhooks: sets up the receiver from the manifest's [webhook], and what submissions say of it."""

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
    """A receiver that listens, and what submissions need in order to name it.

    `wish` is the webhook part of each submission. `token_key` makes the tokens of direct webhooks,
    which nobody signs; None for signed ones.
    """

    receiver: Receiver
    wish: Mapping[str, Any]
    token_key: bytes | None = field(default=None, repr=False)


@asynccontextmanager
async def calling_back(
    manifest: Manifest, *, token_key: bytes, clock: Callable[[], float]
) -> AsyncIterator[Callback | None]:
    """Listen for webhooks during the block; yield None if the manifest has no [webhook].

    `token_key` is used where a direct webhook names no secret. It must be the same in every run
    with the same API key, so that jobs of an earlier run can still call back. Raises ManifestError
    where a secret is missing or malformed, ReceiverUnusable where it can't listen.
    """
    webhook = manifest.webhook
    if webhook is None:
        yield None
        return
    # This imports half of aiohttp, and few batches use webhooks.
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
