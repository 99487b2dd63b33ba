"""batcher and the service killed at random moments while the service misbehaves: nothing lost,
nothing paid twice.

A few kills here, CRASH_KILLS=30 for more; `python tests/crash/kills.py --kills 500` kills longer.
"""

import os
import random
from pathlib import Path

import pytest
from kills import CHAOS, SERVICE_DIES, Batch, Told

KILLS = int(os.environ.get("CRASH_KILLS", "8"))


@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_every_kind_of_fault_every_document_is_paid_once(
    tmp_path: Path,
) -> None:
    """By the service's own book: one job that got its input for each document, and every result the
    right one.
    """
    told = Told()
    Batch(tmp_path, max(60, 10 * KILLS), CHAOS, 4.0, _chance(), told).live(kills=KILLS)
    assert told.wrong == []
    assert told.kills + told.service_kills > KILLS / 2
    assert SERVICE_DIES > 0
    assert told.faults.total() > 0


@pytest.mark.timeout(300)
def test_of_lost_replies_and_kills_no_job_is_left_over(tmp_path: Path) -> None:
    """15 % of replies to submissions are lost, and batcher dies twice: as many jobs at the service
    as documents.
    """
    told = Told()
    batch = Batch(tmp_path, 120, "lost-reply=0.15", 4.0, _chance(), told)
    batch.live(kills=2)
    assert told.wrong == []
    assert told.jobs == told.documents
    assert told.faults["lost-reply"] > 0


@pytest.mark.timeout(300)
def test_a_submission_that_is_worked_off_late_gets_no_input(tmp_path: Path) -> None:
    """15 % are worked off 3 s after their connection died, which is later than is waited, unless
    the machine is so busy that they are found in the list after all: their uploads are gone by
    then, so each document has one job that got its input either way.
    """
    told = Told()
    Batch(tmp_path, 120, "late-acceptance=0.15:3", 1.0, _chance(), told).live(kills=0)
    assert told.wrong == []
    assert told.fed == told.documents <= told.jobs
    assert told.faults["late-acceptance"] > 0


def _chance() -> random.Random:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)
