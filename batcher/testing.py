"""A local Reducto for the tests of whoever builds on the API: `from batcher.testing import
local_reducto`.

A process of its own that reads documents for real, on loopback, with a key and data that are gone
afterwards. It needs pytest, and neither account nor network.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batcher.errors import ServiceUnusable

__all__ = ["LocalReducto", "local_reducto", "serving"]


@dataclass(frozen=True, slots=True)
class LocalReducto:
    """Where it is reached, and the bearer token it takes."""

    url: str
    key: str = field(repr=False)


@pytest.fixture(scope="session")
def local_reducto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalReducto]:
    """One service for the whole session of tests; it starts when the first test asks for it."""
    with serving(tmp_path_factory.mktemp("reducto")) as service:
        yield service


@contextmanager
def serving(data_dir: Path, *, chaos: str = "") -> Iterator[LocalReducto]:
    """As long as the block lasts.

    `chaos`: faults to make, in the words of `batcher run`. Raises ServiceUnusable.
    """
    key = secrets.token_urlsafe(24)
    words = [sys.executable, "-m", "batcher.service", "--embedded", "--data-dir", str(data_dir)]
    process = subprocess.Popen(  # noqa: S603 (our own module, by our own interpreter)
        [*words, *(("--chaos", chaos) if chaos else ())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(f"{key}\n")  # by pipe: a process list shows arguments and environments
        process.stdin.flush()
        yield LocalReducto(_url(process.stdout.readline()), key)
    finally:
        process.stdin.close()  # which ends it
        process.wait()
        process.stdout.close()


def _url(hello: str) -> str:
    try:
        return str(json.loads(hello)["url"])
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceUnusable(
            "the local service didn't start; what it said stands above"
        ) from error
