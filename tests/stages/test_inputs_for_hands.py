"""Which objects of a store hands take from there, and which come by this machine."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from bucket import bucket, google_buckets
from contexts import context_of
from file_hands import FakeFileHands
from obstore.store import from_url

from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import SourceUnreadableError
from batcher.ledger.ledger import Due, memory_ledger
from batcher.manifest.model import Source
from batcher.reducto.fake_client import FakeService
from batcher.sources import object_store
from batcher.sources.object_store import Fetched
from batcher.sources.passwords import Passwords
from batcher.stages.input_resolver import Content, InputResolver
from batcher.stages.transfer import InStore

SMALL = b"a letter"
LARGE = b"x" * (1 << 21)


def resolver(folder: Path, *, source: Source | None = None, hands: bool = True) -> InputResolver:
    ledger = memory_ledger(folder / "none.db", batch="b", clock=lambda: 0.0)
    lent = FakeFileHands(FakeService(lambda: 0.0), worth=1 << 20) if hands else None
    passwords = Passwords([source] if source else [], where="m.toml")
    account = Account("service", "none", 3600.0)
    context = context_of(ledger, None, hands=lent)
    return InputResolver(context, passwords, account=account, parts=folder / "parts", ignored={})


def due(url: str, name: str, size: int, state: State = State.QUEUED) -> Due:
    meta = obstore.head(from_url(url, client_options={"allow_http": True}), name)
    content = object_store._content(name, meta)
    return Due(
        id=1,
        source=name,
        folder=url,
        content=content,
        size=size,
        state=state,
        file_id=None,
        uploaded_at=None,
        tries=0,
        job="parse",
        upstream=None,
        on_its_own=False,
        options=None,
        metadata=None,
        place=None,
        step="step",
    )


async def content(inputs: InputResolver, document: Due) -> Content:
    ((_, found),) = await inputs.of([document])
    return found


async def test_large_objects_stay_in_their_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For hands, by a signed address that nobody writes down; small ones are fetched, and what is
    uploaded isn't asked for again. Without hands all are fetched.
    """
    with bucket(monkeypatch, "inbox") as store:
        store.put("large.txt", LARGE)
        store.put("small.txt", SMALL)
        large = due("s3://inbox", "large.txt", len(LARGE))
        inputs = resolver(tmp_path)
        found = await content(inputs, large)
        assert isinstance(found, InStore) and "X-Amz-Signature=" in found.address
        assert "X-Amz-Signature" not in repr(found)
        assert found.address not in inputs._ledger.secrets.cut(f"GET {found.address}")
        assert await content(inputs, due("s3://inbox", "small.txt", len(SMALL))) == SMALL
        assert await content(inputs, large._replace(state=State.UPLOADED)) == b""
        assert isinstance(await content(resolver(tmp_path, hands=False), large), Fetched)


async def test_an_object_that_may_need_a_password_is_opened_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hands get no password."""
    monkeypatch.setenv("DOCUMENTS", "secret")
    source = Source(url="s3://inbox", passwords_env="DOCUMENTS")
    with bucket(monkeypatch, "inbox") as store:
        store.put("large.txt", LARGE)
        large = due("s3://inbox", "large.txt", len(LARGE))
        assert isinstance(await content(resolver(tmp_path, source=source), large), Fetched)


async def test_a_store_that_signs_nothing_is_read_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Google's, where the environment has no key to sign with; a person is told once."""
    with google_buckets(monkeypatch, "inbox"):
        store = from_url("gs://inbox", client_options={"allow_http": True})
        obstore.put(store, "large.txt", LARGE)
        large = due("gs://inbox", "large.txt", len(LARGE))
        inputs = resolver(tmp_path)
        asked = []

        def refused(url: str, name: str) -> str:
            asked.append(name)
            raise SourceUnreadableError(f"{url}/{name}: it has no key to sign with")

        monkeypatch.setattr(object_store, "signed", refused)
        for _ in range(5):
            assert isinstance(await content(inputs, large), Fetched)
        assert len(asked) == 3, "the store isn't asked for each"
        (warning,) = inputs._control.warnings
        assert "uploaded by this machine: gs://inbox/large.txt: it has no key" in warning
