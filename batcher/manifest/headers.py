"""Checks the headers that a manifest adds to requests, and finds references to variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from batcher.errors import Problem
from batcher.manifest.values import shown

BY_REFERENCE: Final = "env:"  # before the name of the variable that holds a value
UNSENDABLE: Final = "a line break or another character that no header has: ASCII alone is sent"
_AUTHORIZATION: Final = "authorization"
# Headers that batcher, the request body or the connection sets.
_OWN: Final = frozenset(
    f"{_AUTHORIZATION} accept-encoding connection content-encoding content-length content-type "
    "expect host keep-alive"
    " proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, by RFC 9110
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def problems(headers: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """Yield the headers that can't be sent. No value is shown, since it may be a secret."""
    names: dict[str, str] = {}
    for name, value in headers.items():
        first = names.setdefault(name.lower(), name)
        if not _NAME.fullmatch(name):
            yield Problem(
                key, f"{shown(name)} is no name of a header", "letters, digits and -, as in X-Team"
            )
        elif name.lower() in _OWN:
            is_key = name.lower() == _AUTHORIZATION
            hint = (
                "the key stands in the variable that service.api_key_env names"
                if is_key
                else "take it out"
            )
            yield Problem(f"{key}.{name}", "batcher sets this itself", hint)
        elif first != name:
            yield Problem(f"{key}.{name}", f"is named twice, as {first}")
        elif not isinstance(value, str):
            yield Problem(f"{key}.{name}", "text is wanted", f'in quotes, as in {name} = "…"')
        elif not is_sendable(value):
            yield Problem(f"{key}.{name}", UNSENDABLE)
        elif (variable := variable_of(value)) is not None and not _VARIABLE.fullmatch(variable):
            what = "the name of an environment variable is wanted"
            yield Problem(f"{key}.{name}", what, f'as in {name} = "{BY_REFERENCE}GATEWAY_KEY"')


def variable_of(value: str) -> str | None:
    """Return the environment variable that holds the value; None if `value` is the value itself."""
    return value.removeprefix(BY_REFERENCE) if value.startswith(BY_REFERENCE) else None


def is_sendable(value: str) -> bool:
    """Whether the value can be sent.

    Latin-1 would be allowed, but it is sent as UTF-8, so the receiver would compare other bytes.
    """
    return value.isascii() and value.isprintable()
