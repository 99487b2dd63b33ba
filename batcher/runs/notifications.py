"""What a run leaves for programs: summary.json beside the ledger, and a message to the manifest's
[notify].
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
DIGEST: Final = 10  # groups of failures in a message; the summary has them all


async def publish(manifest: Manifest, summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Write and tell how a run ended.

    Returns what went wrong with that, in words; nothing of it is worth an error.
    """
    troubles = (_write(manifest, summary), await _tell(manifest, summary))
    return tuple(filter(None, troubles))


async def publish_failure(manifest: Manifest, error: BatcherError) -> None:
    """Tell of a run that couldn't begin, or broke off; the summary of the last whole one stays."""
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
        make_file(unfinished)  # it names documents
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
    with suppress(
        ManifestError
    ):  # that the run is told of; whoever hears its end may be known to all the world
        trust = trust_of(manifest)
    return await notify(manifest.notify.url, news, patience=patience, trust=trust)


def _words(values: Mapping[str, Any], how: RunEnd) -> str:
    """One line, as chat systems show the `text` of what is posted to them."""
    counts = ", ".join(f"{number} {state}" for state, number in values.get("documents", {}).items())
    reason = f" ({values['reason']})" if values["reason"] else ""
    return f'batch "{values["batch"]}" {_HOW[how]}, exit code {values["exit_code"]}{reason}' + (
        counts and f": {counts}"
    )
