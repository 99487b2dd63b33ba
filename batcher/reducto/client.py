"""The service's API over HTTP: one method for each call, and every failure as one of `errors`.

Answers are read defensively. `run_job` sends exactly one request per call, whatever comes back; the
other methods repeat transient failures. The client keeps no state of jobs and decides nothing about
documents.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar
from urllib.parse import quote
from urllib.request import getproxies

import aiofiles
import aiohttp
import msgspec
import tenacity
from yarl import URL

from batcher.common import json_syntax
from batcher.common.names import extension_of
from batcher.errors import (
    BadReply,
    BatcherError,
    Busy,
    NotFound,
    ReplyLostError,
    ServiceError,
    SourceChangedError,
    Unreachable,
)
from batcher.reducto import api_types, responses
from batcher.reducto.calls import DOWNLOAD, Meter, Observer, call_of, outcome_of
from batcher.reducto.exchange import (
    CONNECT,
    EXCHANGE,
    dated,
    downloading,
    said,
    translated,
    uploading,
    within,
)
from batcher.reducto.file_body import CHUNK, checked_chunks, size_of
from batcher.reducto.presigned import PUT, refused_address
from batcher.reducto.public_addresses import Elsewhere, Resolver, is_on_this_machine, may_lead_to

T = TypeVar("T")
# Takes the first byte of a download; returns the bytes to write before and after it.
Around = Callable[[bytes], tuple[bytes, bytes]]

SYNC_EXCHANGE: Final = 960.0  # the service's gateway cuts synchronous calls after 900 s
LONGEST_LINE: Final = 64 << 10  # bytes of a header line: gateways add policies and cookies of 9 kB
TRIES: Final = 3
# Seconds for which a call itself waits; a longer Retry-After is left to the lane.
LONGEST_WAIT: Final = 10.0
_NO_SILENCE: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=EXCHANGE)
_BOUNDARY: Final = "batcher-0b7d4f7c1e2a4c6f"
_BOM: Final = b"\xef\xbb\xbf"

_UPLOAD: Final = msgspec.json.Decoder(api_types.Upload)
_SUBMISSION: Final = msgspec.json.Decoder(api_types.Submission)
_TEXT: Final = msgspec.json.Decoder(str)


class ResponseBudget(Protocol):
    """Limits the bytes of answers in memory.

    The client takes bytes before it reads a body; the caller gives them back when done with the
    answer.
    """

    async def take(self, amount: int) -> None: ...

    def give(self, amount: int) -> None: ...


class Api(Protocol):
    """The API calls that a batch makes.

    There are two implementations: `ReductoClient` over HTTP, and `fake_client.FakeClient` in
    process and in virtual time.
    """

    async def upload(
        self, content: bytes | Path, *, name: str, sha256: str | None = None
    ) -> api_types.Upload: ...

    async def announce(self, *, name: str) -> api_types.Upload: ...

    async def delete_upload(self, file_id: str) -> bool: ...

    async def run_job(
        self,
        endpoint: str,
        source: str | list[str],
        options: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        priority: bool = False,
        webhook: Mapping[str, Any] | None = None,
    ) -> str: ...

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[api_types.JobAnswer, int]: ...

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage: ...

    async def cancel(self, job_id: str) -> None: ...

    async def delete_job(self, job_id: str, *, include_persisted: bool = False) -> None: ...

    async def download(
        self, url: str, into: Path, *, around: Around | None = None
    ) -> tuple[str, int]: ...


class ReductoClient:
    """A client of the API, for use as `async with ReductoClient(url, key) as client`.

    `key` is sent as a bearer token and never shown. `trust` holds the trusted certificates, as made
    by `manifest.certificates`; None means the system's. `headers` are sent to the API only.
    `meter` and `observe` are told of each request.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        connections: int = 32,
        trust: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        meter: Meter | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._observe = observe
        self._base = base_url.rstrip("/")
        self._key = key.encode()
        self._extra = dict(headers or {})
        self._authorization = {**self._extra, "Authorization": f"Bearer {key}"}
        self._connections = connections
        self._trust = trust
        self._meter = meter
        self._session: aiohttp.ClientSession | None = None
        # For links, which must not lead to this machine.
        self._elsewhere: aiohttp.ClientSession | None = None
        self._date = ""

    def __repr__(self) -> str:
        return f"ReductoClient({self._base!r}, key=…)"

    async def __aenter__(self) -> Self:
        by_proxy = not is_on_this_machine(self._base)  # proxies are for other machines only
        self._session = self._opened(trust_env=by_proxy)
        # Behind a proxy it is the proxy that resolves names, and its own name may well point to
        # this machine.
        resolver = None if by_proxy and getproxies() else Resolver(self._base)
        self._elsewhere = self._opened(resolver, trust_env=by_proxy)
        return self

    def _opened(
        self, resolver: Resolver | None = None, *, trust_env: bool
    ) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connections, ttl_dns_cache=300, resolver=resolver, ssl=self._trust or True
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=within(EXCHANGE),
            trust_env=trust_env,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for session in (self._session, self._elsewhere):
            assert session is not None
            await session.close()

    @property
    def service_time(self) -> float | None:
        """The service's clock at the last answer, in seconds since the epoch; None if unknown."""
        return responses.http_date(self._date)

    # --- uploads ----------------------------------------------------------------------------------

    async def upload(
        self, content: bytes | Path, *, name: str, sha256: str | None = None
    ) -> api_types.Upload:
        """Upload a document's bytes, free of charge; the `file_id` in the answer is valid for 24 h.

        A path is streamed with constant memory. Raises SourceChangedError if the bytes sent don't
        match `sha256`, SourceGoneError if the file is missing, and SourceUnreadableError if it
        can't be read.
        """
        if isinstance(content, bytes):
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise SourceChangedError(f"{name}: its bytes are no longer those that were planned")
            return await self._repeat(lambda: self._upload_bytes(content, name))
        size = await asyncio.to_thread(size_of, content)
        if size > api_types.DIRECT_UPLOAD_LIMIT:
            return await self._repeat(lambda: self._upload_presigned(content, size, name, sha256))
        return await self._repeat(lambda: self._upload_stream(content, size, name, sha256))

    async def _upload_bytes(self, content: bytes, name: str) -> api_types.Upload:
        head, tail = _multipart(name)
        return await self._upload_body(head + content + tail, len(content), name)

    async def _upload_stream(
        self, path: Path, size: int, name: str, sha256: str | None
    ) -> api_types.Upload:
        head, tail = _multipart(name)
        body = checked_chunks(path, size, sha256, head=head, tail=tail)
        return await self._upload_body(body, size, name, length=len(head) + size + len(tail))

    async def _upload_body(
        self, body: Any, size: int, name: str, *, length: int | None = None
    ) -> api_types.Upload:
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        if length is not None:
            headers["Content-Length"] = str(length)
        extension = extension_of(name)
        path = f"/upload?extension={_segment(extension)}" if extension else "/upload"
        answer = await self._exchange(
            "POST", path, data=body, headers=headers, seconds=uploading(size)
        )
        return responses.read("POST /upload", 200, answer, _UPLOAD)

    async def _upload_presigned(
        self, path: Path, size: int, name: str, sha256: str | None
    ) -> api_types.Upload:
        """Upload a file that exceeds the API's limit for direct uploads.

        The API names a presigned URL, to which the bytes are put without the key.
        """
        upload = await self._announce(name)
        if not upload.presigned_url:
            raise BadReply("POST /upload", "no presigned_url for a large upload", status=200)
        body = checked_chunks(path, size, sha256)
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        await self._exchange(
            "PUT",
            upload.presigned_url,
            data=body,
            headers=headers,
            seconds=uploading(size),
            signed=True,
            refusal=refused_address,
        )
        return upload

    async def announce(self, *, name: str) -> api_types.Upload:
        """Ask for a `presigned_url` to put a document's bytes at, free of charge.

        Whoever puts there needs no key. It is None where the service gives none, and where the
        manifest's headers are wanted there, which leave this process for the API alone.
        """
        upload = await self._repeat(lambda: self._announce(name))
        url = upload.presigned_url
        if url and self._extra and _leads_to(url, self._base):
            return api_types.Upload(upload.file_id)
        return upload

    async def _announce(self, name: str) -> api_types.Upload:
        answer = await self._exchange(
            "POST",
            f"/upload?extension={_segment(extension_of(name))}",
            data=b"{}",
            headers={"Content-Type": "application/json"},
        )
        return responses.read("POST /upload", 200, answer, _UPLOAD)

    async def delete_upload(self, file_id: str) -> bool:
        """Delete an upload at once and for good. Return False if the service doesn't know it."""
        try:
            await self._repeat(lambda: self._exchange("DELETE", f"/upload/{_segment(file_id)}"))
        except NotFound:
            return False
        return True

    # --- jobs -------------------------------------------------------------------------------------

    async def run_job(
        self,
        endpoint: str,
        source: str | list[str],
        options: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        priority: bool = False,
        webhook: Mapping[str, Any] | None = None,
    ) -> str:
        """Submit a job, which costs money, and return its id. The request is sent once.

        Raises Unreachable or Refused if the job certainly wasn't accepted, and ReplyLostError or
        BadReply if that is unknown.
        """
        asynchronous: dict[str, Any] = {"metadata": metadata, "priority": priority}
        if webhook is not None:
            asynchronous["webhook"] = webhook
        body = api_types.job_request(options or {}, source, asynchronous=asynchronous)
        queue = (options or {}).get("queue_priority")
        answer = await self._exchange(
            "POST",
            f"/{endpoint}_async",
            data=body,
            headers={"Content-Type": "application/json"},
            refusal=lambda call, status, headers, said: responses.submission_refusal(
                call, status, headers, said, queue=queue
            ),
        )
        return responses.read(f"POST /{endpoint}_async", 200, answer, _SUBMISSION).job_id

    async def run(
        self, endpoint: str, source: str | list[str], options: Mapping[str, Any] | None = None
    ) -> bytes:
        """Make the synchronous call: wait for the end of the job, and return its result's bytes.

        The request is sent once.
        """
        body = msgspec.json.encode({**(options or {}), "input": source})
        headers = {"Content-Type": "application/json"}
        return await self._exchange(
            "POST", f"/{endpoint}", data=body, headers=headers, seconds=SYNC_EXCHANGE
        )

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[api_types.JobAnswer, int]:
        """Return the job's current state, and the number of bytes taken from `room`.

        The result is left undecoded. The caller gives the bytes back.
        """
        return await self._repeat(lambda: self._read_job(f"/job/{_segment(job_id)}", room))

    async def _read_job(
        self, path: str, room: ResponseBudget | None
    ) -> tuple[api_types.JobAnswer, int]:
        body, taken = await self._get_into(path, room)
        try:
            return responses.read_job("GET /job", 200, body), taken
        except BadReply:
            if room is not None:
                room.give(taken)
            raise

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        """Return one page of the account's jobs, newest first as far as is known."""
        query = f"?limit={limit}" + (f"&cursor={_segment(cursor)}" if cursor else "")
        query += "&exclude_configs=true" if exclude_configs else ""
        return await self._repeat(lambda: self._read_jobs(query))

    async def _read_jobs(self, query: str) -> api_types.JobsPage:
        body = await self._exchange("GET", f"/jobs{query}")
        return responses.read_jobs(api_types.LIST_JOBS, 200, body)

    async def cancel(self, job_id: str) -> None:
        await self._repeat(lambda: self._exchange("POST", f"/cancel/{_segment(job_id)}"))

    async def delete_job(self, job_id: str, *, include_persisted: bool = False) -> None:
        query = "?include_persisted=true" if include_persisted else ""
        await self._repeat(lambda: self._exchange("DELETE", f"/job/{_segment(job_id)}{query}"))

    async def configure_webhook(self) -> str:
        """Return the address of the portal where endpoints for signed webhooks are configured."""
        answer = await self._repeat(lambda: self._exchange("POST", "/configure_webhook"))
        return responses.read("POST /configure_webhook", 200, answer, _TEXT)

    async def version(self) -> str:
        return await self._repeat(lambda: self._read("/version", "", _TEXT))

    async def download(
        self, url: str, into: Path, *, around: Around | None = None
    ) -> tuple[str, int]:
        """Stream the content of a result's link to a file; return its (sha256, size in bytes).

        `around` adds bytes before and after the content, which count too; the whole must then be
        JSON. Without `around`, the content may be anything, such as a picture. The request carries
        no key, and is made only if a link may lead to `url`. Raises BadReply if the content is
        incomplete, and OSError if the file can't be written.
        """
        if not may_lead_to(url, self._base):
            raise BadReply(
                "GET a signed URL", f"a link to {_shown(url)} is not followed", status=200
            )
        return await self._repeat(
            lambda: self._metered(DOWNLOAD, 0, self._stream_down(url, into, around), _size_written)
        )

    async def _stream_down(self, url: str, into: Path, around: Around | None) -> tuple[str, int]:
        assert self._elsewhere is not None
        call = "GET a signed URL"
        status: int | None = None
        began = time.monotonic()
        try:
            async with (
                self._elsewhere.get(
                    url,
                    headers=self._headers_for(URL(url)),
                    allow_redirects=False,
                    timeout=_NO_SILENCE,
                ) as response,
                aiofiles.open(into, "wb") as file,
            ):
                if response.status != 200:
                    status = response.status
                    raise responses.refusal(call, response.status, dated(response.headers), b"")
                digest, size = await _write_chunks(response.content, file, around)
                status = response.status
        except Elsewhere as error:
            raise BadReply(call, str(error), status=200) from error
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            ssl.SSLError,
        ) as error:
            if isinstance(error.__cause__, Elsewhere):
                raise BadReply(call, str(error.__cause__), status=200) from error
            raise Unreachable(call, said(error)) from error
        except (aiohttp.InvalidURL, ValueError, OverflowError) as error:
            raise BadReply(
                call, f"an address that is none: {type(error).__name__}", status=200
            ) from error
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            raise ReplyLostError(call, said(error)) from error
        finally:
            self._tell(call, status, began)
        if around is not None and not await asyncio.to_thread(_is_json, into):
            raise BadReply(call, "what it links to isn't JSON, or not the whole of it", status=200)
        return digest, size

    async def _read(self, path: str, query: str, decoder: msgspec.json.Decoder[T]) -> T:
        return responses.read(
            f"GET {path}", 200, await self._exchange("GET", path + query), decoder
        )

    # --- one exchange -----------------------------------------------------------------------------

    async def _get_into(self, path: str, room: ResponseBudget | None) -> tuple[bytes, int]:
        """Return a body and the number of bytes taken from `room` for it.

        As far as the length is known in advance, they are taken before the body is read.
        """
        taken = 0

        async def reserve(length: int) -> None:
            nonlocal taken
            if room is not None and length > taken:
                # Nobody holds a part while waiting for more: two calls that did could wait for
                # ever.
                room.give(taken)
                taken = 0
                await room.take(length)
                taken = length

        try:
            body = await self._exchange("GET", path, reserve=reserve)
            await reserve(len(body))
        except BaseException:
            if room is not None and taken:
                room.give(taken)
            raise
        return body, taken

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = False,
        **how: Any,
    ) -> bytes:
        """Do what `_send` does, and tell the meter of it if there is one."""
        sending = self._send(method, path, data=data, headers=headers, signed=signed, **how)
        if self._meter is None:
            return await sending
        length = (headers or {}).get("Content-Length", "0")
        sent = len(data) if isinstance(data, bytes) else int(length)
        return await self._metered(call_of(method, path, signed=signed), sent, sending, len)

    async def _metered(
        self, call: str, sent: int, work: Awaitable[T], size: Callable[[T], int]
    ) -> T:
        """Await `work`, a request with a body of `sent` bytes, and tell the meter how it ended.

        `size` returns the bytes of the answer.
        """
        if self._meter is None:
            return await work
        try:
            answer = await work
        except BatcherError as error:
            self._meter.exchanged(call, outcome_of(error), sent=sent, received=0)
            raise
        self._meter.exchanged(call, "200", sent=sent, received=size(answer))
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = EXCHANGE,
        signed: bool = False,
        reserve: Callable[[int], Awaitable[None]] | None = None,
        refusal: Callable[[str, int, Mapping[str, str], bytes], ServiceError] = responses.refusal,
    ) -> bytes:
        """Return the body of a 2xx answer.

        `signed` URLs carry their own credentials and are never sent the key.
        """
        assert self._session is not None, (
            "enter the client first: async with ReductoClient(…) as client"
        )
        call = f"{method} {'a signed URL' if signed else path.partition('?')[0]}"
        status: int | None = None
        began = time.monotonic()
        try:
            with translated(call, signed=signed):
                url = URL(path if signed else self._base + path, encoded=True)
                sent = {
                    **(headers or {}),
                    **(self._headers_for(url) if signed else self._authorization),
                }
                async with self._session.request(
                    PUT if method == "PUT" else method,
                    url,
                    data=data,
                    headers=sent,
                    allow_redirects=False,
                    timeout=within(seconds),
                ) as response:
                    if reserve is not None and response.status == 200:
                        await reserve(response.content_length or 0)
                    body = await response.read()
                    status = response.status
                    self._date = response.headers.get("Date", "")
        finally:
            self._tell(call, status, began)
        if not 200 <= response.status < 300:
            raise refusal(
                call,
                response.status,
                dated(response.headers),
                b"" if signed else self._without_key(body),
            )
        return body

    def _tell(self, call: str, status: int | None, began: float) -> None:
        if self._observe is not None:
            self._observe(call, status, time.monotonic() - began)

    def _headers_for(self, url: URL) -> Mapping[str, str]:
        """Return the extra headers if the link leads to the API's own address, or none otherwise.

        Raises ValueError if the link leads nowhere.
        """
        return self._extra if self._extra and url.origin() == URL(self._base).origin() else {}

    def _without_key(self, body: bytes) -> bytes:
        """Blot out the key: the text of a refusal ends up in logs and in the ledger.

        The answers of signed URLs aren't shown at all.
        """
        return body.replace(self._key, b"[the key]") if self._key else body

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make `call`, and repeat it if its failure is likely to pass. Not for submissions."""
        try:
            return await call()
        except (Unreachable, ReplyLostError, BadReply, Busy) as error:
            if not _is_worth_repeating(error):
                raise
        async for (
            attempt
        ) in tenacity.AsyncRetrying(  # entered only now, since it costs more than the call itself
            retry=tenacity.retry_if_exception(_is_worth_repeating),
            stop=tenacity.stop_after_attempt(TRIES - 1),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT / 2),
            reraise=True,
        ):
            with attempt:
                return await call()
        raise AssertionError("tenacity ends with a value or an error")


async def _write_chunks(
    content: aiohttp.StreamReader, file: Any, around: Around | None
) -> tuple[str, int]:
    """Write all chunks and what goes around them; return the (sha256, size in bytes) of the file.

    Raises TimeoutError if they trickle in.
    """
    began = time.monotonic()
    digest = hashlib.sha256()
    size = 0
    after = b""
    has_begun = around is None
    async for chunk in content.iter_chunked(CHUNK):
        if around is not None and not has_begun:
            chunk = chunk.removeprefix(_BOM).lstrip()
            has_begun = bool(chunk)
            before, after = around(chunk[:1]) if has_begun else (b"", b"")
            chunk = before + chunk
        digest.update(chunk)
        size += await file.write(chunk)
        if time.monotonic() - began > downloading(size):
            raise TimeoutError(f"it trickles in: {size} bytes so far")
    digest.update(after)
    return digest.hexdigest(), size + await file.write(after)


def _size_written(written: tuple[str, int]) -> int:
    return written[1]


def _is_json(path: Path) -> bool:
    """Whether the file is complete JSON.

    It is memory-mapped, so only the part being read is in memory.
    """
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return json_syntax.is_whole(text)


def _segment(text: str) -> str:
    """Quote foreign text as one segment of a path or a query.

    Any text is safe, including ".." and half a surrogate pair.
    """
    quoted = quote(text, safe="", errors="replace")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted


def _leads_to(url: str, base: str) -> bool:
    try:
        return URL(url).origin() == URL(base).origin()
    except ValueError:
        return False


def _shown(url: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in url.partition("?")[0])[:100]


def _is_worth_repeating(error: BaseException) -> bool:
    if isinstance(error, Busy):
        return error.retry_after is not None and error.retry_after <= LONGEST_WAIT
    return isinstance(error, Unreachable | ReplyLostError | BadReply)


def _multipart(name: str) -> tuple[bytes, bytes]:
    """Return the bytes before and after the content of the only part, `file`."""
    ascii_name = (
        "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
        or "document"
    )
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{ascii_name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()
