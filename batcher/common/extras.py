"""How to install what some features need beside batcher itself."""

from __future__ import annotations

from typing import Final

# The name on the package index; `batcher` there is another project.
DISTRIBUTION: Final = "reducto-batcher"


def install_command(extra: str) -> str:
    """Return the command that installs batcher with one of its extras, as in pyproject.toml."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
