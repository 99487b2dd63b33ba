"""A pytest fixture that starts a local Reducto, for testing code that uses the API.

Import it with `from batcher.testing import local_reducto`. The service is a separate process on
loopback that really reads documents. Its key and data are discarded afterwards. It requires pytest,
but neither an account nor a network.
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
    """The address of the service, and the bearer token that it accepts."""

    url: str
    key: str = field(repr=False)


@pytest.fixture(scope="session")
def local_reducto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalReducto]:
    """Provide one service for the whole test session, started when a test first asks for it."""
    with serving(tmp_path_factory.mktemp("reducto")) as service:
        yield service


@contextmanager
def serving(data_dir: Path, *, chaos: str = "") -> Iterator[LocalReducto]:
    """Run a service for the duration of the `with` block.

    `chaos` names the faults to inject, as `batcher run --chaos` takes them. Raises ServiceUnusable.
    """
    with local_process.serving(data_dir, chaos=chaos) as (url, key):
        yield LocalReducto(url, key)
