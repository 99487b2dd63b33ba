"""Removes data of jobs and uploads from a service's folder while no service runs on it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from batcher.service.answers import ApiError
from batcher.service.database import Database
from batcher.service.faults import Chaos
from batcher.service.folder import DATABASE, held
from batcher.service.jobs import Jobs
from batcher.service.results import Results
from batcher.service.uploads import Uploads, upload_id_of


class DataFolder:
    """The data of a service; `retention` is in seconds, as the service itself has it."""

    def __init__(self, folder: Path, *, retention: float) -> None:
        self._folder = folder
        self._retention = retention
        self._results = Results(folder / "results")

    def files(self, jobs: Sequence[str], uploads: Sequence[str]) -> list[Path]:
        """Return the files of these jobs and uploads, given by file id, that are there."""
        found: list[Path] = []
        for job in jobs:
            found.append(self._results.path(job))
            linked = self._results.attachments(job)
            found += linked.iterdir() if linked.is_dir() else ()
        names = filter(None, map(upload_id_of, uploads))
        found += [self._folder / "uploads" / name for name in names]
        return [path for path in found if path.is_file() and not path.is_symlink()]

    async def forget(self, jobs: Sequence[str], uploads: Sequence[str]) -> None:
        """Remove these jobs and uploads, and all that has expired.

        Raises PlaceUnusable while a service uses the folder.
        """
        async with held(self._folder):
            with Database(self._folder / DATABASE) as database:
                known = Jobs(
                    database, clock=time.time, chaos=Chaos({}, 0), retention=self._retention
                )
                files = Uploads(database, self._folder / "uploads", clock=time.time)
                for job in jobs:
                    await database.write(("DELETE FROM jobs WHERE job_id = ?", (job,)))
                for job in (*jobs, *await known.forget_expired()):
                    self._results.remove(job)
                for upload in uploads:
                    with suppress(ApiError):  # it has expired
                        await files.delete(upload)
                await files.forget_expired()
            with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
                connection.execute("VACUUM")
