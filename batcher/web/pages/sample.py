"""Checking results by a sample: right, wrong or unsure, by key; and what that says of all.

This is the only page that takes anything down, in a file beside the ledger.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from batcher.batches import access_of
from batcher.core.sample import Mark
from batcher.ledger.queries.document_list import steps_of
from batcher.maintenance.sample_file import Sample, mark_document
from batcher.views.sample_view import Checked, checked_sample, method_words, rate_words
from batcher.web.catalogue import Batch
from batcher.web.document_view import record_of
from batcher.web.drawing import SIZES, draw_sample
from batcher.web.pages.document import values_of
from batcher.web.site import Site
from batcher.web.templating import Tab

TAB: Final = Tab("sample", "Check")
# Marks by what stands in the form; "" takes a mark back.
MARKS: Final = {**{str(mark): mark for mark in Mark}, "": None}


def routes(site: Site) -> list[web.RouteDef]:
    page = SamplePage(site)
    one = r"/batch/{batch}/sample/{place:\d{1,6}}"
    return [
        web.get("/batch/{batch}/sample", page.show),
        web.post("/batch/{batch}/sample", page.draw),
        web.get(one, page.show_one),
        web.post(one, page.mark),
    ]


class SamplePage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        checked = await self._site.read(batch, checked_sample, batch.ledger)
        return await self._site.batch_page(
            request,
            "sample.html",
            batch,
            TAB,
            steps=await self._site.read(batch, steps_of),
            checked=checked,
            sizes=SIZES,
            rate_words=rate_words,
            method_words=method_words,
        )

    async def draw(self, request: web.Request) -> web.StreamResponse:
        """Draw a new sample, and lead to it."""
        batch = await self._site.batch_of(request)
        said = await request.post()
        size = _text(said, "size")
        step = _text(said, "step")
        if size not in map(str, SIZES):
            raise web.HTTPBadRequest(text=f"Draw one of {', '.join(map(str, SIZES))} documents.")
        rng = random.Random()  # noqa: S311  not for secrets
        await self._site.read(batch, draw_sample, batch, step, int(size), rng)
        raise web.HTTPSeeOther(f"/batch/{batch.id}/sample/1")

    async def show_one(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        place, checked = _sampled(
            request, await self._site.read(batch, checked_sample, batch.ledger)
        )
        one = checked.sample.documents[place - 1]
        record = await self._site.read(batch, record_of, one.document, None)
        if record is None or one.document in checked.replaced:
            raise web.HTTPNotFound(
                text="The result of this document is another one by now: draw a new sample."
            )
        values = await values_of(self._site, request, batch, record)
        return await self._site.batch_page(
            request,
            "document.html",
            batch,
            TAB,
            **values,
            back=(f"/batch/{batch.id}/sample", "Sample"),
            before=_address(batch, place - 1) if place > 1 else None,
            after=_address(batch, place + 1) if place < len(checked.sample.documents) else None,
            here=lambda **more: _here(batch, place, more),
            carried=[],
            step_of=None,
            checking={
                "place": place,
                "one": one,
                "sample": checked.sample,
                "words": rate_words(checked.estimate),
            },
        )

    async def mark(self, request: web.Request) -> web.StreamResponse:
        """Keep a mark, and lead to the next document without one."""
        batch = await self._site.batch_of(request)
        said = await request.post()
        mark = _text(said, "mark")
        note = _text(said, "note")
        if mark not in MARKS:
            raise web.HTTPBadRequest(text=f"A result is {', '.join(filter(None, MARKS))}.")
        place = int(request.match_info["place"])

        def keep() -> Sample:
            return mark_document(
                batch.ledger,
                place - 1,
                MARKS[mark],
                note=note,
                now=time.time(),
                access=access_of(batch.what),
            )

        sample = await self._site.run(keep)
        following = sample.next_unmarked(after=place - 1)
        if not mark:
            following = place - 1
        there = f"/batch/{batch.id}/sample" if following is None else _address(batch, following + 1)
        raise web.HTTPSeeOther(there)


def _sampled(request: web.Request, checked: Checked | None) -> tuple[int, Checked]:
    """Return the place in the sample that the address names, from 1. Raises HTTPNotFound."""
    place = int(request.match_info["place"])
    if checked is None or not 1 <= place <= len(checked.sample.documents):
        raise web.HTTPNotFound(text="There is no such document in the sample.")
    return place, checked


def _address(batch: Batch, place: int) -> str:
    return f"/batch/{batch.id}/sample/{place}"


def _here(batch: Batch, place: int, more: dict[str, Any]) -> str:
    asked = urlencode({name: value for name, value in more.items() if value is not None})
    return f"{_address(batch, place)}?{asked}"


def _text(said: Any, name: str) -> str:
    value = said.get(name, "")
    return value.strip() if isinstance(value, str) else ""
