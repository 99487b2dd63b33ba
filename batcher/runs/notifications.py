"""Reports the end of a run to programs: writes summary.json and posts to [notify].

The summary lies beside the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from batcher.adapters.notifications import PATIENCE, notify
from batcher.common.private_files import make_file
from batcher.errors import BatcherError, ManifestError, Stopped
from batcher.exit_codes import RunEnd
from batcher.manifest.certificates import trust_of
from batcher.manifest.model import Manifest
from batcher.stages.run_control import PATIENCE_WHEN_STOPPED

_HOW: Final = {
    RunEnd.FINISHED: "finished",
    RunEnd.LIMIT: "stopped at a limit",
    RunEnd.STOPPED: "stopped",
    RunEnd.FAILED: "failed",
}
DIGEST: Final = 10  # groups of failures in a message; the summary has all of them


async def publish(manifest: Manifest, summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the summary and send the message about a run that ended.

    Returns what went wrong with that, in words. It raises no error: none of it is worth one.
    """
    troubles = (_write(manifest, summary), await _tell(manifest, summary))
    return tuple(filter(None, troubles))


async def publish_failure(manifest: Manifest, error: BatcherError) -> None:
    """Send the message about a run that couldn't start, or that broke off.

    The summary of the last complete run is kept.
    """
    ended = RunEnd.STOPPED if isinstance(error, Stopped) else RunEnd.FAILED
    told = {
        "batch": manifest.batch,
        "exit_code": error.exit_code,
        "ended": ended,
        "reason": str(error),
        "failures": [],
    }
    await _tell(manifest, told)


def _write(manifest: Manifest, values: Mapping[str, Any]) -> str | None:
    path = manifest.output.ledger_path.with_name("summary.json")
    unfinished = path.with_suffix(".json.part")
    try:
        unfinished.unlink(missing_ok=True)
        make_file(unfinished)  # private, since it names documents
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(values)))
        unfinished.replace(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


async def _tell(manifest: Manifest, values: Mapping[str, Any]) -> str | None:
    how = RunEnd(values["ended"])
    if manifest.notify is None or how not in manifest.notify.on:
        return None
    digest = values["failures"][:DIGEST]
    news = {"text": _words(values, how), **values, "failures": digest}
    patience = PATIENCE_WHEN_STOPPED if how is RunEnd.STOPPED else PATIENCE
    trust = None
    # The run reports this error itself, and the receiver's certificate may be publicly trusted.
    with suppress(ManifestError):
        trust = trust_of(manifest)
    return await notify(manifest.notify.url, news, patience=patience, trust=trust)


def _words(values: Mapping[str, Any], how: RunEnd) -> str:
    """Return one line for the key `text`, which chat systems show of what is posted to them."""
    counts = ", ".join(f"{number} {state}" for state, number in values.get("documents", {}).items())
    reason = f" ({values['reason']})" if values["reason"] else ""
    return f'batch "{values["batch"]}" {_HOW[how]}, exit code {values["exit_code"]}{reason}' + (
        counts and f": {counts}"
    )
