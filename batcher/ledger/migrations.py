"""The migrations that make up the ledger's schema. Each runs once, in its own transaction.

The names of tables, views and columns are a contract: people read them with Datasette and other
tools.
"""

from __future__ import annotations

from typing import Final

from batcher.core.reasons import error_name_in
from batcher.ledger.schema import APPLICATION_ID, VERSION
from batcher.ledger.sqlite_tools import Database, Migrations

__all__ = ["APPLICATION_ID", "VERSION", "migrations"]

migrations: Final = Migrations("batcher")


@migrations()
def tables(db: Database) -> None:
    db.create_table("meta", {"key": str, "value": str}, pk="key", strict=True)
    db.create_table(
        "documents",
        {
            "id": int,
            "source": str,  # path below `folder`, as common.names writes it
            "folder": str,
            "job": str,
            "step": str,
            # sha256 of the bytes and the file's extension; null if it couldn't be read
            "content": str,
            "size": int,
            "mtime_ns": int,
            "inode": int,
            "state": str,
            "current": int,  # 0 if a newer version has superseded it
            "payer": int,  # the document with the same bytes and step that pays for this one
            "due_at": float,
            "tries": int,
            "paid": int,  # attempts that the service accepted since a person last requeued it
            "reason": str,
            "kind": str,
            "file_id": str,
            "uploaded_at": float,
            "output": str,
            "output_key": str,
            "output_sha256": str,
            "output_size": int,
        },
        pk="id",
        not_null={
            "source",
            "folder",
            "job",
            "step",
            "size",
            "state",
            "current",
            "due_at",
            "tries",
            "paid",
            "output",
        },
        defaults={"current": 1, "due_at": 0.0, "tries": 0, "paid": 0, "size": 0},
        strict=True,
    )
    db.create_table(
        "attempts",
        {
            "document": int,
            "number": int,
            "nonce": str,
            "file_id": str,
            "service": str,
            "key_print": str,
            "content": str,
            "step": str,
            "outcome": str,  # open, accepted, saved, void, lost
            "why": str,
            "cost": float,  # in credits; an estimate until the service has billed it
            "sent_at": float,
            "fenced_at": float,
            "job_id": str,
            "accepted_at": float,
            "deadline_at": float,
            "ended_at": float,
            "pages": int,
            "credits": float,
        },
        pk=("document", "number"),
        not_null={"nonce", "service", "key_print", "content", "step", "outcome", "cost", "sent_at"},
        foreign_keys=[("document", "documents", "id")],
        strict=True,
    )
    db.create_table(
        "events",
        {"seq": int, "at": float, "document": int, "event": str, "state": str, "detail": str},
        pk="seq",
        strict=True,
    )
    db.create_table(
        "runs",
        {
            "id": int,
            "started_at": float,
            "ended_at": float,
            "version": str,
            "service": str,
            "exit_code": int,
            "summary": str,
        },
        pk="id",
        strict=True,
    )
    db.create_table(
        "proofs",
        {"service": str, "key_print": str, "proof": str, "proven_at": float},
        pk=("service", "key_print", "proof"),
        strict=True,
    )


@migrations()
def indexes(db: Database) -> None:
    for statement in _INDEXES:
        db.execute(statement)


@migrations()
def views(db: Database) -> None:
    for name, query in _VIEWS.items():
        db.create_view(name, query)


@migrations()
def the_same_bytes(db: Database) -> None:
    """Any document with the same bytes may pay or be copied.

    That includes copies, and older versions with a job in flight.
    """
    db.execute("DROP INDEX payers")
    db.execute("CREATE INDEX same_bytes ON documents(content, step)")


@migrations()
def derived(db: Database) -> None:
    """A table of what was made from saved results.

    It may be emptied at any time: all of it is made again, at no cost.
    """
    db.create_table(
        "derived",
        {
            "document": int,
            "format": str,  # images, markdown, jsonl, parquet
            "result_sha256": str,  # of the result that it was made from
            "file": str,
            "start": int,  # byte offset of its line, where many documents share a file
            "size": int,  # bytes; for images, how many there are
            "sha256": str,
            "note": str,  # what couldn't be made of it
        },
        pk=("document", "format"),
        not_null={"result_sha256", "file", "start", "size"},
        foreign_keys=[("document", "documents", "id")],
        strict=True,
    )
    db.execute("CREATE INDEX derived_files ON derived(file)")


@migrations()
def chains(db: Database) -> None:
    """Columns for steps that follow others, and for what a listing says about a document."""
    for statement in _CHAINS:
        db.execute(statement)


@migrations()
def bills(db: Database) -> None:
    """An index by which settled attempts are summed up without reading a million rows."""
    db.execute(
        "CREATE INDEX bills ON attempts(outcome, cost, credits, pages) WHERE outcome IN ('saved', "
        "'lost', 'void')"
    )


@migrations()
def twins(db: Database) -> None:
    """A table of duplicate jobs: jobs that an audit found beside the one that an attempt holds."""
    db.create_table(
        "twins",
        {
            "service": str,
            "job_id": str,
            "document": int,
            "nonce": str,
            "status": str,  # the last status that the service gave
            "credits": float,
            "found_at": float,
        },
        pk=("service", "job_id"),
        not_null={"document", "nonce", "status", "credits", "found_at"},
        strict=True,
    )
    db.create_view("costs", _VIEWS["costs"] + _COSTS_OF_TWINS, replace=True)


@migrations()
def places(db: Database) -> None:
    """Columns for documents that aren't where their name says, and names in several sources."""
    for statement in _PLACES:
        db.execute(statement)


_INDEXES: Final = (
    "CREATE UNIQUE INDEX one_current ON documents(source, job) WHERE current = 1",
    "CREATE UNIQUE INDEX one_output ON documents(output_key) WHERE current = 1",
    "CREATE INDEX by_output ON documents(output) WHERE output_sha256 IS NOT NULL",
    "CREATE INDEX by_state ON documents(state)",
    "CREATE INDEX to_submit ON documents(due_at, id) WHERE current = 1 AND state IN ('queued', "
    "'uploaded')",
    "CREATE INDEX payers ON documents(content, step) WHERE current = 1 AND payer IS NULL",
    "CREATE INDEX copies ON documents(payer) WHERE payer IS NOT NULL",
    # Two open submissions of the same bytes and step must never exist; the schema itself refuses
    # them.
    "CREATE UNIQUE INDEX one_open_attempt ON attempts(content, step) WHERE outcome IN ('open', "
    "'accepted')",
    "CREATE UNIQUE INDEX one_nonce ON attempts(nonce)",
    "CREATE UNIQUE INDEX one_job ON attempts(service, job_id) WHERE job_id IS NOT NULL",
    "CREATE INDEX story ON events(document)",
)


@migrations()
def cleaning(db: Database) -> None:
    """A column for when a job was deleted at the service on our behalf."""
    db.execute("ALTER TABLE attempts ADD COLUMN cleaned_at REAL")


_COSTS_OF_TWINS: Final = """
        UNION ALL
        SELECT d.source, d.job, NULL, 'twin', t.job_id, NULL, NULL, t.credits,
               datetime(t.found_at, 'unixepoch')
        FROM twins t JOIN documents d ON d.id = t.document"""

_VIEWS: Final = {
    "progress": """
        SELECT state, count(*) AS documents, sum(size) AS bytes FROM documents
        WHERE current = 1 GROUP BY state ORDER BY documents DESC""",
    "failures": """
        SELECT state, kind, reason, count(*) AS documents, min(source) AS example FROM documents
        WHERE current = 1 AND state NOT IN (
            'queued', 'uploaded', 'sending', 'unknown', 'waiting', 'ready', 'duplicate', 'saved',
            'superseded'
        )
        GROUP BY state, kind, reason ORDER BY documents DESC""",
    "costs": """
        SELECT d.source, d.job, a.number AS attempt, a.outcome, a.job_id, a.pages, a.credits,
               a.cost AS estimated_credits, datetime(a.sent_at, 'unixepoch') AS sent_at
        FROM attempts a JOIN documents d ON d.id = a.document
        WHERE NOT (a.outcome = 'void' AND a.cost = 0)""",
    "timeline": """
        SELECT e.seq, strftime('%Y-%m-%dT%H:%M:%fZ', e.at, 'unixepoch') AS at, d.source, d.job,
               e.event, e.state, e.detail
        FROM events e LEFT JOIN documents d ON d.id = e.document""",
}

_CHAINS: Final = (
    # The document of the same source in the preceding step.
    "ALTER TABLE documents ADD COLUMN upstream INTEGER",
    # 1 if the job of the preceding step can't be read any more, so that this document needs an
    # upload of its own.
    "ALTER TABLE documents ADD COLUMN on_its_own INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE documents ADD COLUMN options TEXT",  # JSON: options that differ from the job's
    "ALTER TABLE documents ADD COLUMN metadata TEXT",  # JSON: sent along with its jobs
    "CREATE INDEX results ON attempts(content, step) WHERE outcome = 'saved'",
    "CREATE INDEX followers ON documents(upstream) WHERE upstream IS NOT NULL",
    "DROP VIEW failures",
    """CREATE VIEW failures AS
        SELECT state, kind, reason, count(*) AS documents, min(source) AS example FROM documents
        WHERE current = 1 AND state NOT IN (
            'following', 'queued', 'uploaded', 'sending', 'unknown', 'waiting', 'ready',
            'duplicate', 'saved', 'superseded'
        )
        GROUP BY state, kind, reason ORDER BY documents DESC""",
    """CREATE VIEW steps AS
        SELECT job, state, count(*) AS documents, sum(size) AS bytes FROM documents
        WHERE current = 1 GROUP BY job, state ORDER BY min(id), documents DESC""",
)

_PLACES: Final = (
    # Where the document is, if not at its name below `folder`: another path there, or the row of a
    # listing that holds its address. An address itself may be signed, so it is never stored.
    "ALTER TABLE documents ADD COLUMN place TEXT",
    "DROP INDEX one_current",
    "CREATE UNIQUE INDEX one_current ON documents(source, job, folder) WHERE current = 1",
)


@migrations()
def asked_for(db: Database) -> None:
    """Columns for which documents the manifest asks for, and for what superseded ones came to."""
    for statement in _ASKED_FOR:
        db.execute(statement)


_ASKED_FOR: Final = (
    # The state that a superseded document had: what it was paid for, and the outcome, still count.
    "ALTER TABLE documents ADD COLUMN superseded_from TEXT",
    """UPDATE documents SET superseded_from = (
           SELECT e.state FROM events e WHERE e.document = documents.id AND e.state <> 'superseded'
           ORDER BY e.seq DESC LIMIT 1)
       WHERE state = 'superseded'""",
    # The number of the last scan that found it. Only documents that the scan of this run has found
    # are sent.
    "ALTER TABLE documents ADD COLUMN scan INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX to_submit",
    """CREATE INDEX to_submit ON documents(scan, due_at, id)
       WHERE current = 1 AND state IN ('queued', 'uploaded')""",
)


@migrations()
def deleting(db: Database) -> None:
    """A column for when the deletion of a job began.

    The request may have reached the service even though no answer to it is on record.
    """
    db.execute("ALTER TABLE attempts ADD COLUMN deletion_started_at REAL")


@migrations()
def causes(db: Database) -> None:
    """Columns for everything that decisions depend on; reasons are only for people to read."""
    db.conn.create_function("error_name_in", 1, error_name_in, deterministic=True)
    for statement in _CAUSES:
        db.execute(statement)


# The event that ended an attempt: the first such event between its submission and the next one.
_ENDED_BY: Final = """
    SELECT CASE e.event
               WHEN 'RefusedForNow' THEN 'refused'
               WHEN 'Rejected' THEN 'refused'
               WHEN 'UploadLapsed' THEN 'input_lapsed'
               WHEN 'GivenUp' THEN 'given_up'
               WHEN 'JobFailed' THEN 'failed'
               WHEN 'JobToRepeat' THEN 'failed'
               WHEN 'JobVoided' THEN 'no_input'
               WHEN 'Cancelled' THEN 'cancelled'
               WHEN 'Expired' THEN 'expired'
               WHEN 'Lost' THEN 'lost'
           END
    FROM events e
    WHERE e.document = attempts.document
      AND e.event IN ('RefusedForNow', 'Rejected', 'UploadLapsed', 'GivenUp', 'JobFailed',
                      'JobToRepeat', 'JobVoided', 'Cancelled', 'Expired', 'Lost')
      AND e.seq > (SELECT s.seq FROM events s
                   WHERE s.document = attempts.document AND s.event = 'Sending'
                     AND json_valid(s.detail)
                     AND json_extract(s.detail, '$.nonce') = attempts.nonce)
    ORDER BY e.seq LIMIT 1"""

_CAUSES: Final = (
    "ALTER TABLE attempts ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0",
    """UPDATE attempts SET cancel_requested = 1
       WHERE outcome = 'accepted' AND why = 'a person wants it cancelled'""",
    "ALTER TABLE attempts ADD COLUMN void_cause TEXT",  # a value of `core.void_cause.VoidCause`
    f"""UPDATE attempts SET void_cause =
            CASE why
                WHEN 'proven absent' THEN 'proven_absent'
                WHEN 'superseded' THEN 'superseded'
                WHEN 'a person decided to pay again' THEN 'paid_again'
                ELSE ({_ENDED_BY})
            END
        WHERE outcome IN ('void', 'lost')""",
    # The API's error code of a failure, if it gave one.
    "ALTER TABLE attempts ADD COLUMN error_name TEXT",
    """UPDATE attempts SET error_name = nullif(error_name_in(why), '')
       WHERE why IS NOT NULL
         AND void_cause IN ('refused', 'input_lapsed', 'failed', 'no_input', 'expired')""",
    "ALTER TABLE documents ADD COLUMN error_name TEXT",
    """UPDATE documents SET error_name = nullif(error_name_in(reason), '')
       WHERE reason IS NOT NULL
         AND coalesce(superseded_from, state) IN ('queued', 'uploaded', 'failed', 'blocked',
                                                  'expired')""",
    "DROP VIEW failures",
    """CREATE VIEW failures AS
        SELECT state, kind, min(reason) AS reason, count(*) AS documents, min(source) AS example
        FROM documents
        WHERE current = 1 AND state NOT IN (
            'following', 'queued', 'uploaded', 'sending', 'unknown', 'waiting', 'ready',
            'duplicate', 'saved', 'superseded')
        GROUP BY state, kind, error_name, iif(error_name IS NULL, reason, NULL)
        ORDER BY documents DESC""",
)


@migrations()
def input_kinds(db: Database) -> None:
    """A column for how the service finds an input, so that it needn't be derived from its name."""
    for table in ("documents", "attempts"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN input_kind TEXT")
        db.execute(
            f"""UPDATE {table} SET input_kind =
                    CASE
                        WHEN file_id LIKE 'reducto://%' THEN 'upload'
                        WHEN file_id LIKE 'jobid://%' THEN 'job'
                        WHEN file_id LIKE '[%' THEN 'addresses'
                        ELSE 'address'
                    END
                WHERE file_id IS NOT NULL"""
        )


@migrations()
def not_served(db: Database) -> None:
    """A column for what the service left out of a saved result, a sentence on each line.

    The hosted API leaves nothing out, so the index holds no document of it.
    """
    db.execute("ALTER TABLE documents ADD COLUMN not_served TEXT")
    db.execute("CREATE INDEX not_served ON documents(current, state) WHERE not_served IS NOT NULL")
