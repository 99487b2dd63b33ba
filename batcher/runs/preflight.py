"""What a run checks before the first document: the ledger is locked and open, the service answers.

It starts no stage, and changes nothing but the ledger's own tables.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from batcher.adapters.clock import SteadyClock
from batcher.adapters.local_process import OnCluster, embedded
from batcher.common.formatting import format_duration
from batcher.common.secrets import SHORT, Secrets
from batcher.core.retry_policy import Backoff
from batcher.errors import (
    BadReply,
    Busy,
    LedgerForeign,
    ManifestError,
    OutputError,
    Problem,
    Refused,
    ServiceError,
    Stopped,
    Unreachable,
)
from batcher.exit_codes import ExitCode
from batcher.ledger.claim import forget_claim, refuse_outdated
from batcher.ledger.journal import journal_of, set_aside
from batcher.ledger.ledger import Ledger, lock, open_ledger
from batcher.ledger.schema import is_there
from batcher.manifest.certificates import trust_of
from batcher.manifest.headers import UNSENDABLE, is_sendable, variable_of
from batcher.manifest.model import LOCAL, Manifest
from batcher.manifest.password_rules import passwords_in
from batcher.outputs.result_store import Store
from batcher.reducto.calls import Meter
from batcher.reducto.client import Api, ReductoClient
from batcher.reducto.error_rules import REMEDIES
from batcher.reducto.exchange import PROXY_WANTS_A_USER, speaks_no_tls, unusable_proxy, wants_a_user
from batcher.sources.passwords import ring_of
from batcher.stages.run_control import RunControl

Clock = Callable[[], float]

SOON: Final = 2.0  # seconds without a first answer after which a warning is shown


@dataclass(frozen=True, slots=True)
class Connection:
    """A service that can be called.

    Attempts are recorded under its `identity` and `key_print`, the fingerprint of the API key.
    """

    client: Api
    identity: str
    key_print: str
    token_key: bytes = field(default=b"", repr=False)  # for webhooks that aren't signed


def open_batch(manifest: Manifest, stack: AsyncExitStack, clock: Clock) -> Ledger:
    """Lock and open the ledger of a batch; `stack` closes and unlocks it.

    Raises LedgerError and its subclasses, and OutputError.
    """
    path = manifest.output.ledger_path
    refuse_strangers(manifest)
    with suppress(OutputError):  # the check before writing gives a better message
        Store(manifest.output.directory, manifest.output.access).make_root()
    stack.callback(os.close, lock(path))
    output = manifest.output.directory
    if manifest.output.start_over and not _holds_anything(path):
        set_aside(path)
        forget_claim(output)
    elif not _holds_anything(path):
        refuse_outdated(path, None, output)  # before there is a file to take for a ledger
    ledger = open_ledger(path, batch=manifest.batch, clock=clock)
    stack.callback(ledger.close)
    refuse_outdated(path, ledger.claim, output)
    return ledger


def refuse_strangers(manifest: Manifest) -> None:
    """Refuse an output directory with results but without a ledger.

    There is no telling which of them were paid for, and a run would pay for everything again.
    Raises LedgerForeign, unless the manifest says to start over.
    """
    output = manifest.output.directory
    ledger = manifest.output.ledger_path
    if manifest.output.start_over or _holds_anything(ledger):
        return
    if journal_of(ledger).exists():
        raise LedgerForeign(
            f"{journal_of(ledger)}: there is a journal but no ledger at {ledger}; a run would pay "
            "for everything again. "
            "`batcher rebuild MANIFEST` makes the ledger from its journal, --start-over begins "
            "without"
        )
    if output.is_dir() and any(not entry.name.startswith(".") for entry in output.iterdir()):
        raise LedgerForeign(
            f"{output}: there are files but no ledger at {ledger}; were they results, a run would "
            "pay for them again. "
            "`batcher rebuild MANIFEST` makes one of the service's listing; or name another "
            "output.directory, put the "
            "ledger back, or begin without by --start-over"
        )


def _holds_anything(ledger: Path) -> bool:
    """Return whether there is a ledger with content.

    An empty file is what a run leaves that was killed in its first moment, or what a failing disk
    made of a ledger.
    """
    return is_there(ledger) and ledger.stat().st_size > 0


def refuse_foreign_attempts(ledger: Ledger, reached: Connection) -> None:
    """Raise LedgerForeign if submissions are in flight at another service or with another key."""
    for service, number in ledger.tracking.foreign_attempts(reached.identity, reached.key_print):
        raise LedgerForeign(
            f"{number} submissions are still out at {service}, or under another key, and only "
            "there can be found "
            "again; finish them with that service and key first"
        )


def keep_secrets(manifest: Manifest, secrets: Secrets) -> None:
    """Register all values that the service may be sent and that must never be written down.

    Missing ones are skipped; other checks report them.
    """
    secrets.keep(_environment(manifest.service.api_key_env), "the key")
    for value in manifest.service.headers.values():
        secrets.keep(_words_of(variable_of(value)), "a header")
    for job in manifest.jobs:
        secrets.keep(passwords_in(job.options), "a password")
    for source in manifest.sources:
        with suppress(ManifestError):
            secrets.keep(ring_of(source, manifest.where), "a password")
    if manifest.webhook is not None:
        secrets.keep(_environment(manifest.webhook.secret_env), "the webhook's secret")
        secrets.keep_address(manifest.webhook.public_url or "")
    if manifest.notify is not None:
        # anybody who knows such an address may post to it
        secrets.keep([manifest.notify.url], "notify.url")


def _environment(name: str | None) -> list[str]:
    """Return the value of the variable and each word of it, since it may hold several secrets."""
    held = os.environ.get(name, "").strip() if name else ""
    words = held.replace(",", " ").split()
    return [held, *words, *(word.removeprefix("whsec_") for word in words)]


def _words_of(name: str | None) -> list[str]:
    """Return the value of the variable, and its words that are long enough for a secret.

    "Bearer" and the like are not.
    """
    held = os.environ.get(name, "").strip() if name else ""
    return [held, *(word for word in held.split() if len(word) >= SHORT)]


@asynccontextmanager
async def reach(
    manifest: Manifest,
    control: RunControl,
    clock: SteadyClock,
    secrets: Secrets | None = None,
    *,
    meter: Meter | None = None,
) -> AsyncIterator[Connection]:
    """Connect to the service, and yield once it has answered.

    No error that is raised, here or in the block, contains any of `secrets`, which hold those of
    the manifest from then on. `meter` is told of each request. Raises ManifestError; ServiceError
    after the manifest's patience, or at once where the key is refused; Stopped where the run is
    stopped first.
    """
    control.secrets = secrets = Secrets() if secrets is None else secrets
    keep_secrets(manifest, secrets)
    try:
        async with _reached(manifest, control, clock, meter) as reached:
            yield reached
    except Exception as error:
        secrets.clean(error)
        raise


@asynccontextmanager
async def _reached(
    manifest: Manifest, control: RunControl, clock: SteadyClock, meter: Meter | None
) -> AsyncIterator[Connection]:
    service = manifest.service
    trust = trust_of(manifest)
    headers = _headers(manifest)
    async with AsyncExitStack() as stack:
        if service.is_local:
            data_dir = manifest.output.ledger_path.parent / "service"
            url, key = await stack.enter_async_context(
                embedded(
                    data_dir,
                    retention=service.result_retention,
                    chaos=service.chaos,
                    urls=service.allow_urls,
                    on=_cluster_of(manifest, control),
                )
            )
            key_print = LOCAL  # the key is new each time, but the data stays
        else:
            url = service.identity
            key = _key(manifest)
            key_print = fingerprint(key)
        client = await stack.enter_async_context(
            ReductoClient(
                url, key, trust=trust, headers=headers, meter=meter, observe=control.observe
            )
        )
        whose = f"{url} must be the service, and {service.api_key_env} must hold its key"
        _refuse_proxy(manifest, url)
        await _first_answer(client, control, whose, patience=service.patience)
        off = clock.go_by(client.service_time)
        if off:
            side = "ahead of" if off > 0 else "behind"
            control.warn(
                f"this machine's clock is {format_duration(abs(off))} {side} the service's, which "
                "this run goes by"
            )
        yield Connection(client, service.identity, key_print, _token_key(key))


def _cluster_of(manifest: Manifest, control: RunControl) -> OnCluster | None:
    """Return the cluster on which the local service reads, which ends the run if it is lost."""
    if manifest.cluster is None:
        return None

    def lost(why: str, exit_code: ExitCode) -> None:
        control.stop(why, exit_code, abort=True)

    return OnCluster(manifest.cluster, manifest.service.patience, control.cluster_became, lost)


def _refuse_proxy(manifest: Manifest, url: str) -> None:
    if wrong := unusable_proxy(url):
        hint = "http://HOST:PORT is wanted, or no_proxy with the service's host"
        raise ManifestError(manifest.where, [Problem("", wrong, hint)])


def _key(manifest: Manifest) -> str:
    name = manifest.service.api_key_env
    key = os.environ.get(name, "").strip()
    if not key:
        problem = Problem(
            "service.api_key_env", f"the environment variable {name} isn't set", f"export {name}=…"
        )
        raise ManifestError(manifest.where, [problem])
    if not (key.isascii() and key.isprintable()):
        problem = Problem(
            "service.api_key_env",
            f"the environment variable {name} holds what no key has: a line break, or a character "
            "that isn't ASCII",
            f"export {name}=…",
        )
        raise ManifestError(manifest.where, [problem])
    return key


def _headers(manifest: Manifest) -> dict[str, str]:
    """Return the headers to send, with the values of their environment variables."""
    sent: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in manifest.service.headers.items():
        variable = variable_of(value)
        sent[name] = value if variable is None else os.environ.get(variable, "").strip()
        if variable is not None and (what := _unsendable(sent[name])):
            words = f"the environment variable {variable} {what}"
            problems.append(Problem(f"service.headers.{name}", words, f"export {variable}=…"))
    if problems:
        raise ManifestError(manifest.where, problems)
    return sent


def _unsendable(held: str) -> str:
    if not held:
        return "isn't set"
    return "" if is_sendable(held) else f"holds {UNSENDABLE}"


def fingerprint(key: str) -> str:
    """Return 16 hex digits that tell keys apart and reveal nothing about them."""
    return hmac.new(key.encode(), b"batcher's fingerprint of a key", "sha256").hexdigest()[:16]


def _token_key(key: str) -> bytes:
    return hmac.new(key.encode(), b"batcher's key for webhook tokens", "sha256").digest()


_CERTIFICATES: Final = (
    "service.ca_file (or SSL_CERT_FILE) names a file of those that are to be trusted besides"
)


def _final(error: ServiceError) -> str:
    """Return why no answer will come however long it is waited for; empty if one may come."""
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return f"its certificate isn't trusted here: {error.message}. {_CERTIFICATES}"
    if speaks_no_tls(error):
        return f"no TLS is spoken there: {error.message}. service.url may have to begin with http:"
    if wants_a_user(error):
        return f"{error.message}; {REMEDIES[PROXY_WANTS_A_USER]}"
    if isinstance(error, BadReply) and 300 <= error.status < 400:
        return f"{error.message}; service.url has to be the address that answers itself"
    return ""


async def _first_answer(
    client: ReductoClient, control: RunControl, whose: str, *, patience: float
) -> None:
    """Ask for one row of the job list, which checks address and key and costs nothing.

    `whose` says, for error messages, what address and key must be. Shows a warning if it takes
    longer than `SOON`, and ends when the run is stopped. Raises ServiceError, and Stopped in that
    case.
    """
    trouble = list[str]()
    asking = asyncio.create_task(_ask_until_answered(client, whose, trouble, patience=patience))
    stopped = asyncio.create_task(control.stopped.wait())
    try:
        done, _ = await asyncio.wait(
            {asking, stopped}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            control.warn(_waits_for_an_answer(patience - SOON, trouble))
            await asyncio.wait({asking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done() and not (await asyncio.wait({asking}, timeout=SOON))[0]:
            raise Stopped("stopped before the service gave its first answer; nothing was sent")
        asking.result()
    finally:
        asking.cancel()
        stopped.cancel()


def _waits_for_an_answer(left: float, trouble: list[str]) -> str:
    until = datetime.now() + timedelta(seconds=left)
    why = f" ({trouble[-1]})" if trouble else ""
    return (
        f"no answer from the service yet{why}: it is waited for until {until:%H:%M:%S}, and "
        "nothing is sent before"
    )


async def _ask_until_answered(
    client: ReductoClient, whose: str, trouble: list[str], *, patience: float
) -> None:
    rng = random.Random()  # noqa: S311 (a back-off, no secret)
    until = time.monotonic() + patience
    tries = 0
    while True:
        try:
            await client.jobs(limit=1)
            return
        except ServiceError as error:
            if isinstance(error, Refused) and not isinstance(error, Busy):
                what_to_do = REMEDIES.get(error.status, whose)
                words = f"{error.said}; {what_to_do}" if error.said else what_to_do
                raise type(error)(
                    error.call, words, status=error.status, name=error.name
                ) from error
            if final := _final(error):
                raise Unreachable(error.call, f"{final}; nothing was sent") from error
            if time.monotonic() > until:
                words = f"no first answer within {patience:g} s: {error.message}; nothing was sent"
                raise Unreachable(error.call, f"{words}; rerun the same command later") from error
            asked = error.retry_after if isinstance(error, Busy) else None
            trouble.append(error.message)
        pause = Backoff(first=0.5, most=10.0).span(tries, rng) if asked is None else asked
        await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
        tries += 1
