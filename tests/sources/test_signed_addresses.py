"""Addresses of objects lead to the object, whatever its name, and carry a signature that its store
accepts.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
import pytest
from obstore.store import from_url

from batcher.errors import SourceUnreadableError
from batcher.sources.signed_addresses import (
    ACCOUNT,
    GOOD_FOR,
    KEY,
    signed_address,
    signed_for_azure,
)

NAMES = ("a b/ü+1.pdf", "p#1?x=2.pdf", "50%20.pdf", "plain.pdf")
# The account and key that every emulator of Azure's store has.
EMULATED = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in zip((ACCOUNT, KEY), EMULATED, strict=True):
        monkeypatch.setenv(name, value)
    return from_url("az://inbox/docs")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA"], capture_output=True)
    if made.returncode:
        pytest.skip("needs openssl")
    account = {"client_email": "a@example.org", "private_key_id": "1"}
    account |= {"private_key": made.stdout.decode(), "gcs_base_url": "https://store.example.org"}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    return from_url("gs://inbox/docs")


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    return from_url("s3://inbox/docs")


@pytest.mark.parametrize("store", ["azure", "google", "amazon"])
@pytest.mark.parametrize("name", NAMES)
def test_an_address_leads_to_its_object(
    store: str, name: str, request: pytest.FixtureRequest
) -> None:
    """Google's is cut at a `#` by obstore, and led to another object."""
    address = urlsplit(signed_address(request.getfixturevalue(store), name))
    assert unquote(address.path).endswith(f"/inbox/docs/{name}")
    assert "ignature" in address.query or "sig=" in address.query
    assert not address.fragment


@pytest.mark.parametrize("container", ["inbox", EMULATED[0]])
def test_azure_s_signature_is_the_one_that_obstore_makes_of_a_plain_name(
    azure: Any, container: str
) -> None:
    """Also where the container has the account's name."""
    store = from_url(f"az://{container}/docs")
    address = obstore.sign(store, "GET", "sub/plain.pdf", GOOD_FOR)
    again = signed_for_azure(address)
    assert parse_qs(urlsplit(again).query) == parse_qs(urlsplit(address).query)


def test_azure_s_signature_is_of_the_name_as_it_is(azure: Any) -> None:
    """This one was accepted by Azurite 3.37, which refuses obstore's."""
    times = "st=2026-01-01T00%3A00%3A00Z&se=2030-01-01T00%3A00%3A00Z"
    address = "http://127.0.0.1:14000/devstoreaccount1/inbox/a%20%C3%BC+b.txt"
    signed = signed_for_azure(f"{address}?sp=r&sr=b&sv=2023-11-03&{times}&sig=x")
    assert signed.startswith(f"{address}?")
    (signature,) = parse_qs(urlsplit(signed).query)["sig"]
    assert signature == "bSu0/9qfIsENYXsvbdvRcYIjdlCWxd5YXIA8PrCfy6o="


def test_without_azure_s_key_such_a_name_is_refused(
    azure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do instead."""
    monkeypatch.delenv(KEY)
    with pytest.raises(SourceUnreadableError, match=r'AZURE_.*transfer = "upload"'):
        signed_for_azure("https://a.example.org/inbox/a%20b.pdf?sp=r")
