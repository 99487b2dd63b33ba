"""Headers that a manifest adds to requests: which can be sent, and which stand in the environment.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from batcher.errors import Problem
from batcher.manifest.values import shown

BY_REFERENCE: Final = "env:"  # before the name of the variable that holds a value
UNSENDABLE: Final = "a line break or another character that no header has: ASCII alone is sent"
_AUTHORIZATION: Final = "authorization"
# of the request that is made of a call, of its body, and of the connection
_OWN: Final = frozenset(
    f"{_AUTHORIZATION} accept-encoding connection content-encoding content-length content-type "
    "expect host keep-alive"
    " proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, by RFC 9110
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def problems(headers: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """What of them can't be sent. No value is shown: it may be a secret."""
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
    """The environment variable that holds it; None where it stands there itself."""
    return value.removeprefix(BY_REFERENCE) if value.startswith(BY_REFERENCE) else None


def is_sendable(value: str) -> bool:
    """Latin-1 would be allowed, but goes out as UTF-8: whoever compares it would find something
    else.
    """
    return value.isascii() and value.isprintable()
