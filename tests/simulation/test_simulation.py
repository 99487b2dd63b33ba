"""Whole batches through seeded storms of faults: nothing lost, nothing paid for twice, and every planted defect caught.

`python tests/simulation/campaign.py --seconds 2700` looks much longer.
"""

import os
import random
from pathlib import Path

import pytest
from life import inboxes, live, pick
from mutants import MUTANTS, planted

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "150"))
FIRST = int(os.environ.get("SIMULATION_FIRST", str(random.SystemRandom().randrange(1 << 32))))
SEEDS_FOR_A_MUTANT = 600


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return inboxes(tmp_path_factory.mktemp("inboxes"))


def test_no_seed_loses_a_document_or_pays_twice(folders: list[Path]) -> None:
    """Crashes at any step, power cuts, lost and late replies, refusals, outages, full disks, clocks that jump."""
    print(f"SIMULATION_FIRST={FIRST}")
    outcomes = [live(seed, pick(seed, folders)) for seed in range(FIRST, FIRST + SEEDS)]
    assert [f"seed {o.seed}: {violation}" for o in outcomes for violation in o.violations] == []
    assert sum(o.faults.get("crash", 0) for o in outcomes) > SEEDS / 10


def test_a_seed_tells_the_same_story_twice(folders: list[Path]) -> None:
    """To the last event: a violation that can't be repeated can't be understood."""
    for seed in range(20):
        assert live(seed, pick(seed, folders)) == live(seed, pick(seed, folders))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_defect_is_caught(name: str, folders: list[Path]) -> None:
    """With the defect in place some seed ends in a violation."""
    with planted(name):
        assert any(live(seed, pick(seed, folders)).violations for seed in range(SEEDS_FOR_A_MUTANT))
