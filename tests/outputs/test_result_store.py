"""Results on disk: whole or not there, inside the output directory, over nothing that isn't
ours.
"""

import errno
import hashlib
import os
import resource
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from batcher.common.names import elsewhere, output_name
from batcher.errors import OutputError
from batcher.outputs.result_store import Item, Store, Streamed, Written, concerns_one


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def store(root: Path) -> Store:
    return Store(root)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left_over(root: Path) -> list[str]:
    return names_in(root / ".batcher" / "parts")


@pytest.mark.parametrize("number", [1, 20])
def test_a_group_is_written_whole(number: int, store: Store, root: Path) -> None:
    """Few files are synced one by one, many by one sync of the file system; what is there is the
    same.
    """
    items = [Item(f"folder/{n}.pdf.json", f"result {n}".encode()) for n in range(number)]
    assert store.write_group(items) == [
        Written(i.output, digest(i.data), len(i.data)) for i in items
    ]
    assert {path.name: path.read_bytes() for path in (root / "folder").iterdir()} == {
        f"{n}.pdf.json": f"result {n}".encode() for n in range(number)
    }
    assert left_over(root) == []


def test_a_file_that_is_not_ours_keeps_its_place(store: Store, root: Path) -> None:
    """The result goes beside it under a name with a tag, and says so."""
    root.mkdir()
    (root / "a.json").write_text("somebody's notes")
    (written,) = store.write_group([Item("a.json", b"result")])
    assert isinstance(written, Written)
    assert written.output == f"a.{digest(b'result')[:8]}.json"
    assert (root / "a.json").read_text() == "somebody's notes"
    assert (root / written.output).read_bytes() == b"result"


def test_our_own_older_result_makes_way(store: Store, root: Path) -> None:
    """By its hash, which the ledger knows; and the same bytes again are no collision."""
    store.write_group([Item("a.json", b"old")])
    (newer,) = store.write_group([Item("a.json", b"new", frozenset({digest(b"old")}))])
    (again,) = store.write_group([Item("a.json", b"new")])
    assert newer == again == Written("a.json", digest(b"new"), 3)
    assert (root / "a.json").read_bytes() == b"new"


def test_no_link_leads_out_of_the_output(store: Store, root: Path, tmp_path: Path) -> None:
    """A folder that is a symbolic link is an error for that result alone, and nothing appears where
    it points.
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "b.json").symlink_to(outside / "b.json")
    escaped, linked, fine = store.write_group(
        [Item("folder/a.json", b"1"), Item("b.json", b"2"), Item("c.json", b"3")]
    )
    assert isinstance(escaped, OutputError)
    assert isinstance(linked, Written) and linked.output != "b.json"
    assert isinstance(fine, Written)
    assert names_in(outside) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "", ".batcher/ledger.db"]
)
def test_an_output_stays_inside_whatever_the_source_is_called(
    name: str, store: Store, root: Path
) -> None:
    """Neither above the output directory nor in batcher's own folder."""
    (written,) = store.write_group([Item(output_name(name), b"x")])
    assert isinstance(written, Written)
    path = (root / written.output).resolve()
    assert path.is_relative_to(root.resolve())
    assert ".batcher" not in path.relative_to(root.resolve()).parts


def test_the_longest_name_a_source_can_have_gets_a_result(store: Store, root: Path) -> None:
    """255 bytes and a suffix are too many for a file system; the name is cut and told apart by a
    hash.
    """
    names = ["x" * 255, "x" * 254 + "y", "é" * 127]
    written = store.write_group([Item(output_name(name), name.encode()) for name in names])
    assert all(isinstance(one, Written) for one in written)
    assert len(set(names_in(root)) - {".batcher"}) == 3


def test_a_disk_that_refuses_leaves_no_part(store: Store, root: Path) -> None:
    """What is too large for it fails alone, with what to do; the other result of the group is
    there.
    """
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        large, small = store.write_group(
            [Item("large.json", b"x" * 200_000), Item("small.json", b"y")]
        )
        assert isinstance(large, OutputError) and not concerns_one(large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert "run again" in str(large)
    assert isinstance(small, Written)
    assert names_in(root) == [".batcher", "small.json"]
    assert left_over(root) == []


def test_what_stands_in_the_way_of_one_result_is_in_no_other_s_way(
    store: Store, root: Path, tmp_path: Path
) -> None:
    """A stranger's file or link where its folder should be, a folder that can't be entered, a name
    that is too long: it gets another place and says so, and nothing of the stranger's is touched.
    """
    root.mkdir()
    (root / "file").write_text("notes")
    (root / "link").symlink_to(tmp_path)
    (root / "pipe").mkdir()
    os.mkfifo(root / "pipe" / "end")
    outputs = [
        "file/a.json",
        "file/deeper/a.json",
        "link/a.json",
        "pipe/end/a.json",
        "x" * 300 + "/a.json",
    ]
    outputs += ["y" * 256 + ".json", "/".join(["z" * 200] * 25) + ".json", "plain.json"]
    items = [Item(output, output.encode(), otherwise=elsewhere(output)) for output in outputs]
    written = [one.output for one in store.write_group(items) if isinstance(one, Written)]
    assert written == [
        *(elsewhere(output)[0] for output in outputs[:5]),
        *written[5:7],
        "plain.json",
    ]
    assert all(
        (root / output).read_bytes() == item.data
        for output, item in zip(written, items, strict=True)
    )
    assert (root / "file").read_text() == "notes"
    assert [store.digest(one) for one in written] == [digest(item.data) for item in items]
    again = store.write_group(items)
    assert [one.output for one in again if isinstance(one, Written)] == written
    assert left_over(root) == []


def test_what_takes_every_place_is_that_result_s_trouble_alone(store: Store, root: Path) -> None:
    """With what to do, and told from what a disk refuses all of them."""
    output = "a/b.json"
    data = b"result"
    for name in (*elsewhere(output), f"b.{digest(data)[:8]}.json"):
        (root / name).mkdir(parents=True)
    (root / "a" / "b.json").mkdir(parents=True)
    (root / "a" / f"b.{digest(data)[:8]}.json").mkdir()
    refused, fine = store.write_group(
        [Item(output, data, otherwise=elsewhere(output)), Item("c.json", b"x")]
    )
    assert isinstance(refused, OutputError) and concerns_one(refused)
    assert "move them away" in str(refused)
    assert isinstance(fine, Written)


@pytest.mark.parametrize("spare", [5, 20])
def test_few_open_files_are_enough_for_a_large_group(spare: int, store: Store, root: Path) -> None:
    """As many are written at a time as the process may have open; with too few for one, it says
    what to raise.
    """
    store.make_root()
    items = [Item(f"{n}.json", f"result {n}".encode()) for n in range(60)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(spare)]  # the lowest numbers that are
    for number in free:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, hard))
    try:
        written = store.write_group(items)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(free), hard))
        (refused,) = store.write_group([Item("one more.json", b"x")])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [one.output for one in written if isinstance(one, Written)] == [
        item.output for item in items
    ]
    assert isinstance(refused, OutputError) and "ulimit -n" in str(refused)
    assert left_over(root) == []


def test_what_a_crash_left_is_swept_away(store: Store, root: Path) -> None:
    """Parts are nobody's: the next run holds the ledger, so no other is at work."""
    store.write_group([Item("a.json", b"1")])
    (root / ".batcher" / "parts" / "0123").write_bytes(b"half a res")
    store.sweep()
    assert left_over(root) == []


def test_a_copy_is_made_only_of_what_was_saved(store: Store, root: Path) -> None:
    """Other bytes at that place, or none, and there is nothing to copy."""
    store.write_group([Item("a.json", b"result")])
    sha256 = digest(b"result")
    assert store.copy("a.json", "b.json", sha256=sha256, known=frozenset()) == Written(
        "b.json", sha256, 6
    )
    (root / "a.json").write_bytes(b"edited")
    with pytest.raises(FileNotFoundError):
        store.copy("a.json", "c.json", sha256=sha256, known=frozenset())


def test_threads_that_need_the_same_folder_at_once_all_get_it(tmp_path: Path) -> None:
    """The first large results of a run are streamed side by side, and none of them finds a folder
    there.
    """
    together = Barrier(4)

    def first_part(store: Store) -> Path:
        together.wait()
        return store.new_part()

    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            stores = [Store(tmp_path / f"{number}")] * 4
            assert len(set(threads.map(first_part, stores))) == 4


def modes_below(root: Path) -> dict[str, int]:
    """Of the root and all that is in it."""
    return {
        str(path.relative_to(root)): path.stat().st_mode & 0o7777
        for path in (root, *root.rglob("*"))
    }


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
@pytest.mark.parametrize(
    ("access", "file", "folder"), [("owner", 0o600, 0o700), ("group", 0o640, 0o750)]
)
def test_what_is_written_is_read_by_whom_it_is_for(
    access: str, file: int, folder: int, mask: int, tmp_path: Path, umask: Callable[[int], object]
) -> None:
    """Whatever the umask: written at once, streamed, copied, growing.

    Batcher's own folder is always its owner's.
    """
    umask(mask)
    root = tmp_path / "new" / "out"
    store = Store(root, access)
    store.write_group([Item("a/b.json", b"1")])
    part = store.new_part()
    part.write_bytes(b"2")
    store.write_group([Streamed("a/c.json", part, digest(b"2"), 1)])
    store.copy("a/b.json", "d/e.json", sha256=digest(b"1"), known=frozenset())
    store.begin("results.jsonl").write_bytes(b"{}")
    store.new_part()
    modes = modes_below(root)
    own = {name: modes.pop(name) for name in list(modes) if name.startswith(".batcher")}
    assert {own.pop(".batcher"), own.pop(".batcher/parts")} == {0o700} and set(own.values()) == {
        0o600
    }
    files = {name for name in modes if name.endswith((".json", ".jsonl"))}
    assert {name: modes[name] for name in files} == dict.fromkeys(files, file) and len(files) == 4
    assert {mode for name, mode in modes.items() if name not in files} == {folder}
    assert (tmp_path / "new").stat().st_mode & 0o777 == folder


def test_a_folder_that_was_there_keeps_its_mode_and_hands_down_its_group(
    store: Store, root: Path
) -> None:
    """A person made it so; a result that takes another's place is for the owner all the same."""
    (root / "a").mkdir(parents=True)
    root.chmod(0o2755)
    (root / "a").chmod(0o2775)
    (root / "a" / "b.json").write_bytes(b"old")
    (root / "a" / "b.json").chmod(0o644)
    Store(root, "group").write_group(
        [Item("a/b.json", b"new", frozenset({digest(b"old")})), Item("n/b.json", b"1")]
    )
    modes = modes_below(root)
    assert (modes["."], modes["a"], modes["a/b.json"], modes["n"]) == (
        0o2755,
        0o2775,
        0o640,
        0o2750,
    )


def test_a_copy_of_any_size_takes_no_memory(store: Store, root: Path) -> None:
    """It is streamed."""
    data = bytes(40 << 20)
    store.write_group([Item("a.json", data)])
    sha256 = digest(data)
    del data
    tracemalloc.start(1)
    try:
        store.copy("a.json", "b.json", sha256=sha256, known=frozenset())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20 and (root / "b.json").stat().st_size == 40 << 20
    assert left_over(root) == []


def test_what_a_newer_result_replaces_is_kept_and_can_be_copied(store: Store, root: Path) -> None:
    """An edit that is taken back finds its first result again, whatever stands in its place by
    now.
    """
    (first,) = store.write_group([Item("a.json", b"first")])
    assert isinstance(first, Written)
    store.write_group([Item("a.json", b"second", frozenset({first.sha256}))])
    again = store.copy("a.json", "b.json", sha256=first.sha256, known=frozenset())
    assert (again.sha256, (root / "b.json").read_bytes()) == (first.sha256, b"first")
    assert (root / "a.json").read_bytes() == b"second"


def test_a_file_system_without_links_keeps_what_is_replaced_too(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved there instead, just before the newer one takes its place."""

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    (first,) = store.write_group([Item("a.json", b"first")])
    assert isinstance(first, Written)
    store.write_group([Item("a.json", b"second", frozenset({first.sha256}))])
    store.copy("a.json", "b.json", sha256=first.sha256, known=frozenset())
    assert ((root / "a.json").read_bytes(), (root / "b.json").read_bytes()) == (b"second", b"first")


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_result_that_can_t_be_read_just_now_isn_t_taken_for_gone(
    code: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes it for gone pays for it again."""
    (first,) = store.write_group([Item("a.json", b"first")])
    assert isinstance(first, Written)
    healthy = os.open

    def sick(path: object, flags: int, *more: int, **how: int) -> int:
        if path == b"a.json":
            raise OSError(code, os.strerror(code))
        return healthy(path, flags, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", sick)
    with pytest.raises(OutputError):
        store.copy("a.json", "b.json", sha256=first.sha256, known=frozenset())
