"""Where a batch is kept and what is known of it, given its manifest or its output directory.

The Python API and the command line both start here. Modules are imported where they are needed: a
command that only reads the ledger answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from batcher.manifest.model import Manifest

Batch: TypeAlias = "Manifest | Mapping[str, Any] | str | PathLike[str]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch of this name keeps its ledger and its results."""

    batch: str
    ledger: Path
    output: Path


def manifest_of(batch: Batch, *, sources: bool = True) -> Manifest:
    """Return the manifest, which is loaded if need be. Raises ManifestError.

    Its sources must exist unless `sources` is false.
    """
    from batcher.errors import ManifestError, Problem
    from batcher.manifest.loading import load, of_values
    from batcher.manifest.model import Manifest

    if isinstance(batch, Manifest):
        return batch
    if isinstance(batch, Mapping):
        return of_values(batch)
    path = Path(batch)
    if path.is_dir():
        hint = 'name a manifest, or say {"source": {"directory": …}, "output": {"directory": …}}'
        raise ManifestError(str(path), [Problem("", "this is a directory", hint)])
    return load(path, sources=sources)


def known_manifest(batch: Batch) -> Manifest:
    """Return the manifest; for an output directory, as much as its ledger remembers."""
    from batcher.ledger.remembered import remembered

    if _is_output(batch):
        return remembered(place_of(batch).ledger)
    return manifest_of(batch, sources=False)


def place_of(batch: Batch) -> Place:
    """Return the place of a batch. Raises ManifestError."""
    if isinstance(batch, str | PathLike) and _is_output(batch):
        output = Path(batch)
        return Place(output.absolute().name, output / ".batcher" / "ledger.db", output)
    manifest = manifest_of(batch, sources=False)
    return Place(manifest.batch, manifest.output.ledger_path, manifest.output.directory)


def access_of(batch: Batch) -> str:
    """Return who may read files written for the batch; "owner" if that isn't known."""
    from batcher.errors import BatcherError

    try:
        return known_manifest(batch).output.access
    except BatcherError:
        return "owner"


def _is_output(batch: Batch) -> bool:
    return isinstance(batch, str | PathLike) and Path(batch).is_dir()
