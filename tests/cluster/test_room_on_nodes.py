"""How many hands a node has room for, and what is said where none has."""

from __future__ import annotations

import pytest

from batcher.cluster.messages import Wanted
from batcher.cluster.room import Room, room_in, too_small

NODE = Room("10.0.0.7", {"CPU": 8, "memory": 16e9, "ocr": 2})


def wanted(**more: object) -> Wanted:
    return Wanted(parser="parser", shared="", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "asked, hands",
    [
        ({}, 8),
        ({"cpus": 2}, 4),
        ({"cpus": 0.1}, 80),
        ({"memory": 3_000_000_000}, 5),
        ({"resources": {"ocr": 1}}, 2),
        ({"resources": {"gpu": 1}}, 0),
        ({"cpus": 9}, 0),
    ],
)
def test_the_scarcest_counts(asked: dict[str, object], hands: int) -> None:
    """Cores, memory, or what the nodes have besides; fractions add up to wholes."""
    assert room_in(NODE, wanted(**asked)) == hands


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"cpus": 9}, "each takes 9 CPU, and the largest of 1 nodes has 8 CPU; ask for less with "),
        ({"memory": 17_000_000_000}, "17.0 GB of memory, and the largest of 1 nodes has 16.0 GB"),
        ({"resources": {"gpu": 1}}, "1 gpu, and the largest of 1 nodes has 0 gpu; ask for less "),
    ],
)
def test_who_finds_no_room_learns_what_is_lacking(asked: dict[str, object], words: str) -> None:
    """With what there is, and the key that asks for less."""
    said = too_small([NODE], wanted(**asked))
    assert words in said and "cluster." in said
