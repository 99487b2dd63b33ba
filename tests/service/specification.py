"""The API's own description, v1.12.20, as its vendor ships it, and an overlay for what it leaves
out: refusals.

`check` holds an answer against one of its schemas; `overlaid` is the whole, for requests made up
from it.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

import jsonschema

SPECIFICATION: Final = json.loads((Path(__file__).parent / "openapi-v1.12.20.json").read_text())
ENVELOPE: Final = {
    "type": "object",
    "required": ["error", "detail"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "name", "message"],
            "properties": {
                "code": {"type": "integer"},
                "name": {"$ref": "#/components/schemas/ErrorCode"},
                "message": {"type": "string"},
            },
        },
        "detail": {"type": "string"},
    },
}
REFUSED: Final = {400: ENVELOPE, 401: ENVELOPE}
JOB: Final = {404: ENVELOPE, 409: ENVELOPE, 410: ENVELOPE}
DOCUMENT: Final = {413: ENVELOPE, 415: ENVELOPE, 442: ENVELOPE}
OVERLAY: Final[dict[str, dict[int, Any]]] = {  # by the first part of the path
    **dict.fromkeys(("job", "cancel"), JOB),
    **dict.fromkeys(("parse", "extract", "split", "pipeline", "classify"), DOCUMENT),
    "upload": {404: ENVELOPE},
}


def check(answer: object, name: str) -> None:
    """Raises where `answer` is not as the schema `name` has it."""
    schema = {"components": SPECIFICATION["components"], "$ref": f"#/components/schemas/{name}"}
    jsonschema.Draft202012Validator(schema).validate(answer)


def overlaid() -> dict[str, Any]:
    """The description with the statuses that it doesn't tell of but the service is known to
    answer.
    """
    whole = copy.deepcopy(SPECIFICATION)
    for path, methods in whole["paths"].items():
        more = OVERLAY.get(path.split("/")[1].removesuffix("_async"), {})
        for operation in methods.values():
            for status, schema in {**REFUSED, **more}.items():
                content = {"application/json": {"schema": schema}}
                operation["responses"].setdefault(
                    str(status), {"description": "Refused", "content": content}
                )
            # by the edge's nginx
            operation["responses"]["403"] = {
                "description": "No key",
                "content": {"text/html": {}},
            }
    for name in ("SingleJob", "EnhancedAsyncJobResponse"):
        # Answers that were recorded name no zone, which `date-time` would want; that moment is UTC.
        _without_format(whole["components"]["schemas"][name]["properties"]["created_at"])
    return whole


def _without_format(schema: dict[str, Any]) -> None:
    for part in (schema, *schema.get("anyOf", ())):
        part.pop("format", None)
