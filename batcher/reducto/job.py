"""What is asked of the API for each document: an endpoint, its options, and how it is to be
queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    name: str = "parse"
    endpoint: str = "parse"
    schema_file: Path | None = None
    priority: bool = False
    queue_priority: str = "auto"
    # warn, send: options that the API's description doesn't know are sent
    unknown_options: str = "refuse"
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
