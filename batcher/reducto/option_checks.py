"""Checks a job's options against the API's description, offline and before any payment. Pure.

The hosted service may well ignore a key that it doesn't know, and a misspelt key would then mean
paying for a different result.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from batcher.errors import Problem
from batcher.reducto.job import Job
from batcher.reducto.option_shapes import SHAPES, Shape

REFUSE = "refuse"  # what to do with options that the description doesn't know
WARN = "warn"
SEND = "send"
_TYPES: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "string": ("text", lambda value: isinstance(value, str)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": (
        "a whole number",
        lambda value: isinstance(value, int) and not isinstance(value, bool),
    ),
    "number": (
        "a number",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    ),
    "object": ("a table", lambda value: isinstance(value, Mapping)),
    "null": ("null", lambda value: value is None),
    "any": ("anything", lambda value: True),
}


def problems(endpoint: str, options: Mapping[str, Any], *, key: str) -> Iterator[Problem]:
    """Yield each problem with the whole of a job's options, with its path below `key`."""
    yield from _check(options, SHAPES[endpoint], key, key, SHAPES[endpoint])


def partial_problems(endpoint: str, options: Mapping[str, Any], *, key: str) -> Iterator[Problem]:
    """Do the same for options that override others, in which nothing is required."""
    body = {"keys": SHAPES[endpoint]["keys"]}
    yield from _check(options, body, key, key, body)


def unknown_options(jobs: Iterable[Job]) -> Iterator[str]:
    """Yield warnings about sent options that the API's description doesn't know.

    Only jobs that ask for such warnings are checked.
    """
    for job in jobs:
        yield from unknown_in(job, job.options, key=f"job.{job.name}.options")


def unknown_in(job: Job, options: Mapping[str, Any], *, key: str) -> Iterator[str]:
    """Do the same for options that override the job's own."""
    found = partial_problems(job.endpoint, options, key=key) if job.unknown_options == WARN else ()
    for problem in found:
        if problem.unknown:
            yield f"{problem.key}: {problem.message}, and is sent as it is (job.unknown_options)"


def _check(value: Any, shape: Shape, path: str, root: str, body: Shape) -> Iterator[Problem]:
    match shape:
        case str():
            words, fits = _TYPES[shape]
            if not fits(value):
                yield Problem(path, f"{words} is wanted, not {_shown(value)}")
        case list():
            yield from _best(value, shape, path, root, body)
        case {"among": known}:
            if value not in known:
                yield Problem(
                    path,
                    f"{_shown(value)} is not known",
                    _suggestion(str(value), known),
                    unknown=True,
                )
        case {"each": inner}:
            if not isinstance(value, list | tuple):
                yield Problem(path, f"a list is wanted, not {_shown(value)}")
                return
            for number, one in enumerate(value):
                yield from _check(one, inner, f"{path}[{number}]", root, body)
        case {"keys": keys}:
            if not isinstance(value, Mapping):
                yield Problem(path, f"a table is wanted, not {_shown(value)}")
                return
            yield from _check_table(value, keys, shape.get("needs", ()), path, root, body)


def _check_table(
    value: Mapping[str, Any],
    keys: Mapping[str, Shape],
    needs: Any,
    path: str,
    root: str,
    body: Shape,
) -> Iterator[Problem]:
    for name, inner in value.items():
        if name in keys:
            yield from _check(inner, keys[name], f"{path}.{name}", root, body)
        else:
            yield Problem(
                f"{path}.{name}",
                "unknown key",
                _place_of(name, keys, path, root, body),
                unknown=True,
            )
    for name in needs:
        if name not in value:
            yield Problem(f"{path}.{name}", "missing")


def _best(value: Any, shapes: list[Any], path: str, root: str, body: Shape) -> Iterator[Problem]:
    """Yield nothing if one of the alternatives fits, or else the problems with the closest one."""
    tried = [list(_check(value, shape, path, root, body)) for shape in shapes]
    if all(tried):
        deeper = [found for found in tried if any(problem.key != path for problem in found)]
        yield from min(deeper or tried, key=_distance)


def _distance(found: list[Problem]) -> tuple[int, int]:
    """Return a sort key: unknown values may become valid one day, so impossible ones are worse."""
    return sum(not problem.unknown for problem in found), len(found)


def _place_of(name: str, keys: Mapping[str, Shape], path: str, root: str, body: Shape) -> str:
    """Return the nearest name here, or where else in the body the name occurs."""
    near = difflib.get_close_matches(name, keys, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    places = dict(_places(body, root))
    elsewhere = difflib.get_close_matches(name, places, n=1, cutoff=0.8)
    if elsewhere:
        return f"did you mean {places[elsewhere[0]]}?"
    return f"known here: {', '.join(keys)}"


def _places(shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, dict):
        for name, inner in shape.get("keys", {}).items():
            yield name, f"{path}.{name}"
            yield from _places(inner, f"{path}.{name}")


def _suggestion(value: str, known: list[str]) -> str:
    near = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
