"""The files of a task: as bytes to and from a node that doesn't see where they are kept.

Such a hand keeps them in a folder of its own, below which each has the path that it has at home.
One that sees them reads them there, and writes what it makes into a scratch folder beside them, for
this task alone: the foreman takes it from there, so that what a lost hand writes late goes nowhere.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from batcher.reducto.api_types import JobType
from batcher.service.rendering import write_whole
from batcher.service.tasks import Task, TaskInput

T = TypeVar("T")
Files = dict[str, bytes]


class Parcel(msgspec.Struct, frozen=True):
    """A message to or from a hand, as JSON, with the files that it speaks of.

    It goes as one value of bytes, which Ray sends as they are: four values of other types made a
    call a third dearer.
    """

    message: bytes
    files: Files = {}


PARCEL: Final = msgspec.msgpack.Decoder(Parcel)


def sealed(message: object, files: Files) -> bytes:
    """Return the parcel's bytes, for `opened`."""
    return msgspec.msgpack.encode(Parcel(msgspec.json.encode(message), files))


def opened(content: bytes, kind: type[T]) -> tuple[T, Files]:
    """Return a parcel's message and files."""
    parcel = PARCEL.decode(content)
    return msgspec.json.decode(parcel.message, type=kind), parcel.files


RESULT_FILE: Final = "result.json"
ATTACHMENTS: Final = "attachments"
SCRATCH: Final = ".made-by-hands"  # in the folder that both see
# The name of the result itself among what comes back; attachments have names of their own.
RESULT: Final = ""


def to_send(task: Task, *, but_for: str) -> list[Path]:
    """Return the files that the task reads, without those in the folder `but_for`."""
    return [path for path in _inputs(task) if not (but_for and path.is_relative_to(but_for))]


def packed(paths: Iterable[Path]) -> Files:
    """Return the files by their paths. One that is gone is left out: who reads it will say so."""
    files = {}
    for path in paths:
        with suppress(OSError):
            files[str(path)] = path.read_bytes()
    return files


def _inputs(task: Task) -> Iterator[Path]:
    for source in task.sources:
        path = Path(source.path)
        yield path
        if source.job:  # a long result is kept apart from its answer
            yield path.with_suffix("") / "result.json"
    if task.tools.pipelines and task.type == JobType.PIPELINE:
        folder = Path(task.tools.pipelines)
        yield from (path for path in folder.rglob("*") if path.suffix in {".toml", ".json"})


def unpacked(
    task: Task, files: Mapping[str, bytes], folder: Path, *, shares: str, made: Path
) -> Task:
    """Write the files below `folder`, and return the task with its paths there.

    Those in the folder `shares` are read where they are. What is made goes into the folder `made`.
    """
    for path, content in files.items():
        place = below(folder, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    made.mkdir(mode=0o700, parents=True)
    tools = task.tools
    if tools.pipelines:
        tools = msgspec.structs.replace(tools, pipelines=str(below(folder, tools.pipelines)))
    return msgspec.structs.replace(
        task,
        sources=[_moved(source, folder, shares) for source in task.sources],
        result=str(made / RESULT_FILE),
        attachments=str(made / ATTACHMENTS),
        tools=tools,
    )


def _moved(source: TaskInput, folder: Path, shares: str) -> TaskInput:
    if shares and Path(source.path).is_relative_to(shares):
        return source
    return msgspec.structs.replace(source, path=str(below(folder, source.path)))


def below(folder: Path, path: str) -> Path:
    """Return where the file of this path is kept below the folder."""
    return folder / "given" / path.lstrip("/")


def gathered(task: Task) -> Files:
    """Return what the task has written, by name."""
    files = {}
    result = Path(task.result)
    if result.exists():
        files[RESULT] = result.read_bytes()
    attachments = Path(task.attachments)
    if attachments.is_dir():
        files |= {path.name: path.read_bytes() for path in attachments.iterdir()}
    return files


def delivered(task: Task, files: Mapping[str, bytes]) -> None:
    """Write what a hand has made to where the task wants it, the result last.

    All of it is durable on return. A name with a path in it is ignored: the hand's machine read a
    stranger's document, and may not choose where this one writes.
    """
    attachments = Path(task.attachments)
    for name, content in files.items():
        if name == RESULT or Path(name).name != name or name == "..":
            continue
        attachments.mkdir(mode=0o700, exist_ok=True)
        write_whole(attachments / name, content)
    if RESULT in files:
        write_whole(Path(task.result), files[RESULT])


def taken(task: Task, made: Path) -> None:
    """Move what a hand has made, in a folder that both see, to where the task wants it.

    It is durable already. What is no plain file is ignored, as in `delivered`.
    """
    attachments = Path(task.attachments)
    there = made / ATTACHMENTS
    for path in there.iterdir() if there.is_dir() else ():
        if _is_plain(path):
            attachments.mkdir(mode=0o700, exist_ok=True)
            path.replace(attachments / path.name)
    if _is_plain(made / RESULT_FILE):
        (made / RESULT_FILE).replace(task.result)


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
