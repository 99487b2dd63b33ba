"""Holds a job's options against what the API's description says of the body: offline, before
anything is paid. Pure.

The hosted service may well pass over a key that it doesn't know; whoever misspelt it would pay for
another result.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from batcher.errors import Problem
from batcher.reducto.job import Job
from batcher.reducto.request_schema import BODIES, Shape

REFUSE = "refuse"  # what becomes of options that the description doesn't know
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
    """What is wrong with the whole of a job's options, each thing with its path below `key`."""
    yield from _check(options, BODIES[endpoint], key, key, BODIES[endpoint])


def partial_problems(endpoint: str, options: Mapping[str, Any], *, key: str) -> Iterator[Problem]:
    """The same for options that are laid over others: nothing need be there."""
    body = {"keys": BODIES[endpoint]["keys"]}
    yield from _check(options, body, key, key, body)


def unknown_options(jobs: Iterable[Job]) -> Iterator[str]:
    """What the API's description doesn't know of options that are sent all the same, where that is
    to be told.
    """
    for job in jobs:
        yield from unknown_in(job, job.options, key=f"job.{job.name}.options")


def unknown_in(job: Job, options: Mapping[str, Any], *, key: str) -> Iterator[str]:
    """The same of options that are laid over the job's own."""
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
    """Nothing where one of the alternatives fits; else what is wrong with the one that comes
    nearest.
    """
    tried = [list(_check(value, shape, path, root, body)) for shape in shapes]
    if all(tried):
        deeper = [found for found in tried if any(problem.key != path for problem in found)]
        yield from min(deeper or tried, key=_distance)


def _distance(found: list[Problem]) -> tuple[int, int]:
    """What is only unknown may be right one day; what can't be is worse."""
    return sum(not problem.unknown for problem in found), len(found)


def _place_of(name: str, keys: Mapping[str, Shape], path: str, root: str, body: Shape) -> str:
    """The nearest name here, or where else in the body it stands."""
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
