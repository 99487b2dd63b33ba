"""The endpoints for uploads: multipart, presigned PUT, delete.

`uploads` decides what is kept, and how.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import BodyPartReader, MultipartReader, web

from batcher.reducto.api_types import DIRECT_UPLOAD_LIMIT, PRESIGNED_UPLOAD_LIMIT
from batcher.service.answers import ApiError, InvalidRequest, as_json, html_page
from batcher.service.parameters import address_of
from batcher.service.uploads import PIECE, StoredUpload, Uploads, clean_extension


class UploadEndpoints:
    """The endpoints of uploads."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/upload", self.upload),
            web.delete("/upload/{file_id}", self.delete_upload),
            web.put("/presigned/{upload_id}/{token}", self.put_presigned),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """`POST /upload`: store a multipart file, or answer with an address to PUT the file to."""
        extension = request.query.get("extension")
        if request.content_type.startswith("multipart/"):
            with _refusing_what_is_broken():
                reader = await request.multipart()
            part = await _file_part(reader)
            if part is not None:
                return await self._receive(
                    reader, part, clean_extension(extension, _filename(part))
                )
        announced = await self._uploads.announce(clean_extension(extension))
        return as_json(
            {"file_id": announced.file_id, "presigned_url": _presigned(request, announced)}
        )

    async def put_presigned(self, request: web.Request) -> web.Response:
        """`PUT /presigned/…`: store the file of an announced upload; 403 if it is unknown."""
        upload = self._uploads.find_presigned(
            request.match_info["upload_id"], request.match_info["token"]
        )
        if upload is None:
            return web.Response(status=403)
        await self._uploads.fill(
            upload, request.content.iter_chunked(PIECE), limit=PRESIGNED_UPLOAD_LIMIT
        )
        return web.Response()

    async def delete_upload(self, request: web.Request) -> web.Response:
        """`DELETE /upload/{file_id}`."""
        file_id = request.match_info["file_id"]
        await self._uploads.delete(file_id)
        return as_json({"file_id": file_id})

    async def _receive(
        self, reader: MultipartReader, part: BodyPartReader, extension: str
    ) -> web.Response:
        pieces = _pieces(reader, part)
        try:
            stored = await self._uploads.receive(pieces, extension, limit=DIRECT_UPLOAD_LIMIT)
        except ApiError as too_large:
            return html_page(too_large.code, "Request Entity Too Large")
        return as_json({"file_id": stored.file_id, "presigned_url": None})


async def _file_part(reader: MultipartReader) -> BodyPartReader | None:
    """Return the part named `file`, or None; the hosted service answers 200 without one as well."""
    with _refusing_what_is_broken():
        async for part in reader:
            if isinstance(part, BodyPartReader) and part.name == "file":
                return part
    return None


async def _pieces(reader: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    """Yield the part's bytes, and raise at the end if the rest of the body is broken.

    Otherwise half an upload would be stored as a document.
    """
    while True:
        with _refusing_what_is_broken():
            piece = await part.read_chunk(PIECE)
            if not piece:
                await _read_to_end(reader)
        if not piece:
            return
        yield piece


async def _read_to_end(reader: MultipartReader) -> None:
    while await reader.next() is not None:
        pass
    if not reader.at_eof():
        raise ValueError("the closing boundary is missing")


@contextlib.contextmanager
def _refusing_what_is_broken() -> Iterator[None]:
    """Turn the reader's exceptions into 422: it reads only what the client sent."""
    try:
        yield
    except (ConnectionError, web.HTTPException):
        raise
    except Exception as broken:
        why = str(broken).strip().split("\n", 1)[0] or type(broken).__name__
        raise InvalidRequest.at(
            "body", msg=f"There was an error parsing the body: {why}"
        ) from broken


def _filename(part: BodyPartReader) -> str | None:
    with _refusing_what_is_broken():
        return part.filename


def _presigned(request: web.Request, upload: StoredUpload) -> str:
    return f"{address_of(request)}/presigned/{upload.upload_id}/{upload.token}"
