"""Pipelines: TOML files with requests of parse, split and extract, named by the file's stem.

The files in this folder ship with batcher; those of `--pipelines DIR` take precedence. A file is
read when a job names it, so a change needs no restart. Nothing here knows documents.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.reducto.request_schema import Body, ExtractBody, ParseBody, SplitBody
from batcher.service.parsing.pages import misconfigured

SHIPPED: Final = Path(__file__).parent
KEYS: Final = frozenset({"about", "parse", "split", "extract"})
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The requests of a pipeline.

    `extracts` are keyed by the name of the split they are for; without a split there is at most
    one, under "".
    """

    parse: Mapping[str, Any]
    split: Mapping[str, Any] | None
    extracts: Mapping[str, Mapping[str, Any]]


def recipe_of(request: Mapping[str, Any], folder: str) -> Recipe:
    """Return the recipe that `pipeline_id` names, with the request's document password.

    `folder` is that of `--pipelines`, or "". Raises DocumentProblem INVALID_CONFIG if the name is
    unknown or the file can't be used.
    """
    name = request["pipeline_id"]
    path = next(iter(_files(name, folder)), None)
    if path is None:
        known = sorted({file.stem for place in _places(folder) for file in place.glob("*.toml")})
        raise misconfigured(
            f"pipeline_id {name!r} is not known here; there are: {', '.join(known)}"
        )
    try:
        recipe = _read(path)
    except (ValueError, OSError, msgspec.ValidationError) as problem:
        raise misconfigured(f"the pipeline {path.name} can't be used: {problem}") from problem
    password = (request.get("settings") or {}).get("document_password")
    if not password:
        return recipe
    settings = {**(recipe.parse.get("settings") or {}), "document_password": password}
    return Recipe({**recipe.parse, "settings": settings}, recipe.split, recipe.extracts)


def _files(name: str, folder: str) -> Iterator[Path]:
    if _ID.fullmatch(name):
        yield from (path for place in _places(folder) if (path := place / f"{name}.toml").is_file())


def _places(folder: str) -> list[Path]:
    return [*([Path(folder)] if folder else []), SHIPPED]


def _read(path: Path) -> Recipe:
    table = tomllib.loads(path.read_text("utf-8"))
    if strangers := sorted(set(table) - KEYS):
        raise ValueError(
            f"it has {', '.join(strangers)}, and only {', '.join(sorted(KEYS))} are known"
        )
    parse = table.get("parse", {})
    split = table.get("split")
    extracts = [_with_schema(extract, path.parent) for extract in table.get("extract", [])]
    _check(parse, ParseBody, "parse")
    if split is not None:
        _check(split, SplitBody, "split")
    for extract in extracts:
        _check(extract, ExtractBody, "extract")
    names = [extract.pop("split", "") for extract in extracts]
    sections = (
        {""} if split is None else {category["name"] for category in split["split_description"]}
    )
    if wrong := [name for name in names if name not in sections or names.count(name) > 1]:
        raise ValueError(
            f"each extract is for one of the splits and each split has one at most; {wrong[0]!r} "
            "isn't so"
        )
    return Recipe(parse, split, dict(zip(names, extracts, strict=True)))


def _with_schema(extract: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if "schema_file" not in extract:
        return dict(extract)
    rest = {key: value for key, value in extract.items() if key != "schema_file"}
    schema = json.loads((folder / extract["schema_file"]).read_text("utf-8"))
    return {**rest, "instructions": {**rest.get("instructions", {}), "schema": schema}}


def _check(request: Mapping[str, Any], body: type[Body], step: str) -> None:
    try:
        msgspec.convert({**request, "input": "-"}, body)
    except msgspec.ValidationError as problem:
        raise ValueError(f"{step}: {problem}") from problem
