"""What requests other than a parse may ask for and don't get here, and why: one table for each
endpoint.

Shown in `usage.not_served` of the answer, as a parse's own (`parsing.unserved`) are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.reducto.api_types import JobType
from batcher.service.bodies import BODIES
from batcher.service.unknown import NOT_KNOWN, unknown_keys

NO_MODEL: Final = "no model runs here"
USUAL: Final = {  # what the API takes where nothing is said; asking for it asks for nothing
    "instructions.system_prompt": "Be precise and thorough.",
    "split_rules": "Split the document into the applicable sections. Sections may only overlap at "
    "their first and last "
    "page if at all.",
    "model": "default",
}
UNSERVED: Final[Mapping[str, Mapping[str, str]]] = {
    JobType.EXTRACT: {
        "instructions.system_prompt": "labels and tables are read by rules; `batcher serve "
        "--llm-url` asks a model",
        "settings.include_images": NO_MODEL,
        "settings.optimize_for_latency": "there is one speed",
        "settings.deep_extract": NO_MODEL,
    },
    JobType.SPLIT: {"split_rules": NO_MODEL, "settings.deep_split": NO_MODEL},
    JobType.CLASSIFY: {"model": NO_MODEL},
}
# what a model of the user's own serves after all
WITH_MODEL: Final = frozenset({"instructions.system_prompt"})


def shortfalls(request: Mapping[str, Any], type: str, *, model: bool = False) -> list[str]:
    """A sentence for each thing that was asked for in vain."""
    in_vain = [
        f"{path}: {reason}"
        for path, reason in UNSERVED.get(type, {}).items()
        if _asked(request, path) not in (None, False, "", USUAL.get(path))
        and not (model and path in WITH_MODEL)
    ]
    # of that its parse tells
    whole = {name: value for name, value in request.items() if name != "parsing"}
    return in_vain + [f"{path}: {NOT_KNOWN}" for path in unknown_keys(whole, BODIES[JobType(type)])]


def _asked(request: Mapping[str, Any], path: str) -> Any:
    value: Any = request
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
