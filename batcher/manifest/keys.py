"""Reads a manifest by a table of its keys. Pure.

The same table serves the checks, the suggestions, the JSON Schema and the reference for people.
Every problem is found before any is reported. An unknown key is a problem: silently ignored, it
would cost somebody a night.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Final

from batcher.common.json_values import KeyTwice, as_json, each_once
from batcher.errors import ManifestError, Problem
from batcher.exit_codes import RunEnd
from batcher.manifest.headers import problems as header_problems
from batcher.manifest.model import (
    LOCAL,
    Cluster,
    Limits,
    Manifest,
    Metrics,
    Notify,
    Output,
    Service,
    Source,
    Webhook,
)
from batcher.manifest.password_rules import PLACES as PASSWORD_PLACES
from batcher.manifest.values import READERS, TYPES, shown
from batcher.reducto.api_types import ENDPOINTS, METADATA_KEY, SERVICES
from batcher.reducto.error_rules import RUNS, ErrorClass
from batcher.reducto.job import Job
from batcher.reducto.option_checks import REFUSE, SEND, WARN
from batcher.reducto.option_checks import problems as body_problems
from batcher.reducto.rate_card import Prices

Table = dict[str, "Key"]
REQUIRED: Final = "required"
_NEWER: Final = 'should the API know it by now: job.unknown_options = "warn"'


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a manifest: the kind of value it takes, what it means, and an example.

    `kind` is one of `manifest.values`, named as in its messages. `among` holds the only accepted
    values, if they are few. `default` describes the value without the key if `manifest.model`
    doesn't. `example` is a value as written in TOML; a table has none.
    """

    kind: str
    about: str
    example: str = ""
    default: str = ""
    among: tuple[str, ...] = ()
    table: Table | None = None


SERVICE: Final[Table] = {
    "name": Key("string", "A known service.", '"reducto-eu"', among=(LOCAL, *SERVICES)),
    "url": Key(
        "url",
        "The address of a service with the same API; excludes `name`.",
        '"https://reducto.example.com"',
    ),
    "api_key_env": Key(
        "variable", "The environment variable that holds the API key.", '"REDUCTO_KEY_OF_SALES"'
    ),
    "result_retention": Key(
        "span", "How long the service keeps a result, counted from its submission.", '"6h"'
    ),
    "requests_per_second": Key(
        "amount",
        "The most submissions a second.",
        "5",
        default="at a hosted service a rate that adapts, else no limit",
    ),
    "settle": Key(
        "duration",
        "How long a submission whose answer was lost may take to appear in the job list.",
        '"2m"',
        default="`60s`, at the local service `5s`",
    ),
    "max_in_flight": Key(
        "count",
        "The most jobs in flight at once.",
        "200",
        default="as many as can be fetched before they expire",
    ),
    "allow_urls": Key(
        "boolean", "Local service only: whether it fetches documents by http(s) address.", "true"
    ),
    "patience": Key("duration", "How long the service may take for its first answer.", '"5m"'),
    "ca_file": Key(
        "path",
        "A PEM file of certificates that are trusted in addition to the system's.",
        '"company.pem"',
    ),
    "headers": Key(
        "headers",
        "Headers sent with each request to the API; `env:NAME` stands for the value of that "
        "environment variable.",
        '{ X-Team = "records", X-Gateway-Key = "env:GATEWAY_KEY" }',
    ),
}
IDENTITY: Final[Table] = {
    "ignore": Key(
        "list of strings",
        "Query parameters that don't tell documents apart.",
        '["token", "expires"]',
    ),
}
SOURCE: Final[Table] = {
    "directory": Key(
        "path",
        "A folder, read with all its subfolders.",
        '"./inbox"',
        default="one of `directory`, `listing` and `url` is required",
    ),
    "include": Key(
        "list of strings",
        "Gitignore-style patterns of files to take.",
        '["**/*.pdf"]',
        default="every type that the service accepts",
    ),
    "exclude": Key(
        "list of strings", "Gitignore-style patterns of files to leave out.", '["**/drafts/**"]'
    ),
    "listing": Key(
        "path",
        "A CSV, JSON Lines or Parquet file that lists documents by `path` or `url`.",
        '"docs.csv"',
    ),
    "identity": Key(
        "table",
        "Which of a listing's addresses mean the same document.",
        table=IDENTITY,
    ),
    "url": Key(
        "object store",
        "A place in an object store: `s3://`, `gs://` or `az://`.",
        '"s3://bucket/prefix"',
    ),
    "transfer": Key(
        "string",
        "Objects only: whether batcher uploads them, or the service fetches them by a signed "
        "address.",
        '"presign"',
        among=("upload", "presign"),
    ),
    "passwords_env": Key(
        "string",
        "The environment variable that holds passwords of documents, one a line.",
        '"INBOX_PASSWORDS"',
    ),
    "passwords_file": Key(
        "path",
        "A file of passwords, one a line; or a `.csv` with the columns `path` and `password`.",
        '"passwords.csv"',
    ),
    "min_size": Key("size", "Smaller files are left out.", '"1kB"'),
    "max_size": Key("size", "Larger files are left out.", '"100MB"'),
    "newer_than": Key("age", "Files last changed longer ago than this are left out.", '"30d"'),
    "older_than": Key("age", "Files changed more recently than this are left out.", '"10m"'),
}
JOB: Final[Table] = {
    "name": Key("string", "The name of this step.", '"extract"', default="the endpoint"),
    "endpoint": Key("string", "What is done with each document.", '"extract"', among=ENDPOINTS),
    "schema_file": Key(
        "path",
        "A JSON Schema file, used as `options.instructions.schema`.",
        '"invoice.schema.json"',
    ),
    "priority": Key(
        "boolean", "Whether jobs go ahead of the account's other asynchronous jobs.", "true"
    ),
    "queue_priority": Key(
        "string",
        "Parse only: `batch` is cheaper and slower.",
        '"batch"',
        among=("auto", "standard", "batch"),
    ),
    "unknown_options": Key(
        "string",
        "Options that the API's description doesn't know are an error (`refuse`), sent with one "
        "warning each (`warn`), or sent (`send`).",
        '"warn"',
        among=(REFUSE, WARN, SEND),
    ),
    "options": Key(
        "table",
        "The rest of the request body, sent unchanged.",
        '{ retrieval = { chunking = { chunk_mode = "section" } } }',
    ),
    "metadata": Key("table", "Metadata sent with every job.", '{ department = "finance" }'),
}
OUTPUT: Final[Table] = {
    "directory": Key(
        "path", "The folder for results and the ledger.", '"./results"', default=REQUIRED
    ),
    "formats": Key(
        "list of strings",
        "The formats to write; JSON always is, and the others are derived from it.",
        '["json", "markdown"]',
        among=("json", "markdown", "jsonl", "parquet"),
    ),
    "mirror": Key(
        "bucket",
        "An object store that receives a copy of each result.",
        '"s3://bucket/results"',
    ),
    "images": Key(
        "boolean",
        "Whether the pictures and PDFs that results link to are fetched.",
        "true",
        default="whether the job asks for any",
    ),
    "lines": Key(
        "string",
        "What one line of `results.jsonl` holds.",
        '"chunks"',
        among=("documents", "chunks"),
    ),
    "ledger": Key(
        "path",
        "The ledger's file, on a local disk.",
        '"/var/lib/batcher/nightly.db"',
        default="`.batcher/ledger.db` in `output.directory`",
    ),
    "access": Key(
        "string",
        "Who may read results: the owner alone, or the folder's group as well.",
        '"group"',
        among=("owner", "group"),
    ),
    "clean": Key(
        "string",
        "Whether job and upload are deleted at the service once the result on disk has been "
        "read again. The local service that a run carries keeps nothing of it in any case.",
        '"saved"',
        among=("never", "saved"),
    ),
}
WEBHOOK: Final[Table] = {
    "mode": Key(
        "string",
        "`direct`: the service calls `public_url`; `svix`: it sends signed messages to endpoints "
        "that are set up at the service.",
        '"svix"',
        among=("direct", "svix"),
    ),
    "public_url": Key(
        "url",
        "Direct mode only: the address at which the service reaches `listen`.",
        '"https://hooks.example.com/reducto"',
        default="required in direct mode, except at the local service",
    ),
    "listen": Key("address", "The host and port that webhooks arrive at.", '"127.0.0.1:8090"'),
    "secret_env": Key(
        "variable",
        "The environment variable that holds the secret; for svix, one or several `whsec_…`.",
        '"REDUCTO_WEBHOOK_SECRET"',
        default="required for svix",
    ),
    "channels": Key(
        "list of strings", "Svix only: endpoints subscribed to one of these.", '["nightly"]'
    ),
}
LIMITS: Final[Table] = {
    "max_documents": Key("count", "The most submissions of one run.", "5000"),
    "max_pages": Key("count", "The most pages of one run, jobs in flight included.", "20000"),
    "max_credits": Key("amount", "The most credits of one run, jobs in flight included.", "5000"),
    "max_cost": Key("amount", "The most dollars of one run, jobs in flight included.", "75.0"),
    "pay_again": Key(
        "number",
        "How many credits a run spends without asking on documents that are saved already, after "
        "files or options have changed.",
        "500",
    ),
    "max_duration": Key(
        "duration",
        "How long a run submits; results of jobs in flight are still fetched afterwards.",
        '"7h"',
    ),
    "stop_at": Key(
        "clock time",
        "The local time of day until which a run submits. A run that begins within six hours after "
        "it submits nothing; one that begins later submits until it comes round again.",
        '"06:00"',
    ),
}
PRICES: Final[Table] = {
    "card": Key(
        "string",
        "The rate card: `credits` for accounts from before 2026-09-01, `list` for later ones.",
        '"list"',
        among=("credits", "list"),
    ),
    "dollars_per_credit": Key("amount", "What one credit costs.", "0.012"),
    "dollars_per_page": Key(
        "prices", "Dollars a page by endpoint; takes precedence over the card.", "{ parse = 0.008 }"
    ),
    "as_of": Key("string", "The date of these prices, shown in plans.", '"2026-10-01"'),
}
NOTIFY: Final[Table] = {
    "url": Key(
        "url",
        "The address to which a summary of each run is posted, as JSON.",
        '"https://hooks.example.com/batcher"',
        default=REQUIRED,
    ),
    "on": Key(
        "list of strings",
        "How a run must end for its summary to be posted.",
        '["failed", "stopped"]',
        among=tuple(RunEnd),
    ),
}
METRICS: Final[Table] = {
    "listen": Key(
        "address",
        "The host and port at which a run serves its metrics for Prometheus, under `/metrics`.",
        '"127.0.0.1:9464"',
    ),
}
CLUSTER: Final[Table] = {
    "engine": Key("string", "What runs the cluster.", '"ray"', among=("ray",)),
    "address": Key(
        "string",
        "Where the cluster is: host and port, `auto` for the one that this machine is part of, or "
        "`local` to start one here.",
        '"10.0.0.5:6379"',
    ),
    "hands": Key(
        "count",
        "The most processes of the cluster that are used.",
        "64",
        default="as many as it has room for",
    ),
    "cpus": Key("amount", "The cores that each of them takes.", "2"),
    "memory": Key(
        "size", "The memory that each of them takes.", '"2GB"', default="none is reserved"
    ),
    "resources": Key(
        "amounts",
        "What else each of them takes: resources that the cluster's nodes were given by name.",
        "{ ocr = 1 }",
        default="none",
    ),
}
RETRY: Final[Table] = {
    "class": Key(
        "string",
        "What the error means.",
        '"transient"',
        default="as batcher knows the error",
        among=tuple(ErrorClass),
    ),
    "attempts": Key(
        "count",
        "Paid attempts, the first included; never more than three.",
        "2",
        default="as batcher knows the error",
    ),
}
RETRIES: Final[Table] = {  # in addition to the tables by error name
    "runs": Key(
        "tries",
        "How many runs try a document that fails for a passing reason; with 1 only the run in "
        "which it failed.",
        "5",
    ),
}
MANIFEST: Final[Table] = {
    "batch": Key(
        "name",
        "The name of the batch.",
        '"nightly-invoices"',
        default="the file's name without its extension",
    ),
    "service": Key(
        "service",
        "The service: the name of a known one, or a table.",
        '"reducto"',
        default='`"local"`',
        table=SERVICE,
    ),
    "source": Key("tables", "Where documents come from.", default=REQUIRED, table=SOURCE),
    "job": Key(
        "tables",
        "What is done with each document; several jobs, each with a name, are the steps of a "
        "chain.",
        default="one job that parses",
        table=JOB,
    ),
    "output": Key("table", "Where results go.", default=REQUIRED, table=OUTPUT),
    "retry": Key("table of tables", "How errors are treated, by error name.", table=RETRY),
    "limits": Key("table", "When a run stops before its end.", table=LIMITS),
    "prices": Key("table", "What the account pays.", table=PRICES),
    "webhook": Key("table", "How the service may call back.", table=WEBHOOK),
    "notify": Key("table", "Who is told how a run ended.", table=NOTIFY),
    "metrics": Key("table", "Who may watch a run: figures for Prometheus.", table=METRICS),
    "cluster": Key(
        "table",
        "The Ray cluster whose nodes read documents for the local service, or hash and upload "
        "large files for another one.",
        table=CLUSTER,
    ),
}


def read_manifest(data: Mapping[str, Any], *, where: str, folder: Path, stem: str) -> Manifest:
    """Return the manifest that `data` describes; relative paths are below `folder`.

    Raises ManifestError with every problem.
    """
    reading = _Reading(folder)
    top = reading.table(data, MANIFEST, "")
    service = top.get("service", LOCAL)
    service = reading.service(service) if isinstance(service, Mapping) else {"name": service}
    sources = [reading.source(source) for source in reading.tables(top.get("source"), "source")]
    jobs = [reading.job(job) for job in reading.tables(top.get("job", {}), "job")] or [{}]
    output = reading.table(top.get("output", {}), OUTPUT, "output.")
    rules = top.get("retry", {})
    retries = reading.table(
        {name: rules[name] for name in RETRIES if name in rules}, RETRIES, "retry."
    )
    errors = {name: rule for name, rule in rules.items() if name not in RETRIES}
    retry = [(name, reading.table(rule, RETRY, f"retry.{name}.")) for name, rule in errors.items()]
    webhook = reading.table(top.get("webhook", {}), WEBHOOK, "webhook.")
    limits = reading.table(top.get("limits", {}), LIMITS, "limits.")
    prices = reading.table(top.get("prices", {}), PRICES, "prices.")
    notify = reading.table(top.get("notify", {}), NOTIFY, "notify.")
    metrics = reading.table(top.get("metrics", {}), METRICS, "metrics.")
    cluster = reading.table(top.get("cluster", {}), CLUSTER, "cluster.")
    if "notify" in top and "url" not in top["notify"]:
        reading.problems.append(
            Problem("notify.url", "missing", "the address the summary is posted to")
        )
    reading.check(top, service, sources, output)
    reading.check_jobs(jobs)
    # the rows of a listing may each have one
    if not any("listing" in source for source in sources):
        reading.check_schemas(jobs)
    reading.check_passwords(sources, jobs)
    reading.check_webhook(webhook, asked="webhook" in top, service=service)
    if reading.problems:
        raise ManifestError(where, reading.problems)
    if "url" in service:
        service.setdefault("name", "")
    for job in jobs:
        job.setdefault("name", job.get("endpoint", "parse"))
    return Manifest(
        batch=top.get("batch", stem),
        service=Service(**service),
        sources=tuple(Source(**source) for source in sources),
        jobs=tuple(Job(**job) for job in jobs),
        output=Output(**output),
        retry=tuple((name, rule.get("class"), rule.get("attempts")) for name, rule in retry),
        runs=retries.get("runs", RUNS),
        webhook=Webhook(**webhook) if "webhook" in top else None,
        limits=Limits(**limits),
        prices=Prices(**prices),
        notify=Notify(**notify) if notify else None,
        metrics=Metrics(**metrics) if "metrics" in top else None,
        cluster=Cluster(**cluster) if "cluster" in top else None,
        where=where,
    )


class _Reading:
    def __init__(self, folder: Path) -> None:
        self.problems: list[Problem] = []
        self._folder = folder

    def table(self, data: Any, keys: Table, prefix: str) -> dict[str, Any]:
        """Return the valid values of `data`; add a problem for each other one."""
        if not isinstance(data, Mapping):
            self.problems.append(
                Problem(prefix.rstrip("."), f"a table is wanted, not {shown(data)}")
            )
            return {}
        good: dict[str, Any] = {}
        for name, value in data.items():
            self._one(keys, prefix, name, value, good)
        return good

    def service(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Read the service, whose headers may have any valid name."""
        service = self.table(data, SERVICE, "service.")
        self.problems += header_problems(service.get("headers", {}), "service.headers")
        return service

    def source(self, data: Any) -> dict[str, Any]:
        """Read a source. Its `identity` is a separate table, which applies to addresses."""
        source = self.table(data, SOURCE, "source.")
        if "identity" not in source:
            return source
        if "directory" in source or "url" in source:
            self.problems.append(
                Problem("source.identity", "only a listing holds addresses", "take it out")
            )
        identity = self.table(source.pop("identity"), IDENTITY, "source.identity.")
        return {**source, **identity}

    def job(self, data: Any) -> dict[str, Any]:
        """Read a job. Its options and metadata are sent as JSON.

        TOML's dates become text, and values that JSON can't represent are problems.
        """
        job = self.table(data, JOB, "job.")
        for name in {"options", "metadata"} & set(job):
            try:
                job[name] = as_json(job[name], f"job.{name}")
            except ValueError as error:
                where, _, what = str(error).partition(": ")
                self.problems.append(Problem(where, what))
                del job[name]
        return job

    def tables(self, data: Any, key: str) -> list[Any]:
        if data is None:
            return []
        return data if isinstance(data, list) else [data]

    def _one(self, keys: Table, prefix: str, name: str, value: Any, good: dict[str, Any]) -> None:
        key = keys.get(name)
        if key is None:
            near = difflib.get_close_matches(name, keys, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(keys)}"
            self.problems.append(Problem(prefix + name, "unknown key", hint))
            return
        try:
            good[name] = READERS[key.kind](value, self._folder)
        except ValueError as error:
            self.problems.append(Problem(prefix + name, str(error)))
            return
        for one in value if isinstance(value, list) else [value]:
            if key.among and one not in key.among:
                hint = _among_hint(str(one), key.among)
                self.problems.append(Problem(prefix + name, f"{shown(one)} is not known", hint))

    def check(
        self,
        top: Mapping[str, Any],
        service: Mapping[str, Any],
        sources: list[dict[str, Any]],
        output: Mapping[str, Any],
    ) -> None:
        """Find the problems that don't concern a single key."""
        add = self.problems.append
        if not sources:
            add(Problem("source", "missing", 'add [source] with directory = "…"'))
        for source in sources:
            named = [key for key in ("directory", "listing", "url") if key in source]
            if len(named) > 1 or not (
                named or self._told("source.directory", "source.listing", "source.url")
            ):
                what = f"{' and '.join(named)} exclude each other" if named else "missing"
                add(
                    Problem(
                        "source.directory",
                        what,
                        "a folder, or listing = …, or url = …: where documents are",
                    )
                )
            self._check_bounds(source)
        if "directory" not in output and not self._told("output.directory"):
            add(Problem("output.directory", "missing", "the folder for the results"))
        if isinstance(top.get("service"), str) and top["service"] not in (LOCAL, *SERVICES):
            name = top["service"]
            hint = service_hint(name, address="an address as service.url")
            add(Problem("service", f"{shown(name)} is not known", hint))
        if "name" in service and "url" in service:
            add(Problem("service", "name and url exclude each other"))
        if set(str(service.get("url", ""))) & set("@?#"):
            what = (
                "an address alone is wanted: a user, a password or a query in it would be "
                "written down"
            )
            add(
                Problem(
                    "service.url",
                    what,
                    "the key stands in the variable that service.api_key_env names",
                )
            )
        directories = [source["directory"] for source in sources if "directory" in source]
        self._check_places(directories, output.get("directory"))
        inside = next(
            (
                one
                for one in directories
                if "ledger" in output and output["ledger"].is_relative_to(one)
            ),
            None,
        )
        if inside is not None:
            hint = (
                "choose a folder beside it: what lies beside a ledger would be taken for documents"
            )
            add(
                Problem(
                    "output.ledger", f"{output['ledger']} lies inside the source {inside}", hint
                )
            )
        self._check_listings(sources)

    def _told(self, *keys: str) -> bool:
        """Whether one of these keys has a problem already: a wrong value isn't also missing."""
        return any(problem.key in keys for problem in self.problems)

    def _check_bounds(self, source: Mapping[str, Any]) -> None:
        """Find bounds that no file can satisfy.

        With these, a whole night would find no documents without any complaint.
        """
        if source.get("min_size", 0) > source.get("max_size", inf):
            self.problems.append(
                Problem("source.min_size", "is above max_size: no file is of such a size")
            )
        if source.get("older_than", 0) > source.get("newer_than", inf):
            self.problems.append(
                Problem("source.older_than", "is above newer_than: no file is of such an age")
            )

    def check_jobs(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Check each job, and that a chain's jobs have different names, which are also file
        names.
        """
        names = [job.get("name", "") for job in jobs]
        for number, job in enumerate(jobs):
            self._check_job(job, several=len(jobs) > 1 and bool(names[number]))
            if len(jobs) > 1 and not names[number]:
                self.problems.append(
                    Problem("job.name", "missing", "each step of a chain has a name of its own")
                )
            elif names[number] in names[:number]:
                self.problems.append(Problem("job.name", f"{shown(names[number])} is named twice"))

    def _check_job(self, job: Mapping[str, Any], *, several: bool) -> None:
        add = self.problems.append
        options = dict(job.get("options", {}))
        where = f"job.{job['name']}" if several else "job"
        for own in {"input", "async"} & set(options):
            add(Problem(f"{where}.options.{own}", "batcher sets this itself", "take it out"))
            del options[own]
        if METADATA_KEY in job.get("metadata", {}):
            add(
                Problem(
                    f"{where}.metadata.{METADATA_KEY}", "batcher sets this itself", "take it out"
                )
            )
        endpoint = job.get("endpoint", "parse")
        if endpoint in ENDPOINTS:
            self._check_body(
                endpoint,
                options,
                f"{where}.options",
                tolerant=job.get("unknown_options") in (WARN, SEND),
            )
        if not re.fullmatch(r"[\w-]{1,40}", job.get("name", "parse"), re.ASCII):
            add(
                Problem(
                    "job.name",
                    f"{shown(job['name'])} can't be part of a file's name",
                    "letters, digits, - and _",
                )
            )

    def _check_body(
        self, endpoint: str, options: Mapping[str, Any], where: str, *, tolerant: bool
    ) -> None:
        """Check the options against the API's description.

        A misspelt option would be paid for in vain; what is new in the API can be sent
        nevertheless.
        """
        found = list(body_problems(endpoint, options, key=where))
        if tolerant:
            found = [problem for problem in found if not problem.unknown]
        self.problems += map(_with_the_way_round, found)

    def check_schemas(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Find extracts without a schema, which says what to look for.

        Without one, every document would be refused, one by one.
        """
        for job in jobs:
            options = job.get("options", {})
            instructions = options.get("instructions") if isinstance(options, Mapping) else None
            has_schema = isinstance(instructions, Mapping) and instructions.get("schema")
            if job.get("endpoint") == "extract" and not ("schema_file" in job or has_schema):
                hint = "a JSON Schema file that names the fields, or options.instructions.schema"
                where = f"job.{job['name']}" if len(jobs) > 1 and "name" in job else "job"
                self.problems.append(
                    Problem(f"{where}.schema_file", "missing: extract wants a schema", hint)
                )

    def check_passwords(
        self, sources: Sequence[Mapping[str, Any]], jobs: Sequence[Mapping[str, Any]]
    ) -> None:
        """Find passwords that no step could send, since naming them is a mistake."""
        endpoints = {job.get("endpoint", "parse") for job in jobs}
        for key in ("passwords_env", "passwords_file"):
            if any(key in source for source in sources) and not endpoints & set(PASSWORD_PLACES):
                what = f"{' and '.join(sorted(endpoints))} can't be given a password"
                self.problems.append(Problem(f"source.{key}", what, "take it out"))

    def check_webhook(
        self, webhook: Mapping[str, Any], *, asked: bool, service: Mapping[str, Any]
    ) -> None:
        local = "url" not in service and service.get("name", LOCAL) == LOCAL
        signed = webhook.get("mode", "direct") == "svix"
        if signed and "secret_env" not in webhook:
            hint = "the environment variable that holds the endpoint's whsec_…"
            self.problems.append(Problem("webhook.secret_env", "missing", hint))
        if asked and not signed and not local and "public_url" not in webhook:
            self.problems.append(
                Problem("webhook.public_url", "missing", "the address the service can call")
            )

    def _check_listings(self, sources: list[dict[str, Any]]) -> None:
        """Check that a document belongs to one source only.

        A document is identified by its path below one folder: in two sources there, it would
        alternate between them.
        """
        folders = {source["directory"] for source in sources if "directory" in source}
        taken = set[Path]()
        for listing in (source["listing"] for source in sources if "listing" in source):
            if listing.parent in folders or listing.parent in taken:
                hint = "put the listing into a folder of its own, with paths relative to that"
                self.problems.append(
                    Problem("source.listing", f"{listing.parent} is a source already", hint)
                )
            taken.add(listing.parent)

    def _check_places(self, directories: list[Path], output: Path | None) -> None:
        for number, directory in enumerate(directories):
            if directory in directories[:number]:
                self.problems.append(Problem("source.directory", f"{directory} is named twice"))
            if output is not None and output.is_relative_to(directory):
                hint = "choose a folder beside it, or results would be taken for documents"
                self.problems.append(
                    Problem(
                        "output.directory", f"{output} lies inside the source {directory}", hint
                    )
                )


def _with_the_way_round(problem: Problem) -> Problem:
    """Add the way to send an option nevertheless, unless it looks misspelt.

    It may be newer than the description against which options are checked.
    """
    if not problem.unknown or problem.hint.startswith("did you mean"):
        return problem
    return replace(problem, hint=f"{problem.hint}; {_NEWER}")


def service_hint(name: str, *, address: str = "an address") -> str:
    """Return what was probably meant by a service that isn't known.

    `address` says how an address is given where the name stands.
    """
    if name in ENDPOINTS:
        return f"that is an endpoint: --endpoint {name}, or job.endpoint in a manifest"
    near = difflib.get_close_matches(name, (LOCAL, *SERVICES), n=1)
    if near:
        return f"did you mean {near[0]}?"
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?(/.*)?|[\w-]+:\d+(/.*)?", name, re.ASCII):
        loopback = name.startswith(("localhost", "127."))
        return f"an address begins with {'http' if loopback else 'https'}://"
    return f"one of: {', '.join((LOCAL, *SERVICES))}, or {address}"


def _among_hint(said: str, among: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(said, among, n=1)
    if not near and among == ENDPOINTS and said in (LOCAL, *SERVICES):
        return f"that is a service: --service {said}, or service in a manifest"
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(among)}"


def override(data: dict[str, Any], assignment: str) -> None:
    """Set the key in an assignment such as `job.options.settings.page_range={"start":1}`.

    The value is JSON, or a table or list as TOML has it, or else text.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise ManifestError(
            f"-S {assignment}", [Problem("", "key=value is wanted", "as in job.priority=true")]
        )
    try:
        value = _assigned(text)
    except KeyTwice as error:
        raise ManifestError(f"-S {assignment}", [Problem(path, str(error))]) from error
    *tables, last = path.split(".")
    while tables:
        name = tables.pop(0)
        inner = data.setdefault(name, {})
        if name == "service" and isinstance(inner, str):  # the short form of a table
            inner = data[name] = {"name": inner}
        data = _one_of(inner, tables) if isinstance(inner, list) else inner
        if not isinstance(data, dict):
            raise ManifestError(f"-S {assignment}", [Problem(path, f"{name} is no table")])
    data[last] = value


def _assigned(text: str) -> Any:
    """Return the value of an assignment. Raises KeyTwice."""
    try:
        return json.loads(text, object_pairs_hook=each_once)
    except (json.JSONDecodeError, RecursionError):
        pass
    if text.startswith(("{", "[")):
        with suppress(tomllib.TOMLDecodeError, RecursionError):
            return tomllib.loads(f"value = {text}")["value"]
    return text


def _one_of(several: list[Any], path: list[str]) -> Any:
    """Return the table that the next word of `path` names, or else the first.

    Examples: job.extract.options…, source.1.directory.
    """
    for number, one in enumerate(several):
        if path and isinstance(one, dict) and path[0] in (one.get("name"), str(number)):
            del path[0]
            return one
    return several[0] if several else None


def json_schema() -> dict[str, Any]:
    """Return the manifest's JSON Schema, made from the table that reads manifests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "batcher manifest",
        **_schema(MANIFEST),
    }


def _schema(keys: Table) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"description": _description(key), **_value_schema(key)}
            for name, key in keys.items()
        },
    }


def _description(key: Key) -> str:
    return f"{key.about} Default: {key.default}." if key.default else key.about


def _value_schema(key: Key) -> dict[str, Any]:
    if key.table is None:
        one_of = {"enum": list(key.among)} if key.among else {}
        plain = TYPES[key.kind]
        return (
            {**plain, "items": {**plain["items"], **one_of}}
            if "items" in plain
            else {**plain, **one_of}
        )
    inner = _schema(key.table)
    wrapped: dict[str, dict[str, Any]] = {
        "service": {"anyOf": [{"enum": [LOCAL, *SERVICES]}, inner]},
        "tables": {"anyOf": [inner, {"type": "array", "items": inner}]},
        "table of tables": {**_schema(RETRIES), "additionalProperties": inner},
    }
    return wrapped.get(key.kind, inner)
