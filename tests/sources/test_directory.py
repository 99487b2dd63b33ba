"""A tree as people leave it: links that go round, pipes, names in any bytes, files that are still
growing.
"""

import json
import os
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.common.names import path_of
from batcher.errors import ManifestError, SourceChangedError, SourceGoneError, SourceUnreadableError
from batcher.manifest.loading import for_directory
from batcher.manifest.model import Source
from batcher.reducto.api_types import HOSTED_TYPES
from batcher.sources import directory
from batcher.sources.directory import Found, facts, moment, walk
from batcher.sources.left_out import LeftOut, Reason

NOW = 1_800_000_000.0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def found(
    tree: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> dict[str, Found]:
    source = Source(directory=tree, include=include, exclude=exclude)
    return {one.name: one for one in walk(source, skip=tree / "out", types=HOSTED_TYPES, now=NOW)}


def test_files_of_known_types_are_found_in_order_of_name(tree: Path) -> None:
    """In every folder; hidden ones, unknown types and our own output are left out."""
    for name in (
        "b.pdf",
        "a.txt",
        "deep/er/c.PDF",
        ".hidden.pdf",
        ".git/d.pdf",
        "notes.xyz",
        "out/e.pdf",
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert list(found(tree)) == ["a.txt", "b.pdf", "deep/er/c.PDF"]


def test_patterns_are_those_of_gitignore(tree: Path) -> None:
    """Of the manifest, and of ignore files, which count from their own folder down."""
    for name in (
        "keep.pdf",
        "drafts/a.pdf",
        "deep/drafts/b.pdf",
        "deep/skip.pdf",
        "deep/keep.pdf",
        "skip.pdf",
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tree / "deep" / ".batcherignore").write_text("skip.*\n")
    assert list(found(tree, exclude=("**/drafts/**",))) == ["deep/keep.pdf", "keep.pdf", "skip.pdf"]
    assert list(found(tree, include=("deep/*.pdf",))) == ["deep/keep.pdf"]


def test_the_nearest_ignore_file_that_says_anything_counts(tree: Path) -> None:
    """As git has it: one deeper down takes in again what one above leaves out, unless its whole
    folder is left out.
    """
    for name in (
        "a.pdf",
        "deep/a.pdf",
        "deep/b.pdf",
        "deep/er/a.pdf",
        "deep/er/c.pdf",
        "gone/a.pdf",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    (tree / ".batcherignore").write_bytes(b"*.pdf\r\ngone/\r\n")
    (tree / "deep" / ".batcherignore").write_text("!a.pdf\n!c.pdf\n")
    (tree / "deep" / "er" / ".batcherignore").write_text("# only this\na.*\n")
    (tree / "gone" / ".batcherignore").write_text("!a.pdf\n")
    assert list(found(tree)) == ["deep/a.pdf", "deep/er/c.pdf"]
    assert list(found(tree, exclude=("c.pdf",))) == ["deep/a.pdf"]


@pytest.mark.parametrize("pattern", ["\\", "!"])
def test_a_pattern_that_means_nothing_is_told_with_its_place(tree: Path, pattern: str) -> None:
    """Of an ignore file, and of a manifest before anything is looked at."""
    (tree / ".batcherignore").write_text(f"*.tmp\n{pattern}\n")
    with pytest.raises(SourceUnreadableError, match=r"\.batcherignore: .* is no pattern"):
        found(tree)
    for key in ("include", "exclude"):
        with pytest.raises(ManifestError, match=f"source.{key}: .* is no pattern"):
            for_directory(
                tree,
                tree.parent / "out",
                overrides=[f"source.{key}={json.dumps(['*.pdf', pattern])}"],
            )


@pytest.mark.parametrize("pattern", ["**/*.pdf", "*.PDF", "/scan.pdf", "*.p?f", "*.pdf  "])
def test_the_extension_of_a_pattern_is_meant_in_any_case(tree: Path, pattern: str) -> None:
    """As types are: scanners write SCAN.PDF, or what was to be left out is sent.

    The rest of a name is as it is.
    """
    for name in ("scan.PDF", "scan.pdf", "scan.Pdf", "scan.txt"):
        (tree / name).write_text("x")
    assert list(found(tree, include=(pattern,))) == ["scan.PDF", "scan.Pdf", "scan.pdf"]
    assert list(found(tree, exclude=(pattern,))) == ["scan.txt"]
    (tree / ".batcherignore").write_text(pattern)
    assert list(found(tree)) == ["scan.txt"]
    assert list(found(tree, include=("SCAN.pdf",))) == []


def test_nothing_is_left_out_in_silence(tree: Path) -> None:
    """Each file and folder that isn't taken is counted once, under its reason."""
    here = {
        Reason.TYPE: ["a.tex", "b.TEX", "Makefile", "link.tex"],
        Reason.LOCK: ["~$letter.docx", "Thumbs.db", "DESKTOP.INI"],
        Reason.HIDDEN: [".a.pdf", ".~lock.letter.odt#", ".git/x.pdf"],
        Reason.EXCLUDED: ["no.pdf", "drafts/a.pdf", "drafts/b.pdf"],
        Reason.IGNORED: ["ignored.pdf"],
        Reason.SMALL: ["small.pdf"],
    }
    for name in ("good.pdf", *(name for names in here.values() for name in names)):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("x" if name == "small.pdf" else "xx")
    (tree / ".batcherignore").write_text("ignored.pdf")
    (tree / "link.tex").unlink()
    (tree / "link.tex").symlink_to(tree / "good.pdf")
    (tree / "round").symlink_to(tree)
    left = LeftOut()
    source = Source(directory=tree, exclude=("no.*", "drafts"), min_size=2)
    taken = [
        one.name for one in walk(source, skip=tree / "out", types=HOSTED_TYPES, now=NOW, left=left)
    ]
    assert taken == ["good.pdf"] and left.taken == 1
    counts = {reason: len(names) for reason, names in here.items()} | {
        Reason.LINK: 1,
        Reason.EXCLUDED: 2,
    }
    assert left.counts == counts
    assert left.extensions == {"tex": 3, "": 1}
    assert left.examples[Reason.LINK] == "round"


def test_what_is_no_regular_file_gets_a_verdict_and_is_never_opened(tree: Path) -> None:
    """A pipe would be waited on for ever, and a link may lead anywhere."""
    os.mkfifo(tree / "pipe.pdf")
    (tree / "loop.pdf").symlink_to("loop.pdf")
    (tree / "away.pdf").symlink_to("/etc/hostname")
    (tree / "round").symlink_to(tree)
    (tree / "empty.pdf").touch()
    problems = {name: one.problem for name, one in found(tree).items()}
    assert problems == {
        "away.pdf": "unsupported",
        "empty.pdf": "unreadable",
        "loop.pdf": "unsupported",
        "pipe.pdf": "unsupported",
    }
    for name in ("pipe.pdf", "loop.pdf", "away.pdf"):
        with pytest.raises(SourceUnreadableError):
            directory.digest(tree / name)


def test_names_in_any_bytes_lead_back_to_their_files(tree: Path) -> None:
    """Not UTF-8, line breaks, backslashes, 255 bytes: what is found can be read by the name it was
    given.
    """
    raws = [
        b"caf\xe9.pdf",
        b"two\nlines.pdf",
        b"back\\slash.pdf",
        "Übergröße.pdf".encode(),
        b"x" * 251 + b".pdf",
    ]
    for raw in raws:
        Path(os.fsdecode(os.fsencode(tree) + b"/" + raw)).write_bytes(raw)
    names = list(found(tree))
    assert sorted(path_of(name) for name in names) == sorted(raws)
    for name in names:
        assert directory.read(tree / os.fsdecode(path_of(name)), limit=1000) == path_of(name)


def test_a_file_is_what_it_was_or_an_error(tree: Path) -> None:
    """Gone, or changed while it was read."""
    with pytest.raises(SourceGoneError):
        directory.digest(tree / "nobody.pdf")
    path = tree / "growing.pdf"
    path.write_bytes(b"x" * 100)
    with pytest.raises(SourceChangedError):
        directory.read(path, limit=50)


def test_a_folder_that_cannot_be_listed_is_told(tree: Path) -> None:
    """With the reason; a folder that went away meanwhile is simply not there."""
    (told,) = walk(
        Source(directory=tree / "nowhere"), skip=tree / "out", types=HOSTED_TYPES, now=NOW
    )
    assert (told.name, told.problem) == (".", "unreadable")
    (tree / "a.pdf").write_text("x")
    (tree / "gone").mkdir()
    walking = walk(Source(directory=tree), skip=tree / "out", types=HOSTED_TYPES, now=NOW)
    assert next(walking).name == "a.pdf"
    (tree / "gone").rmdir()
    assert list(walking) == []


def test_sizes_and_ages_are_filters(tree: Path) -> None:
    """Each bound alone, and both."""
    for name, size, age in (("small.pdf", 10, 5), ("large.pdf", 3000, 5), ("old.pdf", 100, 500)):
        (tree / name).write_bytes(b"x" * size)
        os.utime(tree / name, (NOW - age * 86400, NOW - age * 86400))

    def taken(**filters: float) -> set[str]:
        source = Source(directory=tree, include=("/small.pdf", "/large.pdf", "/old.pdf"), **filters)  # type: ignore[arg-type]
        return {
            found.name for found in walk(source, skip=tree / "out", types=HOSTED_TYPES, now=NOW)
        }

    assert taken(min_size=11) == {"large.pdf", "old.pdf"}
    assert taken(max_size=2999) == {"small.pdf", "old.pdf"}
    assert taken(newer_than=30 * 86400.0) == {"small.pdf", "large.pdf"}
    assert taken(older_than=30 * 86400.0) == {"old.pdf"}
    assert taken(min_size=11, newer_than=30 * 86400.0) == {"large.pdf"}


@pytest.mark.parametrize("year", [1969, 2400])
def test_a_file_of_any_time_is_known_again(tree: Path, year: int) -> None:
    """A ledger holds 64 bits: what lies beyond stays as far away, and another time there is another
    time.
    """
    (tree / "a.pdf").write_text("x")
    seconds = (year - 1970) * 31_556_952
    times = []
    for late in (0, 1, 86_400):
        os.utime(tree / "a.pdf", (seconds + late, seconds + late))
        times.append(found(tree)["a.pdf"].mtime_ns)
    assert len(set(times)) == 3
    assert all((time > NOW * 1e9) is (year > 2100) for time in times)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert [connection.execute("SELECT ?", (time,)).fetchone()[0] for time in times] == times


@given(st.lists(st.integers(0, 2**64 - 1), unique=True), st.integers(-(2**70), 2**70))
def test_what_tells_a_file_fits_into_a_ledger(inodes: list[int], ns: int) -> None:
    """Inodes of all 64 bits, each still one of its own; times however far."""
    folded = [
        facts(os.stat_result((0, inode, *[0] * 8), {"st_mtime_ns": ns}))[2] for inode in inodes
    ]
    assert len(set(folded)) == len(inodes)
    assert all(-(2**63) <= number < 2**63 for number in (*folded, moment(ns)))


def test_a_wide_folder_is_walked_whole_and_never_held(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More names than are put in order together; memory doesn't grow with them."""
    monkeypatch.setattr("batcher.sources.directory.SORTED", 1_000)
    wide = tree / "wide"
    wide.mkdir()
    for number in range(5_000):
        (wide / f"{number:05}.pdf").touch()
    tracemalloc.start()
    try:
        source = Source(directory=wide)
        found = sum(1 for _ in walk(source, skip=tree / "out", types=HOSTED_TYPES, now=NOW))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 5_000
    assert peak < 200_000, "1,000 names are in memory, not 5,000"


def test_a_few_files_are_found_quickly(tmp_path: Path) -> None:
    """By which another machine sees whether it has the same folder: no hidden ones, no links."""
    assert directory.some_files(tmp_path / "gone", 3) == []
    (tmp_path / "below").mkdir()
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / ".hidden")
    (tmp_path / "below" / "a.txt").write_text("a letter")
    (found,) = directory.some_files(tmp_path, 3)
    assert (found.name, found.size) == ("below/a.txt", 8)
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("a letter")
    assert len(directory.some_files(tmp_path, 3)) == 3
