"""The endpoints that take documents in: multipart, presigned PUT, delete. What is kept, and how, is `uploads`'s."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, web

from batcher.core.wire import DIRECT_UPLOAD_LIMIT, PRESIGNED_UPLOAD_LIMIT
from batcher.service.answers import ApiError, InvalidRequest, as_json, html_page
from batcher.service.parameters import address_of
from batcher.service.uploads import PIECE, Upload, Uploads, clean_extension


class UploadEndpoints:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/upload", self.upload),
            web.delete("/upload/{file_id}", self.delete_upload),
            web.put("/presigned/{upload_id}/{token}", self.put_presigned),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Bytes as multipart, or none: then the answer says where to PUT them."""
        extension = request.query.get("extension")
        part = await _file_part(request) if request.content_type.startswith("multipart/") else None
        if part is None:
            announced = await self._uploads.announce(clean_extension(extension))
            return as_json({"file_id": announced.file_id, "presigned_url": _presigned(request, announced)})
        return await self._receive(part, clean_extension(extension, part.filename))

    async def put_presigned(self, request: web.Request) -> web.Response:
        upload = self._uploads.find_presigned(request.match_info["upload_id"], request.match_info["token"])
        if upload is None:
            return web.Response(status=403)
        await self._uploads.fill(upload, request.content.iter_chunked(PIECE), limit=PRESIGNED_UPLOAD_LIMIT)
        return web.Response()

    async def delete_upload(self, request: web.Request) -> web.Response:
        file_id = request.match_info["file_id"]
        await self._uploads.delete(file_id)
        return as_json({"file_id": file_id})

    async def _receive(self, part: BodyPartReader, extension: str) -> web.Response:
        try:
            stored = await self._uploads.receive(_pieces(part), extension, limit=DIRECT_UPLOAD_LIMIT)
        except ApiError as too_large:
            return html_page(too_large.code, "Request Entity Too Large")
        return as_json({"file_id": stored.file_id, "presigned_url": None})


async def _file_part(request: web.Request) -> BodyPartReader | None:
    """The part named `file`. Without one the hosted service still answers 200, and so do we."""
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "file":
                return part
    except ValueError as broken:
        raise InvalidRequest.at("body", msg=f"There was an error parsing the body: {broken}") from broken
    return None


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE):
        yield piece


def _presigned(request: web.Request, upload: Upload) -> str:
    return f"{address_of(request)}/presigned/{upload.upload_id}/{upload.token}"
