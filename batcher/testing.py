"""A local Reducto for the tests of whoever builds on the API: `from batcher.testing import
local_reducto`.

A process of its own that reads documents for real, on loopback, with a key and data that are gone
afterwards. It needs pytest, and neither account nor network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batcher.adapters import local_process

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
    """A service that runs for as long as the block does.

    `chaos`: faults to make, as `batcher run --chaos` takes them. Raises ServiceUnusable.
    """
    with local_process.serving(data_dir, chaos=chaos) as (url, key):
        yield LocalReducto(url, key)
