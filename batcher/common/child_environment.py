"""The environment of processes that read anybody's documents."""

from __future__ import annotations

import os
import sys
from typing import Final

# What such a process gets of our environment; there are no keys in it.
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TESSDATA_PREFIX",
    "BATCHER_OCR_LANGUAGES",
)


def scrubbed_environment() -> dict[str, str]:
    """Return the environment for a child: the module search path, and nothing secret.

    A malicious document may take over the process that reads it.
    """
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Else glibc reserves memory for each thread, which counts against the child's limit.
    kept["MALLOC_ARENA_MAX"] = "2"
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
