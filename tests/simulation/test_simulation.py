"""Whole batches through seeded storms of faults: nothing lost, nothing paid for twice, and every
planted defect caught.

`python tests/simulation/campaign.py --seconds 2700` looks much longer, SIMULATION_SEEDS=300 a
little.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from life import live
from mutants import MUTANTS
from shown_by import shown_by, shows

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "10"))
FIRST = int(os.environ.get("SIMULATION_FIRST", "1"))  # the campaign takes others each time
SEEDS_FOR_A_MUTANT = 600
TOLD_TWICE = 2
HERE = Path(__file__).parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else tmp_path


@pytest.mark.timeout(600)
def test_no_seed_loses_a_document_or_pays_twice(root: Path) -> None:
    """Crashes at any step, power cuts, suspends, lost and late replies, storms, full disks, people
    who interfere.
    """
    print(f"SIMULATION_FIRST={FIRST}")
    outcomes = [live(seed, root) for seed in range(FIRST, FIRST + SEEDS)]
    assert [f"seed {o.seed}: {violation}" for o in outcomes for violation in o.violations] == []
    assert sum(o.faults.get("crash", 0) for o in outcomes) > SEEDS / 10


def test_a_seed_tells_the_same_story_in_every_process(root: Path) -> None:
    """To the last event, however its strings are hashed: a violation that can't be repeated can't
    be understood.
    """
    here = [live(seed, root).digest() for seed in range(TOLD_TWICE)]
    assert here == [live(seed, root).digest() for seed in range(TOLD_TWICE)]
    for salt in ("1", "2"):
        assert _elsewhere(root, salt) == here


def _elsewhere(root: Path, salt: str) -> list[str]:
    words = f"from pathlib import Path; from life import live; root = Path({str(root)!r})\n"
    words += f"for seed in range({TOLD_TWICE}): print(live(seed, root).digest())"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": salt,
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    }
    told = subprocess.run(
        [sys.executable, "-c", words], env=environment, capture_output=True, text=True, check=True
    )
    return told.stdout.split()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_defect_is_caught(name: str, root: Path) -> None:
    """Some seed ends in a violation with it, and in none without; those that have shown it before
    are tried first.
    """
    seeds = dict.fromkeys((*shown_by().get(name, []), *range(SEEDS_FOR_A_MUTANT)))
    assert any(shows(name, seed, root) for seed in seeds)
