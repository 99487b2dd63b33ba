"""The same bytes and step are paid for once in a batch's life, whatever becomes of their names and
sources.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import house as house_module
import pytest
from house import House, all_waiting, digest_of
from virtual import run_virtually

from batcher.core.lifecycle import State
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Ledger
from batcher.ledger.reader import LedgerReader
from batcher.manifest.model import Limits, Manifest, Source
from batcher.reducto.job import Job
from batcher.sources import directory

HOUR = 3600.0


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def saved(number: int) -> Callable[[Ledger], bool]:
    return lambda ledger: ledger.tally[State.SAVED] == number


# --- sources that go and come back ----------------------------------------------------------------


def emptied(house: House) -> Callable[[], None]:
    """A sync tool, a full disk, a restore under way."""
    texts = {path: path.read_text() for path in house.inbox.iterdir()}
    for path in texts:
        path.write_text("")

    def restore() -> None:
        for path, text in texts.items():
            path.write_text(text)

    return restore


def moved_away(house: House) -> Callable[[], None]:
    """A share that isn't mounted: its folder is there, and empty."""
    away = house.inbox.with_name("away")
    house.inbox.rename(away)
    house.inbox.mkdir()

    def restore() -> None:
        house.inbox.rmdir()
        away.rename(house.inbox)

    return restore


def stale(house: House) -> Callable[[], None]:
    """NFS: the folder lists its names, and each look at a file says that its handle is stale."""
    real = os.lstat

    def lstat(path: Any, *args: Any, **more: Any) -> os.stat_result:
        if os.fsencode(path).endswith(b".txt"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path, *args, **more)

    directory.os.lstat = lstat  # type: ignore[assignment]

    def restore() -> None:
        directory.os.lstat = real

    return restore


def replaced_by_links(house: House) -> Callable[[], None]:
    """A tool that keeps its files elsewhere and leaves links for them."""
    paths = list(house.inbox.iterdir())
    for path in paths:
        path.rename(path.with_suffix(".kept"))
        path.symlink_to(path.with_suffix(".kept"))

    def restore() -> None:
        for path in paths:
            path.unlink()
            path.with_suffix(".kept").rename(path)

    return restore


@pytest.fixture(
    params=[emptied, moved_away, stale, replaced_by_links], ids=lambda kind: kind.__name__
)
def trouble(request: pytest.FixtureRequest) -> Iterator[Callable[[House], Callable[[], None]]]:
    real = os.lstat
    yield request.param
    os.lstat = real


def test_a_source_that_is_in_trouble_for_one_run_costs_nothing(
    house: House, trouble: Callable[[House], Callable[[], None]]
) -> None:
    """Saved in the first run, not to be read in the second, as before in the third."""

    async def work() -> None:
        house.put(**{f"n{number}": f"text {number}" for number in range(5)})
        assert await house.run() == {"saved": 5}
        restore = trouble(house)
        await asyncio.sleep(HOUR)
        await house.run()
        restore()
        await asyncio.sleep(HOUR)
        tally = await house.run()
        assert tally["saved"] == 5
        assert house.paid() == 5
        assert all(digest_of(f"text {number}") in house.result(f"n{number}") for number in range(5))

    run_virtually(work())


def test_a_source_that_is_in_trouble_while_its_jobs_are_out_costs_nothing(
    house: House, trouble: Callable[[House], Callable[[], None]]
) -> None:
    """Sent in the first run, not to be read in the second, in which their results come home; as
    before in the third.
    """

    async def work() -> None:
        house.put(**{f"n{number}": f"text {number}" for number in range(5)})
        await house.run(until=all_waiting(5))
        restore = trouble(house)
        await asyncio.sleep(HOUR)
        await house.run()
        restore()
        # nothing is at the service any more: what came home was kept
        await asyncio.sleep(24 * HOUR)
        tally = await house.run()
        assert tally["saved"] == 5
        assert house.paid() == 5
        assert all(digest_of(f"text {number}") in house.result(f"n{number}") for number in range(5))

    run_virtually(work())


def test_a_source_in_trouble_while_its_documents_are_queued_loses_none(
    house: House, trouble: Callable[[House], Callable[[], None]]
) -> None:
    """Found in the first run and not sent, not to be read in the second, sent once in the third."""

    async def work() -> None:
        house.limits = Limits(max_documents=1)
        house.put(**{f"n{number}": f"text {number}" for number in range(5)})
        await house.run()
        house.limits = Limits()
        restore = trouble(house)
        await asyncio.sleep(HOUR)
        await house.run()
        restore()
        await asyncio.sleep(HOUR)
        tally = await house.run()
        assert tally["saved"] == 5
        assert house.paid() == 5

    run_virtually(work())


@pytest.mark.parametrize("gone_for", [600.0, 24 * HOUR], ids=["still at the service", "gone there"])
def test_an_edit_that_is_taken_back_costs_nothing(house: House, gone_for: float) -> None:
    """The first result was replaced on disk, and kept."""

    async def work() -> None:
        house.put(a="first")
        assert await house.run() == {"saved": 1}
        house.put(a="second")
        await asyncio.sleep(gone_for)
        await house.run()
        assert digest_of("second") in house.result("a")
        house.put(a="first")
        await asyncio.sleep(gone_for)
        assert (await house.run())["saved"] == 1
        assert digest_of("first") in house.result("a")
        assert house.paid() == 2

    run_virtually(work())


async def saved_and_lost(house: House) -> None:
    """A document was saved as a; its bytes are called b by now, and its result is gone from the
    disk.
    """
    house.put(a="first")
    assert await house.run() == {"saved": 1}
    (house.inbox / "a.txt").rename(house.inbox / "b.txt")
    (house.out / "a.txt.json").unlink()


def test_a_result_that_is_gone_from_the_disk_is_asked_for_again_before_anybody_pays(
    house: House,
) -> None:
    """A person emptied the output; the bytes come back under another name while the service still
    has the job.
    """

    async def work() -> None:
        await saved_and_lost(house)
        await asyncio.sleep(600)
        assert (await house.run())["saved"] == 2
        assert digest_of("first") in house.result("b")
        assert house.paid() == 1

    run_virtually(work())


def test_a_result_that_is_nowhere_any_more_is_paid_for_again(house: House) -> None:
    """Neither on disk nor at the service: the document is wanted, and there is no other way."""

    async def work() -> None:
        await saved_and_lost(house)
        await asyncio.sleep(24 * HOUR)
        await house.run()
        assert digest_of("first") in house.result("b")
        assert house.paid() == 2

    run_virtually(work())


def test_a_copy_is_made_of_any_result_of_the_same_bytes(house: House) -> None:
    """The payer's own file was damaged since, a copy's wasn't."""

    async def work() -> None:
        house.put(a="same", b="same")
        assert await house.run() == {"saved": 2}
        (house.out / "a.txt.json").write_text("damaged")
        await asyncio.sleep(24 * HOUR)
        house.put(c="same")
        await house.run()
        assert digest_of("same") in house.result("c")
        assert house.paid() == 1

    run_virtually(work())


@pytest.mark.parametrize("fate", [State.EXPIRED, State.FAILED], ids=str)
def test_a_verdict_that_may_have_cost_something_isn_t_forgotten_with_its_source(
    house: House, fate: State
) -> None:
    """A file that is empty for a night must not become a way to pay without being asked."""

    async def work() -> None:
        if fate is State.FAILED:
            house.service.work = lambda job: (30.0, "DOCUMENT_CORRUPT")
        house.put(a="first")
        await house.run(until=all_waiting(1))
        await asyncio.sleep(24 * HOUR if fate is State.EXPIRED else HOUR)
        assert await house.run() == {str(fate): 1}
        restore = emptied(house)
        await asyncio.sleep(HOUR)
        await house.run()
        restore()
        await asyncio.sleep(HOUR)
        await house.run()
        assert len(house.service.jobs) == 1
        with LedgerReader.open(house.out) as records:
            (now,) = records.documents()
        assert now.state is State.FAILED
        assert now.reason is not None and now.reason.startswith(f"the same document {fate}")

    run_virtually(work())


def test_a_result_that_was_lost_does_not_hide_a_later_verdict(house: House) -> None:
    """Saved, its file deleted, paid for once more and then expired: nobody pays a third time
    unasked.
    """

    async def work() -> None:
        house.put(a="same")
        assert await house.run() == {"saved": 1}
        house.put(a="edited")
        await asyncio.sleep(24 * HOUR)
        await house.run()
        for path in house.out.rglob("*.json"):
            path.unlink()
        house.put(a="same")
        await asyncio.sleep(24 * HOUR)
        await house.run(until=lambda ledger: ledger.tally[State.WAITING] == 1)
        await asyncio.sleep(24 * HOUR)
        await house.run()  # expired meanwhile
        house.put(a="edited once more")
        await asyncio.sleep(HOUR)
        await house.run()
        paid = house.paid()
        house.put(a="same")
        await asyncio.sleep(HOUR)
        assert (await house.run())["failed"] == 1
        assert house.paid() == paid

    run_virtually(work())


# --- names that change ----------------------------------------------------------------------------


def exchange_names(house: House) -> None:
    """What was called a is b from now on, and the other way round."""
    a, b, spare = (house.inbox / name for name in ("a.txt", "b.txt", "spare"))
    a.rename(spare)
    b.rename(a)
    spare.rename(b)


def test_two_files_that_change_names_cost_nothing(house: House) -> None:
    """Each of the two results lies where the other is to go."""

    async def work() -> None:
        house.put(a="A", b="B")
        assert await house.run() == {"saved": 2}
        exchange_names(house)
        await asyncio.sleep(HOUR)
        assert (await house.run())["saved"] == 2
        assert (digest_of("B") in house.result("a"), digest_of("A") in house.result("b")) == (
            True,
            True,
        )
        assert house.paid() == 2

    run_virtually(work())


@pytest.mark.parametrize("files", [3, 20], ids=["few", "more than are taken in or copied at once"])
def test_a_rotation_costs_only_the_new_file(
    house: House, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """Yesterday's 1 is today's 2, and so on; each night is another day later, far beyond the
    retention.
    """
    # the real groups take hundreds of files to pass
    monkeypatch.setattr("batcher.stages.scanner.GROUP", 13)
    monkeypatch.setattr("batcher.stages.sink.GROUP", 6)

    async def work() -> None:
        house.put(**{f"r{number:03}": f"day {-number}" for number in range(files)})
        assert await house.run() == {"saved": files}
        for day in (1, 2):
            await asyncio.sleep(24 * HOUR)
            for number in range(files - 1, 0, -1):
                (house.inbox / f"r{number - 1:03}.txt").replace(house.inbox / f"r{number:03}.txt")
            house.put(r000=f"day {day}")
            assert (await house.run())["saved"] == files
            assert house.paid() == files + day
            assert all(
                digest_of(f"day {day - n}") in house.result(f"r{n:03}") for n in range(files)
            )

    run_virtually(work())


def test_names_that_change_while_jobs_are_out_cost_nothing(house: House) -> None:
    """Each job's result goes to the name that its bytes have by then."""

    async def work() -> None:
        house.put(a="A", b="B")
        await house.run(until=all_waiting(2))
        exchange_names(house)
        assert (await house.run())["saved"] == 2
        assert (digest_of("B") in house.result("a"), digest_of("A") in house.result("b")) == (
            True,
            True,
        )
        assert house.paid() == 2

    run_virtually(work())


# --- what is asked for now ------------------------------------------------------------------------


def asking(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The next runs' source is asked for in another way."""

    def manifest(**values: Any) -> Manifest:
        (source,) = values["sources"]
        return Manifest(**{**values, "sources": (replace(source, **changes),)})

    monkeypatch.setattr(house_module, "Manifest", manifest)


@pytest.mark.parametrize(
    "changes",
    [{"exclude": ("b*",)}, {"include": ("a*",)}, {"max_size": 10}],
    ids=["exclude", "include", "size"],
)
def test_only_what_is_asked_for_now_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """What an earlier run queued and nothing asks for by now is withdrawn and told; it comes back
    if asked for.
    """

    async def work() -> None:
        house.put(
            **{f"a{n}": f"a{n}" for n in range(3)}, **{f"b{n}": f"b{n} " * 20 for n in range(3)}
        )
        house.limits = Limits(max_documents=1)
        await house.run()
        house.limits = Limits()
        await asyncio.sleep(HOUR)
        with monkeypatch.context() as patch:
            asking(patch, **changes)
            tally = await house.run()
        assert tally["saved"] == 3
        assert not list(house.out.glob("b*.json"))
        assert [
            w
            for w in house.control.warnings
            if w.startswith("3 documents that an earlier run had queued")
        ]
        await asyncio.sleep(HOUR)
        assert (await house.run())["saved"] == 6
        assert house.paid() == 6

    run_virtually(work())


def test_a_job_that_fails_is_not_repeated_for_what_nobody_asks_for_any_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was out when the manifest changed, and another attempt might have gone well."""

    async def work() -> None:
        house.put(a="a", b="b")
        house.service.work = lambda job: (30.0, "TIMEOUT")
        await house.run(until=all_waiting(2))
        house.service.work = lambda job: (30.0, None)
        asking(monkeypatch, exclude=("b*",))
        async with asyncio.timeout(12 * HOUR):
            assert (await house.run()) == {"saved": 1, "superseded": 1}
        assert len(house.service.jobs) == 3

    run_virtually(work())


# --- two that differ are never one ----------------------------------------------------------------


def test_the_same_names_in_another_folder_are_other_documents(house: House, tmp_path: Path) -> None:
    """January's results stay where they are when February goes to the same output, and the other
    way round again.
    """

    async def work() -> None:
        house.put(a="january a", b="january b")
        assert await house.run() == {"saved": 2}
        january = house.inbox
        february = tmp_path / "february"
        february.mkdir()
        house.inbox = february
        house.put(a="february a", b="february b")
        await asyncio.sleep(HOUR)
        assert await house.run() == {"saved": 4}
        assert "of the same names" in " ".join(house.control.warnings) or "same names" in " ".join(
            house.control.warnings
        )
        house.inbox = january
        await asyncio.sleep(HOUR)
        assert await house.run() == {"saved": 4}
        assert house.paid() == 4
        assert (
            digest_of("january a") in house.result("a"),
            digest_of("january b") in house.result("b"),
        ) == (
            True,
            True,
        )
        there = "".join(path.read_text() for path in house.out.glob("*.json"))
        assert digest_of("february a") in there and digest_of("february b") in there

    run_virtually(work())


def test_an_inbox_that_is_moved_costs_nothing(house: House, tmp_path: Path) -> None:
    """The same bytes under the same names in another folder are the same documents."""

    async def work() -> None:
        house.put(a="a", b="b")
        assert await house.run() == {"saved": 2}
        house.inbox = house.inbox.rename(tmp_path / "elsewhere")
        await asyncio.sleep(HOUR)
        assert await house.run() == {"saved": 2}
        assert house.paid() == 2
        assert sorted(path.name for path in house.out.glob("*.json")) == [
            "a.txt.json",
            "b.txt.json",
        ]

    run_virtually(work())


def test_any_number_of_sources_may_have_the_same_names(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five folders with a file of the same name each: five results, and the same names for them in
    the next run.
    """

    async def work() -> None:
        folders = [house.inbox / f"s{number}" for number in range(5)]
        for folder in folders:
            folder.mkdir()
            (folder / "invoice.txt").write_text(folder.name)

        def manifest(**values: Any) -> Manifest:
            return Manifest(
                **{**values, "sources": tuple(Source(directory=folder) for folder in folders)}
            )

        monkeypatch.setattr(house_module, "Manifest", manifest)
        assert await house.run() == {"saved": 5}
        first = {path.name: path.read_text() for path in house.out.glob("*.json")}
        assert len(first) == 5
        for folder in folders:
            (folder / "invoice.txt").write_text(f"{folder.name}, edited")
        await asyncio.sleep(HOUR)
        assert (await house.run())["saved"] == 5
        assert {path.name for path in house.out.glob("*.json")} == set(first)
        there = "".join(path.read_text() for path in house.out.glob("*.json"))
        assert all(digest_of(f"{folder.name}, edited") in there for folder in folders)
        assert house.paid() == 10

    run_virtually(work())


def test_results_that_nobody_renews_any_more_are_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their step has another name by now; they are told of once their file has changed."""

    async def work() -> None:
        house.put(a="first", b="b")
        await house.run()

        def manifest(**values: Any) -> Manifest:
            return Manifest(**{**values, "jobs": (Job(name="read"),)})

        monkeypatch.setattr(house_module, "Manifest", manifest)
        assert await house.run() == {"saved": 4}
        assert not any("no longer has" in words for words in house.control.warnings)
        house.put(a="second")
        await house.run()
        told = [words for words in house.control.warnings if "no longer has" in words]
        assert len(told) == 1 and told[0].startswith("1 result ")
        assert "a.txt.json of parse" in told[0]

    run_virtually(work())


@pytest.mark.parametrize("first", ["url", "path"])
def test_a_listing_may_have_addresses_and_paths(first: str, house: House) -> None:
    """Whichever comes first: nothing is found anew in later runs, and an edited file is sent."""

    async def work() -> None:
        house.put(a="a")
        house.listing = house.inbox.parent / "docs.csv"
        rows = [",https://example.org/u.pdf\n", "inbox/a.txt,\n"]
        if first == "path":
            rows.reverse()
        house.listing.write_text("path,url\n" + "".join(rows))
        house.service.read_addresses = True
        assert await house.run() == {"saved": 2}
        for edited in (False, True, False):
            if edited:
                house.put(a="edited")
            await asyncio.sleep(HOUR)
            after = await house.run()
            assert house.control.exit_code == ExitCode.SUCCESS and after["saved"] == 2
        assert house.paid() == 3

    run_virtually(work())


def test_an_address_in_two_listings_with_other_options_is_two_documents(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is sent once, and neither takes the other's place."""

    async def work() -> None:
        listings = [house.inbox.parent / f"{name}.csv" for name in "ab"]
        for pages, listing in enumerate(listings, start=1):
            listing.write_text(
                f"url,options.settings.timeout\nhttps://example.org/u.pdf,{60 * pages}\n"
            )

        def manifest(**values: Any) -> Manifest:
            return Manifest(
                **{**values, "sources": tuple(Source(listing=listing) for listing in listings)}
            )

        monkeypatch.setattr(house_module, "Manifest", manifest)
        house.service.read_addresses = True
        for _ in range(3):
            assert await house.run() == {"saved": 2}
            await asyncio.sleep(HOUR)
        assert house.paid() == 2 and len(list(house.out.rglob("*.json"))) == 2

    run_virtually(work())


def test_a_file_and_a_folder_that_would_have_its_result_s_name_both_get_a_place(
    house: House,
) -> None:
    """a.txt's result is a.txt.json, which is a folder's name as well; whichever is found first."""

    async def work() -> None:
        for folder, file in (("a.txt.json", "a.txt"), ("z", "z.JSON")):
            (house.inbox / folder).mkdir()
            (house.inbox / folder / "b.txt").write_text(f"within {folder}")
            (house.inbox / file).with_suffix(".txt").write_text(file)
        assert await house.run() == {"saved": 4}
        assert len([path for path in house.out.rglob("*.json") if path.is_file()]) == 4

    run_virtually(work())
