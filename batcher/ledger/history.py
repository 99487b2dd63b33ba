"""The full history of one document: every version, with its attempts and events.

It returns rows and formats nothing.
"""

from __future__ import annotations

import os
import posixpath
import sqlite3
from pathlib import Path
from typing import Any

from batcher.common.names import as_text, name_of
from batcher.errors import BatcherError


def story(connection: sqlite3.Connection, path: str) -> list[dict[str, Any]]:
    """Return every version of the document at `path` with its attempts, duplicate jobs and events.

    They are ordered by step, newest version first. `path` is the name of the document in the batch,
    or else the path of its source file or of its result. Raises BatcherError if there is no such
    document.
    """
    asked = as_text(path)
    rows = _rows(connection, _VERSIONS.format("d.source = ?"), asked) or _rows(
        connection, _LYING_THERE, *_elsewhere(path)
    )
    if not rows:
        near = _rows(
            connection,
            "SELECT source FROM documents WHERE source LIKE ? LIMIT 3",
            f"%{asked.rpartition('/')[2]}%",
        )
        hint = f"; near it: {', '.join(row['source'] for row in near)}" if near else ""
        raise BatcherError(f"{asked}: the ledger knows no such document{hint}")
    for row in rows:
        _add_story(connection, row)
    return rows


def story_of(connection: sqlite3.Connection, document: int) -> list[dict[str, Any]]:
    """Return what `story` does of one document, by its number: of all its steps as they are now.

    Of older versions only this one is among them, and those whose result had the same name. It
    reads no more of a large ledger than that. It is empty if there is no such document.
    """
    rows = _rows(connection, _BESIDE, document)
    for row in rows:
        _add_story(connection, row)
    return rows


def _add_story(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    row["attempts"] = _rows(
        connection, "SELECT * FROM attempts WHERE document = ? ORDER BY number", row["id"]
    )
    row["twins"] = _rows(
        connection, "SELECT * FROM twins WHERE document = ? ORDER BY found_at", row["id"]
    )
    row["events"] = _rows(
        connection, "SELECT at, event, state, detail FROM events WHERE document = ?", row["id"]
    )


# A step is listed before the steps that read its results.
_VERSIONS = """
    SELECT d.*, payer.source AS paid_by
    FROM documents d LEFT JOIN documents payer ON payer.id = d.payer
    WHERE {} ORDER BY min(d.id) OVER (PARTITION BY d.job), d.id DESC"""
_BESIDE = """
    WITH this AS (SELECT source, folder, output FROM documents WHERE id = ?1),
    those(id) AS (
        SELECT ?1
        UNION
        SELECT o.id FROM this JOIN documents o INDEXED BY one_current
            ON o.current = 1 AND o.source = this.source AND o.folder = this.folder
        UNION
        SELECT o.id FROM this JOIN documents o INDEXED BY by_output
            ON o.output = this.output AND o.output_sha256 IS NOT NULL AND o.source = this.source)
    SELECT d.*, payer.source AS paid_by
    FROM those JOIN documents d ON d.id = those.id LEFT JOIN documents payer ON payer.id = d.payer
    ORDER BY min(d.id) OVER (PARTITION BY d.job), d.id DESC"""
_LYING_THERE = _VERSIONS.format(
    "d.source = ?1 OR d.output = ?1 OR d.folder || '/' || coalesce(d.place, d.source) = ?2"
)


def _elsewhere(path: str) -> tuple[str, str]:
    """Return other names that a path may stand for which a shell has completed.

    The first is the path without a leading `./`, the second the absolute path of the file.
    """
    typed = posixpath.normpath(path)
    full = Path.cwd() / path
    return name_of(os.fsencode(typed)), posixpath.normpath(name_of(os.fsencode(full)))


def _rows(connection: sqlite3.Connection, sql: str, *values: object) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
