"""The manifest that `batcher init` writes.

What was asked for is set; what else could be set is in comments beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from batcher.manifest.password_rules import PLACES


def commented(
    *,
    batch: str,
    service: str,
    directory: str,
    output: str,
    endpoint: str,
    formats: Sequence[str] = ("json",),
) -> str:
    """Return the text of a manifest that runs unchanged once its folder exists."""
    values = {"batch": batch, "directory": directory, "endpoint": endpoint, "output": output}
    said = {name: _toml(value) for name, value in values.items()}
    where = f"{{ url = {_toml(service)} }}" if "://" in service else _toml(service)
    written = "" if tuple(formats) == ("json",) else f"formats = {_toml(list(formats))}\n"
    passwords = _PASSWORDS if endpoint in PLACES else ""
    options = OPTIONS[endpoint]
    return _TEMPLATE.format(
        **said, service=where, options=options, formats=written or _FORMATS, passwords=passwords
    )


def _toml(value: str | list[str]) -> str:
    """Return the value as TOML, which reads text and lists of text like JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# What each endpoint requires, or what is most often wanted.
OPTIONS: Final[Mapping[str, str]] = {
    "parse": """\
# [job.options.retrieval.chunking] # the rest of the request body, verbatim
# chunk_mode = "section"
""",
    "extract": """\
# schema_file = "schema.json"      # a JSON Schema of what to extract, in a file; or as here:
[job.options.instructions.schema]
type = "object"
[job.options.instructions.schema.properties]
number = { type = "string", description = "the number of the invoice" }
date = { type = "string", description = "its date, as YYYY-MM-DD" }
total = { type = "number", description = "what is to be paid in all" }
""",
    "split": """\
[[job.options.split_description]]  # one table for each section to look for
name = "Invoice"
description = "pages of an invoice, its first page has a number and a date"
[[job.options.split_description]]
name = "Other"
description = "everything else"
""",
    "classify": """\
[[job.options.classification_schema]]
category = "invoice"
criteria = ["asks for a payment", "has a number and a total"]
[[job.options.classification_schema]]
category = "letter"
criteria = ["is written to somebody and signed"]
""",
    "pipeline": """\
[job.options]
pipeline_id = "…"                  # as the service's Studio shows it
""",
}

_FORMATS: Final = (
    '# formats = ["json", "markdown"]   # also jsonl, parquet; json is always written\n'
)

_PASSWORDS: Final = """\
# passwords_env = "PASSWORDS"      # a variable with what opens protected documents, a line each
"""

_TEMPLATE: Final = """\
# A batch for batcher. Only what differs from a default is needed; paths are relative to this file.
# `batcher plan` shows what a run would do, `batcher run` does it, the same words resume it.
batch = {batch}
service = {service}                # local | reducto | reducto-eu | reducto-au, or a [service] table

[source]
directory = {directory}
# include = ["**/*.pdf"]           # gitignore-style; default: every type the service takes
# exclude = ["**/drafts/**"]       # a .batcherignore file in any folder counts too
{passwords}
[job]
endpoint = {endpoint}
{options}
# [job.metadata]                   # sent with every job
# department = "finance"

[output]
directory = {output}
{formats}\
# access = "group"                 # results may be read by the folder's group too; default: by \
you alone

# [limits]                         # of one run; it stops before a cap and brings home what is out
# max_documents = 5000             # also max_pages, max_credits, max_cost (dollars)
# max_duration = "7h"              # or stop_at = "06:00", by the local clock
# [prices]                         # what the account pays, for plans and max_cost
# card = "list"                    # accounts from 2026-09-01 on; earlier ones: "credits", the \
default
# [retry]                          # of what fails for a passing reason, and isn't paid for
# runs = 3                         # how many runs try it by themselves
# [notify]                         # how each run ended, posted as JSON
# url = "https://hooks.example.com/batcher"
# [webhook]                        # the service says when a job has ended; mode = "svix" for \
signed ones
# public_url = "https://hooks.example.com/reducto"
# listen = "127.0.0.1:8090"
"""
