"""What a manifest says, as values. How it is read and checked is `manifest.keys`."""

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
    """`name` is local, one of the hosted ones, or empty where `url` says it. Times in seconds."""

    name: str = LOCAL
    url: str | None = None
    api_key_env: str = "REDUCTO_API_KEY"
    result_retention: float = RETENTION
    requests_per_second: float | None = None
    settle: float | None = None
    max_in_flight: int | None = None  # as many as can be brought home in time
    patience: float = 120.0
    ca_file: Path | None = None  # certificates that are trusted besides the system's
    # sent with each request to the API; env:NAME by reference
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_urls: bool = False  # of the local one: whether it fetches documents by their address
    chaos: str = ""  # faults of the local one, in a rehearsal

    @property
    def is_local(self) -> bool:
        return self.url is None and self.name == LOCAL

    @property
    def identity(self) -> str:
        """What attempts are booked under, and results belong to.

        The local one's address is new each time.
        """
        return LOCAL if self.is_local else (self.url or SERVICES[self.name]).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One of `directory`, `listing` and `url`, of a place in an object store.

    Sizes in bytes, ages in seconds.
    """

    directory: Path | None = None
    listing: Path | None = None
    url: str | None = None
    ignore: tuple[
        str, ...
    ] = ()  # parameters of addresses that tell no documents apart, by `identity`
    transfer: str = "upload"  # of objects; presign: the service fetches them by a signed address
    # what opens protected documents, by reference: a variable's name, a file
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
        """Where its documents are known by their names."""
        if self.listing is not None:
            return str(self.listing.parent)
        return str(self.directory or self.url)

    def outline(self) -> dict[str, Any]:
        if self.url is not None:
            return {"url": self.url}
        if self.directory is not None:
            where: dict[str, Any] = {"directory": str(self.directory)}
        else:
            where = {"listing": str(self.listing)}
        if self.ignore:
            where["identity"] = {"ignore": list(self.ignore)}
        # Where passwords stand, and not what they are: whoever fetches a batch's results cuts them
        # out of what is said.
        if self.passwords_env:
            where["passwords_env"] = self.passwords_env
        if self.passwords_file:
            where["passwords_file"] = str(self.passwords_file)
        return where


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    directory: Path
    formats: tuple[str, ...] = ("json",)  # json is always written: everything else is made of it
    lines: str = "documents"  # what a line of results.jsonl is
    mirror: str | None = None  # an object store's address, where results are put as well
    # whether linked pictures are fetched; None: where the job asks for some
    images: bool | None = None
    ledger: Path | None = None
    access: str = "owner"  # who may read what is written; or "group": the folder's as well
    # or "saved": job and upload are deleted at the service once the result is on disk
    clean: str = "never"
    # of a person who knows that results without a ledger will be paid for again
    start_over: bool = False

    @property
    def ledger_path(self) -> Path:
        return self.ledger or self.directory / ".batcher" / "ledger.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """`listen` is host and port.

    Without `public_url` the service is told the address that is listened on.
    """

    mode: str = "direct"
    public_url: str | None = None
    listen: tuple[str, int] = ("127.0.0.1", 8090)
    secret_env: str | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one run.

    `max_cost` in dollars, `max_duration` in seconds, `stop_at` by the local clock; None: no limit.
    """

    max_documents: int | None = None
    max_pages: int | None = None
    max_credits: float | None = None
    max_cost: float | None = None
    pay_again: float = 100.0  # credits for what is saved already that a run spends without asking
    max_duration: float | None = None
    stop_at: time | None = None
    # so many documents are all that is asked of this run: then they are no limit
    is_sample: bool = False

    @property
    def spending(self) -> bool:
        """Whether anything limits what is sent, apart from time."""
        return any(
            cap is not None
            for cap in (self.max_documents, self.max_pages, self.max_credits, self.max_cost)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """`on`: how a run ended, in the words of `exit_codes`."""

    url: str
    on: tuple[str, ...] = tuple(RunEnd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`where` names it for messages: its path, or the words of a command line."""

    batch: str
    service: Service
    sources: tuple[Source, ...]
    jobs: tuple[Job, ...]
    output: Output
    retry: tuple[tuple[str, str | None, int | None], ...] = ()
    runs: int = RUNS  # that try a document by themselves as long as it fails for a passing reason
    webhook: Webhook | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Prices = field(default_factory=Prices)
    notify: Notify | None = None
    where: str = ""


# what makes a result link to files
LINKED: Final = (
    "return_images",
    "embed_pdf_metadata",
    "advanced_chart_agent",
)


def fetches_pictures(manifest: Manifest) -> bool:
    asked = manifest.output.images
    return any(wants_pictures(job.options) for job in manifest.jobs) if asked is None else asked


def wants_pictures(options: Any) -> bool:
    """Whether anything asks for some, for a PDF with the text that was read in it, or for the data
    of charts.
    """
    if isinstance(options, list):
        return any(map(wants_pictures, options))
    if not isinstance(options, Mapping):
        return False
    return any(map(options.get, LINKED)) or any(map(wants_pictures, options.values()))


def rehearsal_of(manifest: Manifest, *, chaos: str) -> Manifest:
    """The same documents and job, sent to a local service with faults, with an output and a ledger
    of their own.
    """
    apart = manifest.output.ledger_path.parent / "rehearsal"
    real = manifest.service
    service = Service(
        chaos=chaos, result_retention=real.result_retention, max_in_flight=real.max_in_flight
    )
    output = replace(manifest.output, directory=apart, ledger=None, mirror=None, start_over=False)
    return replace(manifest, service=service, output=output, webhook=None, notify=None)


def outline(manifest: Manifest) -> dict[str, Any]:
    """As much of it as brings a batch home: no options, which may hold what is nobody's
    business.
    """
    service = manifest.service
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
