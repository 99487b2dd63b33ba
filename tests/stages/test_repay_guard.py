"""What is saved isn't paid for again above a sum, unasked: neither for changed files nor for other
options.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import house as house_module
import pytest
from house import House, all_waiting, digest_of
from virtual import run_virtually

from batcher.core.lifecycle import State
from batcher.exit_codes import ExitCode
from batcher.manifest.model import Limits, Manifest, Source
from batcher.reducto.job import Job
from batcher.stages.scanner import Scanner


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Each document costs a credit; three of them may be paid for again without asking."""
    house = House(tmp_path)
    house.limits = Limits(pay_again=3)
    house.put(**{f"n{number}": f"letter {number}" for number in range(6)})
    return house


def edit(house: House, number: int) -> None:
    house.put(**{f"n{one}": f"edited {one}" for one in range(number)})


def agree(house: House, answer: bool) -> list[str]:
    asked = list[str]()

    async def ask(words: str) -> bool:
        asked.append(words)
        return answer

    house.control.ask = ask
    return asked


def test_a_few_edited_files_are_paid_again_without_a_word(house: House) -> None:
    """Up to the sum."""

    async def work() -> None:
        await house.run()
        asked = agree(house, answer=False)
        edit(house, 3)
        assert (await house.run())["saved"] == 6
        assert (house.paid(), asked, house.control.refused) == (9, [], "")

    run_virtually(work())


def test_more_of_them_stay_as_they_were_while_the_rest_goes_on(house: House) -> None:
    """Their older results stand, a new file is sent, and it is said what to type; the next run says
    it again.
    """

    async def work() -> None:
        await house.run()
        edit(house, 4)
        house.put(new="new")
        assert await house.run() == {"saved": 7}
        assert house.paid() == 7
        assert digest_of("letter 0") in house.result("n0")
        assert (
            "4 documents that are saved would be paid for again, about 4 credits"
            in house.control.refused
        )
        assert "--yes" in house.control.refused
        await house.run()
        assert house.control.refused
        assert house.paid() == 7

    run_virtually(work())


def test_somebody_who_is_there_is_asked_once(house: House) -> None:
    """And agreed to, all of them are sent."""

    async def work() -> None:
        await house.run()
        asked = agree(house, answer=True)
        edit(house, 5)
        assert (await house.run())["saved"] == 6
        assert len(asked) == 1
        assert house.paid() == 11
        assert digest_of("edited 4") in house.result("n4")

    run_virtually(work())


def test_other_options_send_nothing_until_they_are_agreed_to(house: House) -> None:
    """Not even new documents; what is out comes home all the same.

    Afterwards it isn't asked again.
    """

    async def work() -> None:
        await house.run()
        house.put(late="under way")
        await house.run(until=all_waiting(1))
        house.options = {"settings": {"page_range": [1]}}
        house.put(new="new")
        assert await house.run() == {"saved": 7}
        assert house.control.exit_code == 2
        assert house.paid() == 7
        agree(house, answer=True)
        assert (await house.run())["saved"] == 8
        assert house.paid() == 15
        asked = agree(house, answer=False)
        await house.run()
        assert (asked, house.control.refused) == ([], "")

    run_virtually(work())


def test_what_was_only_queued_goes_out_with_the_newer_options_once(house: House) -> None:
    """Nothing was paid for it: it is neither asked for nor sent with the older ones."""

    async def work() -> None:
        await house.run(until=lambda ledger: ledger.tally[State.QUEUED] == 6)
        house.options = {"settings": {"page_range": [1]}}
        assert await house.run() == {"saved": 6, "superseded": 6}
        assert house.paid() == 6
        assert all("page_range" in job.config for job in house.service.jobs.values())

    run_virtually(work())


# --- what is counted ------------------------------------------------------------------------------


def of_sources(monkeypatch: pytest.MonkeyPatch, *sources: Source) -> None:
    """Have the next runs read these sources."""

    def manifest(**values: Any) -> Manifest:
        return Manifest(**{**values, "sources": sources})

    monkeypatch.setattr(house_module, "Manifest", manifest)


def test_what_is_found_twice_counts_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six files, each in a folder and in the one around it: three edited ones are three credits."""

    async def work() -> None:
        inner = house.inbox / "inner"
        inner.mkdir()
        for path in [*house.inbox.glob("*.txt")]:
            path.rename(inner / path.name)
        of_sources(monkeypatch, Source(directory=house.inbox), Source(directory=inner))
        assert await house.run() == {"saved": 12}
        asked = agree(house, answer=False)
        for number in range(3):
            (inner / f"n{number}.txt").write_text(f"edited {number}")
        assert (await house.run())["saved"] == 12
        assert (house.paid(), asked) == (9, [])

    run_virtually(work())


@pytest.mark.parametrize("change", ["steps of a chain", "one of two steps, and files", "copies"])
def test_a_change_that_fits_by_itself_lifts_no_limit(change: str, tmp_path: Path) -> None:
    """What else would be paid for again is added to it before anything is sent."""

    async def work() -> None:
        house = House(tmp_path)
        house.limits = Limits(pay_again=6)
        texts = {f"n{number}": f"letter {number}" for number in range(5)}
        house.put(**dict.fromkeys(texts, "same") if change == "copies" else texts)
        if change == "steps of a chain":
            house.later_jobs = (Job(name="extract", endpoint="extract"),)
        elif change == "one of two steps, and files":
            house.later_jobs = (Job(name="other", endpoint="parse", options={"x": 1}),)
        await house.run()
        paid = house.paid()
        house.limits = Limits(pay_again=3 if change == "copies" else 6)
        asked = agree(house, answer=False)
        if change != "steps of a chain":
            edit(house, 5)
        house.options = {"settings": {"page_range": [1]}}
        await house.run()
        assert (house.paid(), len(asked)) == (paid, 1)

    run_virtually(work())


@pytest.mark.parametrize("then", ["", "letter 5", "letter 0"])
def test_what_waits_is_what_the_last_walk_found(
    then: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file still grew, so that the folder was walked again; by then the edited one was
    empty, had the bytes of another, or its own of before.
    """

    async def work() -> None:
        await house.run()
        now = asyncio.get_running_loop().time()
        house.put(n0="edited", growing="more")
        os.utime(house.inbox / "growing.txt", (now, now))
        walk = Scanner._walk
        walks = 0

        async def walking(scanner: Scanner, source: Source) -> bool:
            nonlocal walks
            walks += 1
            if walks == 2:
                house.put(n0=then)
                for name in ("n0", "growing"):
                    os.utime(house.inbox / f"{name}.txt", (now - 900, now - 900))
            return await walk(scanner, source)

        monkeypatch.setattr(Scanner, "_walk", walking)
        after = await house.run()
        assert walks == 2 and house.control.exit_code in (ExitCode.SUCCESS, ExitCode.INCOMPLETE)
        assert house.paid() == 7
        if then == "letter 0":
            assert after == {"saved": 7}

    run_virtually(work())


def test_one_old_document_makes_way_for_one_new_one(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listing is gone, and two others have a row of its name, with other options."""

    def listed(folder: str, timeout: int) -> Source:
        listing = tmp_path / folder / "rows.csv"
        listing.parent.mkdir()
        (listing.parent / "a.txt").write_text("same")
        listing.write_text(f"path,options.settings.timeout\na.txt,{timeout}\n")
        return Source(listing=listing)

    async def work() -> None:
        of_sources(monkeypatch, listed("x", 60))
        assert await house.run() == {"saved": 1}
        of_sources(monkeypatch, listed("y", 120), listed("z", 120))
        for _ in range(2):
            assert await house.run() == {"saved": 2, "superseded": 1}
        assert house.paid() == 2

    run_virtually(work())
