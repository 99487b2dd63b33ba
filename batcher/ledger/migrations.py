"""The ledger's schema, as the migrations that made it. Each runs once, in a transaction of its own.

Names of tables, views and their columns are a contract: people read them with Datasette and other
tools.
"""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database, Migrations

from batcher.core.reasons import error_name_in
from batcher.ledger.schema import APPLICATION_ID, VERSION

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
            # sha256 of the bytes and the kind of file; null where it couldn't be read
            "content": str,
            "size": int,
            "mtime_ns": int,
            "inode": int,
            "state": str,
            "current": int,  # 0 where a newer version stands in its place
            "payer": int,  # the document that pays for this one, whose bytes and step are the same
            "due_at": float,
            "tries": int,
            "paid": int,  # attempts the service took since a person last put it in the queue
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
            "cost": float,  # credits: estimated until the service said what it was
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
    """Whoever has the same bytes may pay or be copied, also a copy, also an older version whose job
    is out.
    """
    db.execute("DROP INDEX payers")
    db.execute("CREATE INDEX same_bytes ON documents(content, step)")


@migrations()
def derived(db: Database) -> None:
    """What was made of saved results.

    It may be emptied at any time: all of it is made again, and nothing is paid.
    """
    db.create_table(
        "derived",
        {
            "document": int,
            "format": str,  # images, markdown, jsonl, parquet
            "result_sha256": str,  # of the result it was made of
            "file": str,
            "start": int,  # of its line, where many documents share a file
            "size": int,  # bytes; of images their number
            "sha256": str,
            "note": str,  # what is missing of it
        },
        pk=("document", "format"),
        not_null={"result_sha256", "file", "start", "size"},
        foreign_keys=[("document", "documents", "id")],
        strict=True,
    )
    db.execute("CREATE INDEX derived_files ON derived(file)")


@migrations()
def chains(db: Database) -> None:
    """Steps that follow others, and what a listing says about a single document."""
    for statement in _CHAINS:
        db.execute(statement)


@migrations()
def bills(db: Database) -> None:
    """What is settled can be summed up without reading a million attempts."""
    db.execute(
        "CREATE INDEX bills ON attempts(outcome, cost, credits, pages) WHERE outcome IN ('saved', "
        "'lost', 'void')"
    )


@migrations()
def twins(db: Database) -> None:
    """Jobs of ours beyond the one that an attempt holds, as the audit found them."""
    db.create_table(
        "twins",
        {
            "service": str,
            "job_id": str,
            "document": int,
            "nonce": str,
            "status": str,  # the service's last word
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
    """Documents that don't lie where their name says, and the same name in several sources."""
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
    # What nobody may do twice, refused by the schema itself: two submissions of the same bytes and
    # step at one time.
    "CREATE UNIQUE INDEX one_open_attempt ON attempts(content, step) WHERE outcome IN ('open', "
    "'accepted')",
    "CREATE UNIQUE INDEX one_nonce ON attempts(nonce)",
    "CREATE UNIQUE INDEX one_job ON attempts(service, job_id) WHERE job_id IS NOT NULL",
    "CREATE INDEX story ON events(document)",
)


@migrations()
def cleaning(db: Database) -> None:
    """When a job was deleted at the service on our behalf."""
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
    # The document of the step before it, of the same source.
    "ALTER TABLE documents ADD COLUMN upstream INTEGER",
    # 1 where the job of the step before it can't be read any more, so that it takes an upload of
    # its own.
    "ALTER TABLE documents ADD COLUMN on_its_own INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE documents ADD COLUMN options TEXT",  # JSON: what differs from the job's options
    "ALTER TABLE documents ADD COLUMN metadata TEXT",  # JSON: sent with its jobs
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
    # Where it is to be found, if not by its name below `folder`: another path there, or the row of
    # a listing that holds its address. An address itself may be signed, and is never written down.
    "ALTER TABLE documents ADD COLUMN place TEXT",
    "DROP INDEX one_current",
    "CREATE UNIQUE INDEX one_current ON documents(source, job, folder) WHERE current = 1",
)


@migrations()
def asked_for(db: Database) -> None:
    """Which documents today's manifest asks for, and what a superseded one had come to."""
    for statement in _ASKED_FOR:
        db.execute(statement)


_ASKED_FOR: Final = (
    # The state a superseded document had: what it was paid for, and what became of that, still
    # counts.
    "ALTER TABLE documents ADD COLUMN superseded_from TEXT",
    """UPDATE documents SET superseded_from = (
           SELECT e.state FROM events e WHERE e.document = documents.id AND e.state <> 'superseded'
           ORDER BY e.seq DESC LIMIT 1)
       WHERE state = 'superseded'""",
    # The number of the last scan that found it: only what this run's scan has found is sent.
    "ALTER TABLE documents ADD COLUMN scan INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX to_submit",
    """CREATE INDEX to_submit ON documents(scan, due_at, id)
       WHERE current = 1 AND state IN ('queued', 'uploaded')""",
)


@migrations()
def deleting(db: Database) -> None:
    """When the deletion of a job began, which may have reached the service though no answer of it
    is on record.
    """
    db.execute("ALTER TABLE attempts ADD COLUMN deletion_started_at REAL")


@migrations()
def causes(db: Database) -> None:
    """What decides anything stands in columns of its own; reasons are for people alone."""
    db.conn.create_function("error_name_in", 1, error_name_in, deterministic=True)
    for statement in _CAUSES:
        db.execute(statement)


# The event that ended an attempt, of those between its submission and the next one: the first.
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
    "ALTER TABLE attempts ADD COLUMN void_cause TEXT",  # a `core.void_cause.VoidCause`
    f"""UPDATE attempts SET void_cause =
            CASE why
                WHEN 'proven absent' THEN 'proven_absent'
                WHEN 'superseded' THEN 'superseded'
                WHEN 'a person decided to pay again' THEN 'paid_again'
                ELSE ({_ENDED_BY})
            END
        WHERE outcome IN ('void', 'lost')""",
    # The API's code of a failure, where it gave one.
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
    """What the service finds an input by, so that nobody has to tell it from the input's name."""
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
