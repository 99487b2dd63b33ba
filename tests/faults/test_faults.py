"""Disks that fail at any call and machines that lose their power: nothing torn, nothing lost,
nothing paid twice.

A few of each here, more with FAULTS_STEP=47 and FAULTS_CUTS=10; `python tests/faults/every.py`
takes every call there is, `powercuts.py` as many cuts as you like.
"""

import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import Disks, mounted, plain, why_no_power_cuts
from every import DOCUMENTS, every
from powercuts import Told, batch
from sickness import DEFECTS
from trial import Mode, laboratory

NO_POWER_CUTS = why_no_power_cuts()
STEP = int(os.environ.get("FAULTS_STEP", "110"))  # of some 270 calls, from a random one on
CUTS = int(os.environ.get("FAULTS_CUTS", "3"))

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="faults are made with LD_PRELOAD, as on Linux"
    ),
    pytest.mark.skipif(
        shutil.which("cc") is None, reason="the shim that makes faults needs a C compiler"
    ),
]
needs_power = pytest.mark.skipif(NO_POWER_CUTS is not None, reason=str(NO_POWER_CUTS))
CUTTING = pytest.param(Mode.CUT, marks=needs_power, id="CUT")


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with plain(tmp_path) if NO_POWER_CUTS else mounted(tmp_path) as disks:
        yield disks


@pytest.mark.parametrize(
    "mode",
    [Mode.KILL, Mode.EIO_ONCE, Mode.EIO_FOR_EVER, Mode.FULL, Mode.SHORT, CUTTING],
    ids=lambda mode: mode.name,
)
async def test_whichever_call_fails_nothing_is_torn_lost_or_paid_twice(
    mode: Mode, disks: Disks, tmp_path: Path
) -> None:
    """Looked at after the fault, after a restart and after a second one."""
    first = random.SystemRandom().randint(1, STEP)
    async with laboratory(disks, tmp_path, documents=DOCUMENTS) as lab:
        findings = [finding async for finding in every(lab, [mode], first=first, step=STEP)]
    assert [
        f"at call {finding.nth}: {words}" for finding in findings for words in finding.wrong
    ] == []
    assert len(findings) >= 2


@needs_power
@pytest.mark.timeout(400)
async def test_what_was_acknowledged_outlives_a_power_cut(disks: Disks, tmp_path: Path) -> None:
    """At random moments, ledger and results on file systems of their own."""
    rng = random.Random(seed := random.SystemRandom().randrange(1 << 32))
    told = Told()
    async with laboratory(disks, tmp_path, documents=40) as lab:
        while told.cuts < CUTS or (told.acknowledged == 0 and told.cuts < 20 * CUTS):
            await batch(lab, rng, told)  # on a busy machine, most cuts come before anything is sent
    assert told.wrong == [], f"seed {seed}"
    assert told.acknowledged > 0


# In what mode a defect shows, and in which stretch of a run's calls: the first make the ledger,
# then documents are submitted, and in the last half results are written.
SHOWS_IN = {
    "never syncs a file": (Mode.CUT, 0.70, 0.99),
    "never syncs a folder": (Mode.CUT, 0.72, 0.88),
    "commits without sync": (Mode.CUT, 0.50, 0.90),
    "says saved before it is": (Mode.KILL, 0.55, 0.90),
    "sends before it is on record": (Mode.FULL, 0.55, 0.65),
    "writes in place": (Mode.KILL, 0.60, 0.90),
    "takes a short write for a whole one": (Mode.SHORT, 0.60, 0.85),
}


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(name, marks=[needs_power] * (mode is Mode.CUT), id=name.replace(" ", "-"))
        for name, (mode, _, _) in SHOWS_IN.items()
    ],
)
@pytest.mark.timeout(400)  # a few trials of three runs each, on a machine that may be slow
async def test_a_planted_defect_is_caught(defect: str, disks: Disks, tmp_path: Path) -> None:
    """The harness's silence means something: with the defect in place some call shows it."""
    assert set(SHOWS_IN) == set(DEFECTS)
    mode, first, last = SHOWS_IN[defect]
    async with laboratory(disks, tmp_path, documents=12, defect=defect) as lab:
        lab.begin()
        calls = (await lab.run(Mode.COUNT)).calls
        assert calls is not None
        for share in _scattered(first, last):
            wrong, _ = await lab.trial(mode, int(share * calls))
            if wrong:
                return
    pytest.fail(f"batcher {defect}, and nothing shows it")


def _scattered(first: float, last: float) -> Iterator[float]:
    """Sixty places between the two, each far from those before it: steps of the golden ratio."""
    return (first + (last - first) * (number * 0.618 % 1) for number in range(60))
