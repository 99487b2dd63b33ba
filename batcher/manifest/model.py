"""The contents of a manifest as values. How they are read and checked is in `manifest.keys`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from typing import Any, Final

from batcher.exit_codes import RunEnd
from batcher.reducto.api_types import RETENTION, SERVICES
from batcher.reducto.error_rules import RUNS
from batcher.reducto.job import Job
from batcher.reducto.rate_card import Prices

LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service to use: `name` is local or a hosted service, or is empty if `url` is given.

    Times are in seconds.
    """

    name: str = LOCAL
    url: str | None = None
    api_key_env: str = "REDUCTO_API_KEY"
    result_retention: float = RETENTION
    requests_per_second: float | None = None
    settle: float | None = None
    max_in_flight: int | None = None  # None: as many as can be fetched in time
    patience: float = 120.0
    ca_file: Path | None = None  # certificates that are trusted in addition to the system's
    # Sent with each request to the API; env:NAME refers to an environment variable.
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_urls: bool = False  # for the local service: whether it fetches documents by their address
    chaos: str = ""  # faults of the local service, in a rehearsal

    @property
    def is_local(self) -> bool:
        return self.url is None and self.name == LOCAL

    @property
    def is_billed(self) -> bool:
        """Whether it costs anything: the local service counts credits, and bills none."""
        return not self.is_local

    @property
    def identity(self) -> str:
        """The service under which attempts are recorded, and to which results belong.

        The local service has a new address in each run, so its name is used.
        """
        return LOCAL if self.is_local else (self.url or SERVICES[self.name]).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where documents come from: one of `directory`, `listing`, and `url` (an object store).

    Sizes are in bytes, ages in seconds.
    """

    directory: Path | None = None
    listing: Path | None = None
    url: str | None = None
    ignore: tuple[
        str, ...
    ] = ()  # parameters of addresses that don't distinguish documents, from `identity`
    # of objects; with presign, the service fetches them by a signed address
    transfer: str = "upload"
    # References to the passwords of protected documents: a variable's name, or a file.
    passwords_env: str | None = None
    passwords_file: Path | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    newer_than: float | None = None
    older_than: float | None = None

    @property
    def folder(self) -> str:
        """The folder below which its documents are named."""
        if self.listing is not None:
            return str(self.listing.parent)
        return str(self.directory or self.url)

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders that its documents can have: addresses in a listing have the listing's own
        path.
        """
        return (self.folder,) if self.listing is None else (self.folder, str(self.listing))

    def outline(self) -> dict[str, Any]:
        """Return where this source is and what it leaves out, as a manifest has it."""
        if self.url is not None:
            return {"url": self.url, **self._filters()}
        if self.directory is not None:
            where: dict[str, Any] = {"directory": str(self.directory)}
        else:
            where = {"listing": str(self.listing)}
        if self.ignore:
            where["identity"] = {"ignore": list(self.ignore)}
        # This says where passwords are, and not what they are: code that fetches a batch's results
        # blots them out of messages.
        if self.passwords_env:
            where["passwords_env"] = self.passwords_env
        if self.passwords_file:
            where["passwords_file"] = str(self.passwords_file)
        return {**where, **self._filters()}

    def _filters(self) -> dict[str, Any]:
        """Return the keys that leave something out."""
        filters = {
            "include": list(self.include),
            "exclude": list(self.exclude),
            "min_size": self.min_size,
            "max_size": self.max_size,
            "newer_than": self.newer_than,
            "older_than": self.older_than,
        }
        return {key: value for key, value in filters.items() if value not in (None, [])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where results and the ledger are written, and in which form."""

    directory: Path
    # json is always written, since everything else is made from it
    formats: tuple[str, ...] = ("json",)
    lines: str = "documents"  # what a line of results.jsonl contains
    mirror: str | None = None  # the address of an object store to which results are also written
    # Whether linked pictures are fetched; None: if the job asks for any.
    images: bool | None = None
    ledger: Path | None = None
    access: str = "owner"  # who may read what is written; with "group", also the folder's group
    # With "saved", job and upload are deleted at the service once the result is on disk.
    clean: str = "never"
    # Set by a person who knows that results without a ledger will be paid for again.
    start_over: bool = False

    @property
    def ledger_path(self) -> Path:
        return self.ledger or self.directory / ".batcher" / "ledger.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """How the service calls back. `listen` is host and port.

    Without `public_url`, the service is given the address in `listen`.
    """

    mode: str = "direct"
    public_url: str | None = None
    listen: tuple[str, int] = ("127.0.0.1", 8090)
    secret_env: str | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where a run serves its metrics. `listen` is host and port."""

    listen: tuple[str, int] = ("127.0.0.1", 9464)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster whose nodes read documents for the local service, or move files for another one.

    `hands` are the processes that do; None: as many as it has room for. Each takes `cpus`,
    `memory` in bytes, and `resources` of the cluster's own.
    """

    engine: str = "ray"
    address: str = "auto"
    hands: int | None = None
    cpus: float = 1
    memory: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one run; None means no limit.

    `max_cost` is in dollars, `max_duration` in seconds, and `stop_at` is by the local clock.
    """

    max_documents: int | None = None
    max_pages: int | None = None
    max_credits: float | None = None
    max_cost: float | None = None
    pay_again: float = 100.0  # credits that a run may spend without asking on what is saved already
    max_duration: float | None = None
    stop_at: time | None = None
    # `max_documents` is all that is asked of this run, so that reaching it isn't a limit.
    is_sample: bool = False

    @property
    def spending(self) -> bool:
        """Whether there is any limit on what is sent, apart from time."""
        return bool(self.caps())

    def caps(self) -> dict[str, float]:
        """Return the limits on what is sent, by the names of their keys in a manifest."""
        caps = {
            "max_documents": self.max_documents,
            "max_pages": self.max_pages,
            "max_credits": self.max_credits,
            "max_cost": self.max_cost,
        }
        return {name: cap for name, cap in caps.items() if cap is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Where to report the end of a run; `on` lists the ends to report, as in `exit_codes`."""

    url: str
    on: tuple[str, ...] = tuple(RunEnd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest. `where` identifies it in messages: its path, or a command line."""

    batch: str
    service: Service
    sources: tuple[Source, ...]
    jobs: tuple[Job, ...]
    output: Output
    retry: tuple[tuple[str, str | None, int | None], ...] = ()
    runs: int = RUNS  # that try a document again by themselves while it fails for a passing reason
    webhook: Webhook | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Prices = field(default_factory=Prices)
    notify: Notify | None = None
    metrics: Metrics | None = None
    cluster: Cluster | None = None
    where: str = ""

    @property
    def dollars_per_credit(self) -> float:
        """What a credit costs at its service; 0 at the local one."""
        return self.prices.dollars_per_credit if self.service.is_billed else 0.0


# Options that make a result link to files.
LINKED: Final = (
    "return_images",
    "embed_pdf_metadata",
    "advanced_chart_agent",
)


def fetches_pictures(manifest: Manifest) -> bool:
    """Whether linked files are fetched: by the manifest's setting, or if a job asks for any."""
    asked = manifest.output.images
    return any(wants_pictures(job.options) for job in manifest.jobs) if asked is None else asked


def wants_pictures(options: Any) -> bool:
    """Whether the options ask for linked files.

    These are pictures, a PDF that contains the text read from it, or the data of charts.
    """
    if isinstance(options, list):
        return any(map(wants_pictures, options))
    if not isinstance(options, Mapping):
        return False
    return any(map(options.get, LINKED)) or any(map(wants_pictures, options.values()))


def rehearsal_of(manifest: Manifest, *, chaos: str) -> Manifest:
    """Return the manifest with a local service that injects faults.

    Documents and jobs are the same; the output and the ledger are separate.
    """
    apart = manifest.output.ledger_path.parent / "rehearsal"
    real = manifest.service
    service = Service(
        chaos=chaos, result_retention=real.result_retention, max_in_flight=real.max_in_flight
    )
    output = replace(manifest.output, directory=apart, ledger=None, mirror=None, start_over=False)
    return replace(manifest, service=service, output=output, webhook=None, notify=None)


def outline(manifest: Manifest) -> dict[str, Any]:
    """Return as much of the manifest as is needed to fetch the batch's results, and its caps.

    Options are left out, since they may be confidential.
    """
    service = manifest.service
    caps = manifest.limits.caps()
    return {
        "batch": manifest.batch,
        "service": {
            **({"url": service.url} if service.url else {"name": service.name}),
            "api_key_env": service.api_key_env,
            "result_retention": service.result_retention,
            **({"settle": service.settle} if service.settle is not None else {}),
            **({"ca_file": str(service.ca_file)} if service.ca_file else {}),
            **({"headers": dict(service.headers)} if service.headers else {}),
        },
        "source": [source.outline() for source in manifest.sources],
        **({"retry": {"runs": manifest.runs}} if manifest.runs != RUNS else {}),
        **({"limits": caps} if caps else {}),
        "prices": {
            "card": manifest.prices.card,
            "dollars_per_credit": manifest.prices.dollars_per_credit,
        },
        "output": {
            "directory": str(manifest.output.directory),
            "ledger": str(manifest.output.ledger_path),
            "formats": list(manifest.output.formats),
            "lines": manifest.output.lines,
            "images": fetches_pictures(manifest),
            "access": manifest.output.access,
            **({"mirror": manifest.output.mirror} if manifest.output.mirror else {}),
        },
    }
