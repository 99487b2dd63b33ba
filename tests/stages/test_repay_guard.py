"""What is saved isn't paid for again above a sum, unasked: neither for changed files nor for other
options.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from house import House, all_waiting, digest_of
from virtual import run_virtually

from batcher.core.lifecycle import State
from batcher.manifest.model import Limits


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
