"""Read the parts of a request outside its body the way FastAPI does.

These are numbers and flags in the query, and the address by which the service was reached.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from batcher.service.answers import InvalidRequest

TRUE: Final = frozenset({"true", "1", "on", "yes", "t", "y"})
FALSE: Final = frozenset({"false", "0", "off", "no", "f", "n", ""})
_WITHOUT_FRACTION: Final = re.compile(r"(?<=\d)\.0*$")


def address_of(request: web.Request) -> str:
    """Return the service's address as the client reaches it; the Host header was checked before."""
    return f"http://{request.host}"


def number(request: web.Request, name: str, *, default: int, allowed: range) -> int:
    """Return a query parameter as an integer.

    Raises InvalidRequest if it is no integer or not in `allowed`.
    """
    text = request.query.get(name)
    if text is None:
        return default
    text = _WITHOUT_FRACTION.sub("", text)
    if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 10):
        raise InvalidRequest.at(
            "query", name, msg="Input should be a valid integer", type="int_parsing"
        )
    if int(text) not in allowed:
        msg = f"Input should be from {allowed.start} to {allowed.stop - 1}"
        raise InvalidRequest.at("query", name, msg=msg, type="less_than_equal")
    return int(text)


def flag(request: web.Request, name: str) -> bool:
    """Return a query parameter as a bool, False if it is missing.

    Raises InvalidRequest if it is no boolean.
    """
    text = request.query.get(name, "").lower()
    if text not in TRUE | FALSE:
        raise InvalidRequest.at(
            "query", name, msg="Input should be a valid boolean", type="bool_parsing"
        )
    return text in TRUE
