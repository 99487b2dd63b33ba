"""Documents in object stores (S3, Google Cloud Storage, Azure), through obstore.

They are listed as a stream, and then either signed for the service or downloaded. Credentials,
region and endpoint come from the environment, as with the stores' own tools, and are written
nowhere. Objects aren't read to tell whether they are new: ETag and size stand for the hash of the
content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from batcher.common.names import content_key, name_of, path_of
from batcher.common.private_files import make_file
from batcher.common.secrets import redact_urls
from batcher.core.reasons import EMPTY, TOO_LARGE
from batcher.errors import (
    ManifestError,
    Problem,
    SourceChangedError,
    SourceGoneError,
    SourceUnreadableError,
)
from batcher.manifest.model import Source
from batcher.reducto.api_types import PRESIGNED_UPLOAD_LIMIT
from batcher.sources.directory import UNREADABLE, UNSUPPORTED, Found, Rules, fitting, moment
from batcher.sources.left_out import LeftOut, Reason
from batcher.sources.signed_addresses import signed_address

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
CHUNK: Final = 1000  # objects per request of a listing
BLOCK: Final = 4 << 20  # bytes fetched at once
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")  # S3's name of an error, in its XML
# obstore's message for a key that it can't represent; it then refuses the whole page of the
# listing.
_ODD: Final = re.compile(
    r'invalid path: (?:Error parsing )?Path "(.*)"(?: contained empty|: Encountered)', re.DOTALL
)
_ODD_PARTS: Final = ("", ".", "..")
_ODD_REASON: Final = (
    "an empty part in its key, or one of dots: neither it nor others there can be read; rename them"
)
SIGNED: Final = "sign:"  # place of a document that the service fetches itself


@dataclass(frozen=True, slots=True)
class Fetched:
    """A large object in a temporary file, to be removed once it is uploaded."""

    path: Path


def check(source: Source) -> None:
    """List one object. Raises ManifestError if the store can't be reached or read."""
    try:
        next(iter(_listed(source)), None)
    except SourceUnreadableError as error:
        hint = (
            "credentials, region and endpoint are taken from the environment, as in "
            "AWS_ACCESS_KEY_ID"
        )
        raise ManifestError(
            str(source.url), [Problem("source.url", _without(str(source.url), error), hint)]
        ) from error


def walk(
    source: Source, *, types: Container[str], now: float, left: LeftOut | None = None
) -> Iterator[Found]:
    """Yield every document below `source.url` in the store's order.

    `types` are the extensions taken if the source has no patterns; `now` is in seconds since the
    epoch. What is left out is counted in `left`. Raises SourceUnreadableError.
    """
    left = LeftOut() if left is None else left
    yield from fitting(source, _walked(source, types, left), now, left)


def _walked(source: Source, types: Container[str], left: LeftOut) -> Iterator[Found]:
    rules = Rules(source, types)
    for meta in _listed(source):
        key = os.fsencode(meta["path"])
        against = Reason.HIDDEN if _is_hidden(meta["path"]) else rules.against(key)
        if against is None:
            yield _found(source, meta)
        else:
            left.add(against, name_of(key))


def fetch(url: str, name: str, content: str, *, small: int, folder: Path) -> bytes | Fetched:
    """Return the object's bytes, or, if there are more than `small`, a file in `folder` with them.

    Raises SourceGoneError, SourceUnreadableError, and SourceChangedError if it isn't the object
    that was listed.
    """
    with _Errors(f"{url}/{name}"):
        import obstore

        answer = obstore.get(opened(url), _key(name))
        if _content(name, answer.meta) != content:
            raise SourceChangedError(f"{url}/{name}: it has changed since it was listed")
        if answer.meta["size"] <= small:
            return bytes(answer.bytes())
        folder.mkdir(0o700, parents=True, exist_ok=True)
        path = folder / f"{sha256(f'{url}/{name}'.encode()).hexdigest()[:24]}.object"
        path.unlink(missing_ok=True)
        make_file(path)
        with path.open("wb") as file:
            for block in answer.stream(min_chunk_size=BLOCK):
                file.write(block)
        return Fetched(path)


def opened(url: str) -> ObjectStore:
    """Return the store at `url`, configured by the environment.

    Raises obstore's errors, and ImportError without obstore.
    """
    from obstore.store import from_url

    # Plain HTTP, as for a store on one's own machine.
    plain = any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS)
    options: dict[str, Any] = {"client_options": {"allow_http": True}} if plain else {}
    return from_url(url, **options)


def signed(url: str, name: str) -> str:
    """Return an address with which anybody can read the object for a day.

    Raises SourceUnreadableError.
    """
    with _Errors(f"{url}/{name}"):
        return signed_address(opened(url), _key(name))


class _Errors:
    """A context manager that translates obstore's errors."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        from obstore.exceptions import BaseError

        if isinstance(error, FileNotFoundError):
            raise SourceGoneError(f"{self._what}: no longer there") from error
        if isinstance(error, BaseError | OSError | ValueError):
            raise SourceUnreadableError(f"{self._what}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    """Return the first line of an error, without XML but with the code in it.

    obstore's further lines quote the configuration of its client.
    """
    whole = str(error)
    line = " ".join(whole.split("\n")[0].split(": <")[0].split())
    code = _CODE.search(whole)
    return redact_urls(line)[:300] + (f" ({code[1]})" if code else "")


def _without(url: str, error: Exception) -> str:
    """Return the error's text without the `url` at its start, which is shown beside it already."""
    return str(error).removeprefix(f"{url}: ")


def _listed(source: Source) -> Iterator[Any]:
    """Yield the metadata of each object in the order of keys; of an odd key only its path."""
    url = str(source.url)
    with _Errors(url):
        import obstore

        store = opened(url)
        last = ""
        after = None
        while True:
            try:
                for chunk in obstore.list(store, offset=after, chunk_size=CHUNK):
                    for meta in chunk:
                        last = meta["path"]
                        yield meta
                return
            except obstore.exceptions.BaseError as error:
                odd = _odd_key(url, error)
                if odd is None or odd <= last:
                    raise
            yield from _between(store, None, last, odd)
            yield {"path": odd, "size": None}
            after = last = _past(odd)


def _between(store: ObjectStore, folder: str | None, last: str, odd: str) -> Iterator[Any]:
    """Yield the objects after `last` and before an odd key, level by level.

    obstore refuses the whole page of the listing on which the odd key is.
    """
    import obstore

    try:
        level = obstore.list_with_delimiter(store, folder)
    except obstore.exceptions.BaseError:
        return  # the odd key is on this level
    objects = {meta["path"]: meta for meta in level["objects"]}
    for path in sorted(
        [*objects, *level["common_prefixes"]],
        key=lambda path: path if path in objects else f"{path}/",
    ):
        if path in objects and last < path < odd:
            yield objects[path]
        elif path not in objects and odd.startswith(f"{path}/"):
            yield from _between(store, path, last, odd)
        elif path not in objects and f"{path}0" > last and path < odd:
            for chunk in obstore.list(store, path, offset=last or None, chunk_size=CHUNK):
                yield from chunk


def _odd_key(url: str, error: Exception) -> str | None:
    """Return the key, relative to `url`, at which the listing failed; None for other failures."""
    told = _ODD.search(str(error))
    below = f"{urlsplit(url).path.strip('/')}/".lstrip("/")
    return told[1].removeprefix(below) if told else None


def _past(odd: str) -> str:
    """Return where a listing goes on after everything below an odd part of a key.

    Odd parts are empty ones, "." and "..".
    """
    parts = odd.split("/")
    number = next((n for n, part in enumerate(parts) if part in _ODD_PARTS), len(parts))
    return "/".join(parts[: number + 1]) + chr(ord("/") + 1)


def _found(source: Source, meta: Any) -> Found:
    name = name_of(os.fsencode(meta["path"]))
    if meta["size"] is None:
        return Found(name, problem=UNREADABLE, reason=_ODD_REASON, folder=str(source.url))
    size = int(meta["size"])
    problem = None
    reason = None
    if size == 0:
        problem = UNREADABLE
        reason = EMPTY
    elif size > PRESIGNED_UPLOAD_LIMIT:
        problem = UNSUPPORTED
        reason = TOO_LARGE
    return Found(
        name,
        size,
        moment(int(meta["last_modified"].timestamp() * 1e9)),
        problem=problem,
        reason=reason,
        folder=str(source.url),
        place=SIGNED if source.transfer == "presign" else None,
        content=None if problem else _content(name, meta),
    )


def content_by(headers: Mapping[str, str], name: str) -> str:
    """Return the content key of an object by the headers of its store's answer."""
    modified = headers.get("Last-Modified")
    meta = {
        "e_tag": headers.get("ETag"),
        "last_modified": parsedate_to_datetime(modified) if modified else None,
        "size": headers.get("Content-Length"),
    }
    return _content(name, meta)


def _content(name: str, meta: Any) -> str:
    mark = f"{_tag(meta['e_tag']) or meta['last_modified']}:{meta['size']}"
    return content_key(f"etag-{sha256(mark.encode()).hexdigest()}", name)


def _tag(tag: str | None) -> str | None:
    """Return an ETag in quotes; Azure's listing leaves out the quotes that its answers have."""
    return f'"{tag.removeprefix("W/").strip(chr(34))}"' if tag else None


def _key(name: str) -> str:
    return os.fsdecode(path_of(name))


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") and part not in _ODD_PARTS for part in key.split("/"))
