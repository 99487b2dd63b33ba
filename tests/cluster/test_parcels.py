"""What a task reads and makes, as bytes, and where it is put."""

from __future__ import annotations

from pathlib import Path

import msgspec

from batcher.cluster.parcels import delivered, gathered, packed, taken, to_send, unpacked
from batcher.service.tasks import Task, TaskInput, Tools


def task_in(folder: Path, **more: object) -> Task:
    return Task(
        job_id="job",
        type="Parse",
        request={},
        sources=[TaskInput(str(folder / "a.txt"))],
        result=str(folder / "job.json"),
        attachments=str(folder / "job"),
        token="t",
        seconds=60,
        **more,  # type: ignore[arg-type]
    )


def test_what_a_hand_made_can_be_written_nowhere_else(tmp_path):
    """Its machine read a stranger's document: a name that leads out of the folder is ignored."""
    home = tmp_path / "home"
    home.mkdir()
    names = ("../escaped", "/tmp/escaped", "..", "a/../../escaped", "page-1.png")
    delivered(task_in(home), {"": b"{}", **dict.fromkeys(names, b"x")})
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "job.json",
        "page-1.png",
    ]


def test_an_earlier_result_travels_with_what_is_kept_apart_from_it(tmp_path):
    """A long result is a file of its own, which the hand finds in the same place beside it."""
    (tmp_path / "first.json").write_bytes(b"answer")
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "result.json").write_bytes(b"result")
    task = msgspec.structs.replace(
        task_in(tmp_path), sources=[TaskInput(str(tmp_path / "first.json"), job=True)]
    )
    files = packed(to_send(task, but_for=""))
    there = unpacked(task, files, tmp_path / "there", shares="", made=tmp_path / "made")
    answer = Path(there.sources[0].path)
    assert answer.read_bytes() == b"answer"
    assert (answer.with_suffix("") / "result.json").read_bytes() == b"result"


def test_a_folder_of_pipelines_travels_too(tmp_path):
    """With the schemas that its files name, and only for pipelines."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "mine.toml").write_text("about = 'x'")
    (recipes / "mine.json").write_text("{}")
    task = task_in(tmp_path, tools=Tools(pipelines=str(recipes)))
    assert [path.name for path in to_send(task, but_for="")] == ["a.txt"]
    task = msgspec.structs.replace(task, type="Pipeline")
    there = unpacked(
        task,
        packed(to_send(task, but_for="")),
        tmp_path / "there",
        shares="",
        made=tmp_path / "made",
    )
    assert {path.name for path in Path(there.tools.pipelines).iterdir()} == {
        "mine.toml",
        "mine.json",
    }


def test_what_the_node_sees_is_read_where_it_is(tmp_path):
    """It isn't sent; what is made is still kept apart until it is asked for."""
    task = task_in(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    assert to_send(task, but_for=str(tmp_path)) == []
    there = unpacked(task, {}, tmp_path / "there", shares=str(tmp_path), made=tmp_path / "made")
    assert there.sources == task.sources and there.result != task.result
    Path(there.result).write_bytes(b"{}")
    assert gathered(there) == {"": b"{}"}


def test_what_was_made_in_a_scratch_folder_is_taken_from_there(tmp_path):
    """Plain files alone: a link would show a file of this machine as a result."""
    task = task_in(tmp_path)
    made = tmp_path / "made"
    there = unpacked(task, {}, tmp_path / "there", shares=str(tmp_path), made=made)
    Path(there.result).write_bytes(b"{}")
    Path(there.attachments).mkdir()
    Path(there.attachments, "page-1.png").write_bytes(b"png")
    Path(there.attachments, "stolen").symlink_to("/etc/passwd")
    taken(task, made)
    assert Path(task.result).read_bytes() == b"{}"
    assert [path.name for path in Path(task.attachments).iterdir()] == ["page-1.png"]
    Path(task.result).unlink()
    (made / "result.json").symlink_to("/etc/passwd")
    taken(task, made)
    assert not Path(task.result).exists()
