"""Addresses with which anybody can read an object for a while: obstore signs them, and this module
mends those that wouldn't lead to the object.

As of obstore 0.12 an address of Google's ends at a `#` or `?` in the key, and so leads to another
object; Azure refuses one whose key has a character that addresses encode, since its signature is of
the encoded key.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from datetime import timedelta
from hashlib import sha256
from hmac import digest
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from batcher.errors import SourceUnreadableError

# Validity of a signature: the service reads the object when its turn comes, and its queue may be
# long.
GOOD_FOR: Final = timedelta(hours=24)
UNTO: Final = ' (transfer = "upload" reads such objects here)'
# What Azure's signature is of, by the names of parameters, around the place of the object:
# learn.microsoft.com/rest/api/storageservices/create-service-sas, from version 2020-12-06 on.
_BEFORE: Final = ("sp", "st", "se")
_AFTER: Final = ("si", "sip", "spr", "sv", "sr", "snapshot", "ses")
_AND: Final = ("rscc", "rscd", "rsce", "rscl", "rsct")
ACCOUNT: Final = "AZURE_STORAGE_ACCOUNT_NAME"
KEY: Final = "AZURE_STORAGE_ACCOUNT_KEY"


def signed_address(store: Any, key: str) -> str:
    """Return an address of the object in an obstore `store`.

    Raises obstore's errors, and SourceUnreadableError for a key that can't be signed.
    """
    import obstore
    from obstore.store import AzureStore

    for path in (key, quote(key)):
        address: str = obstore.sign(store, "GET", path, GOOD_FOR)
        if not leads_to(address, key):
            continue
        if isinstance(store, AzureStore) and "%" in urlsplit(address).path:
            return signed_for_azure(address)
        return address
    raise SourceUnreadableError(f"{key}: its store's addresses can't hold this name{UNTO}")


def leads_to(address: str, key: str) -> bool:
    """Return whether the path of the address ends with the object's key."""
    return unquote(urlsplit(address).path).endswith(f"/{key}")


def signed_for_azure(address: str) -> str:
    """Return the address with a signature of the key as it is, by the account's key.

    Raises SourceUnreadableError without one: only obstore has what else it signs with.
    """
    account, secret = os.environ.get(ACCOUNT), os.environ.get(KEY)
    if not account or not secret:
        raise SourceUnreadableError(
            f"without {ACCOUNT} and {KEY} no address can be signed for a name with spaces, or with "
            f"letters beyond ASCII{UNTO}"
        )
    parts = urlsplit(address)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    path = unquote(parts.path)
    if not (parts.hostname or "").startswith(f"{account}."):  # an emulator has it in the path
        path = path.removeprefix(f"/{account}")
    lines = [
        *(given.get(name, "") for name in _BEFORE),
        f"/blob/{account}{path}",
        *(given.get(name, "") for name in (*_AFTER, *_AND)),
    ]
    signature = digest(b64decode(secret), "\n".join(lines).encode(), sha256)
    given["sig"] = b64encode(signature).decode()
    return parts._replace(query=urlencode(given)).geturl()
