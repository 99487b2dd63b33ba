"""Send the outcome of a run to a URL.

It is a single POST with a short timeout, and a run never fails because of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import msgspec

from batcher.common.secrets import Secrets
from batcher.reducto.exchange import unusable_proxy
from batcher.reducto.public_addresses import is_on_this_machine

PATIENCE: Final = 10.0  # seconds in all


async def notify(
    url: str,
    news: Mapping[str, Any],
    *,
    patience: float = PATIENCE,
    trust: ssl.SSLContext | None = None,
) -> str | None:
    """POST `news` as JSON; return None if it was accepted, otherwise what went wrong.

    Any 2xx accepts it. `patience` is in seconds. `trust` is from `manifest.certificates`; None
    means the system's certificates.
    """
    by_proxy = not is_on_this_machine(url)  # proxies are for other machines only
    try:
        if wrong := unusable_proxy(url):
            return f"notify.url: {wrong}"
        connector = aiohttp.TCPConnector(ssl=trust or True)
        async with (
            asyncio.timeout(patience),
            aiohttp.ClientSession(connector=connector, trust_env=by_proxy) as session,
        ):
            headers = {"Content-Type": "application/json"}
            async with session.post(
                url, data=msgspec.json.encode(news), headers=headers, allow_redirects=False
            ) as answer:
                return (
                    None if 200 <= answer.status < 300 else f"notify.url answered {answer.status}"
                )
    except TimeoutError:
        return f"notify.url didn't answer within {patience:g} s"
    except Exception as error:
        address = Secrets()
        address.keep([url], "its address")  # anybody who knows it can post to it
        return f"notify.url: {address.cut(str(error)) or type(error).__name__}"
