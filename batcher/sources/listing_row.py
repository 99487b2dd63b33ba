"""Read a row of a listing: its document, its options, its metadata. Pure.

The options are those that the row sets beside its job's.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from batcher.common.json_values import KeyTwice, as_json, each_once
from batcher.common.names import name_of
from batcher.common.urls import is_url, url_key, url_name
from batcher.core.chain import Overrides
from batcher.reducto.address_lists import EXAMPLE, Source, check_list, list_key, read_list
from batcher.reducto.api_types import METADATA_KEY
from batcher.reducto.option_checks import partial_problems

T = TypeVar("T")

# Lone surrogates, except those that stand for an undecodable byte (surrogateescape).
_HALVES: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One document of a listing.

    It has either a `path`, written as by `common.names`, or a `url`, which may be a secret, or a
    tuple of them. `content` identifies the document, since its bytes aren't read here.
    """

    name: str
    path: str | None = None
    url: Source | None = field(default=None, repr=False)
    content: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)

    @property
    def is_fetched(self) -> bool:
        """Whether the service has to fetch something."""
        return any(map(is_url, (self.url,) if isinstance(self.url, str) else self.url or ()))


def read_row(
    row: Mapping[str, Any],
    endpoints: Mapping[str, str],
    *,
    is_text: bool,
    ignore: Collection[str] = (),
    tolerant: Collection[str] = (),
) -> ListingRow:
    """Return the row's document with its metadata and options.

    `endpoints` are by the job's name. `is_text`: values are text that may be JSON. `ignore` are
    query parameters that don't distinguish documents; `tolerant` are the jobs whose options may be
    newer than the API's description. Raises ValueError with the problem if the row can't be used.
    """
    place = read_place(row, ignore=ignore)
    if isinstance(place.url, tuple):
        parts = place.url
        _in_url(lambda: check_list(parts, endpoints.values()))
    metadata, overrides = _the_rest(row, endpoints, is_text=is_text)
    for job, options in overrides.items():
        _check(endpoints[job], options, tolerant=job in tolerant)
    return replace(place, metadata=metadata, overrides=overrides)


def read_place(row: Mapping[str, Any], *, ignore: Collection[str] = ()) -> ListingRow:
    """Return the row's document without metadata and options. Raises ValueError."""
    path, url, told = (_told(row, column) for column in ("path", "url", "id"))
    if path is None and url is None:
        raise ValueError("a path or a url is wanted")
    if path is not None and url is not None:
        raise ValueError("path and url exclude each other")
    name = None if told is None else name_of(str(told).encode("utf-8", "surrogateescape"))
    if url is not None:
        several = _in_url(lambda: read_list(url))
        if several is not None:
            return _several(several, name, ignore)
        if not isinstance(url, str) or not is_url(url):
            raise ValueError("url: an http(s) address is wanted")
        return ListingRow(
            name or url_name(url, ignore=ignore), url=url, content=url_key(url, ignore=ignore)
        )
    if isinstance(path, list):
        raise ValueError(
            "path: one file is wanted; several documents of one job go by addresses, as url: "
            f"{EXAMPLE}"
        )
    if not isinstance(path, str) or "\0" in path:
        raise ValueError("path: text is wanted")
    where = name_of(posixpath.normpath(path).encode("utf-8", "surrogateescape"))
    return ListingRow(name or where, path=where)


def _several(parts: tuple[str, ...], name: str | None, ignore: Collection[str]) -> ListingRow:
    """Return one job of several documents; it needs an id, since nothing else names its result."""
    if name is None:
        raise ValueError(
            "several documents in url, and no id; give the row one, by which its result is called"
        )
    return ListingRow(name, url=parts, content=_in_url(lambda: list_key(parts, ignore=ignore)))


def _in_url(read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        mark = "" if str(error).startswith("[") else ": "
        raise ValueError(f"url{mark}{error}") from error


def _told(row: Mapping[str, Any], column: str) -> Any:
    """Return a column's value, or None in any of the ways in which a table leaves it out.

    Raises ValueError.
    """
    value = row.get(column)
    if isinstance(value, str) and column != "url" and not _HALVES.search(value):
        return value or None  # a path may hold bytes that aren't text
    carried = as_json(value, column)
    return None if carried == "" else carried


def _the_rest(
    row: Mapping[str, Any], endpoints: Mapping[str, str], *, is_text: bool
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    metadata: dict[str, Any] = {}
    overrides: dict[str, dict[str, Any]] = {}
    for column, value in row.items():
        if column in ("path", "url", "id"):
            continue
        where = _job_of(as_json(column, "a column's name"), endpoints)
        carried = as_json(value, column)
        if carried is None:
            continue
        if where is None:
            metadata[column] = carried
        elif carried != "":
            job, keys = where
            _set(
                overrides.setdefault(job, {}), keys, _value(carried, column) if is_text else carried
            )
    if METADATA_KEY in metadata:
        raise ValueError(
            f"{METADATA_KEY}: this name is batcher's own; call the column something else"
        )
    return metadata, overrides


def _job_of(column: str, endpoints: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Return the job of which a column is an option, and the keys below it; None for metadata."""
    first, *rest = column.split(".")
    if first == "options" and rest:
        if len(endpoints) > 1:
            raise ValueError(
                f"{column}: of which step? name the column {next(iter(endpoints))}.{column}"
            )
        return next(iter(endpoints)), rest
    if first in endpoints and rest[:1] == ["options"] and len(rest) > 1:
        return first, rest[1:]
    return None


def _set(options: dict[str, Any], keys: list[str], value: Any) -> None:
    *tables, last = keys
    for name in tables:
        options = options.setdefault(name, {})
        if not isinstance(options, dict):
            raise ValueError(
                f"options.{'.'.join(keys)}: another column gives {name} a value of its own"
            )
    options[last] = value


def _value(text: Any, column: str) -> Any:
    """Return text as JSON if it is JSON, otherwise as it is. Raises ValueError."""
    try:
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=each_once)
    except KeyTwice as error:
        raise ValueError(f"{column}: {error}") from error
    except (TypeError, ValueError):
        return text
    except RecursionError as error:
        raise ValueError(f"{column}: nested too deep") from error
    return as_json(value, column)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def _check(endpoint: str, options: Mapping[str, Any], *, tolerant: bool) -> None:
    if PASSWORD in json.dumps(options):
        raise ValueError("a listing must not carry passwords; name them by source.passwords_env")
    for found in partial_problems(endpoint, options, key="options"):
        if not (found.unknown and tolerant):
            raise ValueError(str(found))
