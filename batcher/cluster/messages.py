"""The messages between a service and its foreman, one JSON line each.

Both sides import this module, so it knows neither processes nor Ray.
"""

from __future__ import annotations

from typing import Final

import msgspec

from batcher.cluster.file_tasks import FileReport, FileTask, StoredFile
from batcher.service.tasks import Reply, Report, Task

# Bytes of a message; a question for a model holds the document's text.
LONGEST_LINE = 64 << 20

# Seconds without a word after which a foreman is taken for stuck. Ray itself ends it after 60.
SILENCE: Final = 90.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster, and what to borrow there: the foreman's first line.

    `address` is one of Ray's, `auto`, or `local` for a cluster of this machine alone. `hands` is
    the most there may be; 0: as many as the cluster has room for. Each takes `cpus`, `memory` in
    bytes, and `resources` by name. `parser` is the module that reads documents. `shared` is the
    folder that holds them: nodes that see it read them there, others are sent them. `grace` is how
    many seconds a node may be silent beyond the time that its task is allowed.

    Without a `parser`, hands move files: those that see the folders of all `landmarks`. `trust` are
    certificates, as text, that they trust besides the system's.
    """

    address: str = "auto"
    hands: int = 0
    cpus: float = 1
    memory: int = 0
    resources: dict[str, float] = {}
    parser: str = ""
    shared: str = ""
    landmarks: list[StoredFile] = []
    trust: str = ""
    grace: float = 30.0


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """To the foreman: a task with its seconds, the reply to its question, or its end.

    Or a file's task, which has no questions and isn't ended.
    """

    call: int
    task: Task | None = None
    seconds: float = 0
    reply: Reply | None = None
    cancel: bool = False
    file: FileTask | None = None


class NodeFigures(msgspec.Struct, frozen=True):
    """What the hands of a node have done; for `seconds` at least one of them was at it.

    `sees_folder`: they read documents where the service keeps them, and are not sent any. `hashed`
    and `uploaded` are files, and `bytes` those that were uploaded.
    """

    address: str
    hands: int = 0
    documents: int = 0
    pages: int = 0
    seconds: float = 0.0
    sees_folder: bool = False
    hashed: int = 0
    uploaded: int = 0
    bytes: int = 0

    @property
    def pages_per_second(self) -> float:
        """The pages of a second in which it read; 0 before its first."""
        return self.pages / self.seconds if self.seconds else 0.0


class Standing(msgspec.Struct, frozen=True):
    """The hands there are, and how many were lost with how many nodes.

    `refused` says, in a sentence each, why hands of some nodes can't be used. `for_files`: they
    read no documents, but hash and upload files.
    """

    hands: int = 0
    nodes: list[NodeFigures] = []
    lost_hands: int = 0
    lost_nodes: int = 0
    refused: list[str] = []
    for_files: bool = False


class Trouble(msgspec.Struct, frozen=True):
    """Why the foreman ends, in a sentence for people; another one may do better."""

    message: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """From the foreman: a task's stage, question or end; or how the cluster is."""

    call: int = 0
    report: Report | None = None
    file: FileReport | None = None
    standing: Standing | None = None
    trouble: Trouble | None = None


class Reading(msgspec.Struct, frozen=True):
    """To a hand: a task, with the `seconds` that it may take.

    `made` is a folder that the foreman sees, for what the hand makes; if empty, that is returned.
    """

    task: Task
    seconds: float
    made: str = ""


class Ready(msgspec.Struct, frozen=True):
    """What a hand says of itself before its first task.

    `sees_folder`: the folder of the service's documents is there, and is the same one. `unseen` is
    a folder of files that isn't.
    """

    node: str
    address: str
    version: str
    sees_folder: bool = False
    unseen: str = ""
