"""The demo: example documents and a manifest for them, copied to a folder of the user's.

Both lie in the repository once; a wheel carries them inside the package.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import batcher

MANIFEST: Final = "quickstart.toml"
# paths in the repository's manifest, and what they are called in the copy
_PATHS: Final = {
    "../examples/documents": "documents",
    "../results/quickstart": "results",
    "manifests/quickstart.toml": MANIFEST,
}


def copy_demo(folder: Path) -> Path:
    """Copy documents and manifest into `folder`, and return the manifest's path.

    Raises FileExistsError if there is anything in the folder, or a file in its place; OSError, and
    then nothing of the copy is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(folder)
    documents, manifest = _originals()
    text = manifest.read_text("utf-8")
    for there, here in _PATHS.items():
        text = text.replace(there, here)
    try:
        _copy_folder(documents, folder / "documents")
        (folder / MANIFEST).write_text(text, "utf-8")
    except OSError:
        shutil.rmtree(folder / "documents", ignore_errors=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        raise
    return folder / MANIFEST


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder; raises the first OSError, of which `shutil.copytree` would make a list."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir():
            _copy_folder(path, target / path.name)
        else:
            shutil.copy2(path, target / path.name)


def _originals() -> tuple[Path, Path]:
    """Return where documents and manifest lie: in the package, or else in its repository."""
    package = Path(batcher.__file__).parent
    inside = package / "demo"
    if inside.is_dir():
        return inside / "documents", inside / MANIFEST
    return package.parent / "examples" / "documents", package.parent / "manifests" / MANIFEST
