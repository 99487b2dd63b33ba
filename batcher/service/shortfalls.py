"""The options of extract, split and classify that have no effect here, with the reason for each.

The answer lists them in `usage.not_served`, as a parse does with those of `parsing.unserved`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.reducto.api_types import JobType
from batcher.service.bodies import BODIES
from batcher.service.unknown import NOT_KNOWN, unknown_keys

NO_MODEL: Final = "no model runs here"
USUAL: Final = {  # the API's defaults; sending them asks for nothing
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
# Options that a model of the user's own serves.
WITH_MODEL: Final = frozenset({"instructions.system_prompt"})


def shortfalls(request: Mapping[str, Any], type: str, *, model: bool = False) -> list[str]:
    """Return a sentence for each option in the request that has no effect.

    `model` says whether a model answers questions.
    """
    in_vain = [
        f"{path}: {reason}"
        for path, reason in UNSERVED.get(type, {}).items()
        if _asked(request, path) not in (None, False, "", USUAL.get(path))
        and not (model and path in WITH_MODEL)
    ]
    # The parse reports on its own options.
    whole = {name: value for name, value in request.items() if name != "parsing"}
    return in_vain + [f"{path}: {NOT_KNOWN}" for path in unknown_keys(whole, BODIES[JobType(type)])]


def _asked(request: Mapping[str, Any], path: str) -> Any:
    value: Any = request
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
