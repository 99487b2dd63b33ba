"""Hands of each kind, and the address of a Ray cluster of two nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from lending import PARSER, SERVICE_TESTS, WITHOUT_RAY, Lend, Node, OwnCluster, started

from batcher.cluster.local import LocalHands
from batcher.cluster.messages import Wanted
from batcher.cluster.on_ray import RayHands

sys.path.append(SERVICE_TESTS)  # readers and hands get this process's path


@pytest.fixture(scope="session")
def with_ray() -> None:
    """Skips the test where Ray isn't installed."""
    if find_spec("ray") is None:
        pytest.skip(WITHOUT_RAY)


@pytest.fixture(scope="session")
def cluster(with_ray: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a cluster of two nodes."""
    folder = tmp_path_factory.getbasetemp()
    return started(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture
def alone(with_ray: None, tmp_path: Path) -> Iterator[OwnCluster]:
    """A cluster of one node that no other test uses, which is ended after."""
    own = OwnCluster(tmp_path / "alone")
    yield own
    own.end()


@pytest.fixture
def join(alone: OwnCluster) -> Iterator[Callable[[str], Node]]:
    """What has another node join it, with a resource of this name; all are ended after."""
    started: list[Node] = []

    def start(name: str) -> Node:
        started.append(Node(alone.address, name, len(started) + 2))
        return started[-1]

    yield start
    for node in started:
        node.kill()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(params=["local", "ray"])
def lend(request: pytest.FixtureRequest) -> Lend:
    """What lends hands of each kind: a context manager that takes their number, and `ask`.

    Those of Ray are sent documents by value, unless they may see a `shared` folder.
    """
    if request.param == "local":

        @asynccontextmanager
        async def lent(hands: int = 1, *, shared: str = "", **more: Any) -> Any:
            yield LocalHands(hands, parser=PARSER, **more)

        return lent
    address = request.getfixturevalue("cluster")

    def borrowed(hands: int = 1, *, shared: str = "", **more: Any) -> RayHands:
        wanted = Wanted(address=address, hands=hands, parser=PARSER, shared=shared)
        return RayHands(wanted, **more)

    return borrowed
