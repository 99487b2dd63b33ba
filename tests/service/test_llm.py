"""Extraction by a model behind an OpenAI-compatible address: a small stand-in on loopback says what
it is told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from service_client import PARSER, Client
from test_contract import check

from batcher.service.llm import Model
from batcher.service.local import LocalOptions, LocalService

PAPER = b"Invoice\nInvoice number: A-7\nTotal: 1,120.50 EUR\nDue: 14 January 2026"
SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "description": "The invoice's number"},
        "total": {"type": "number"},
        "due": {"type": "string", "format": "date"},
        "mood": {"enum": ["cheerful", "grave"]},
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"amount": {"type": "number"}}},
        },
    },
}
ANSWER = {"number": "A-7", "total": 1120.5, "due": "2026-01-14", "mood": "grave", "lines": []}


class StandIn:
    """Answers with what is left in `says`, the last of it for ever; remembers what it was asked."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)
        self.asked = []
        self.keys = []
        self.url = ""

    async def complete(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(say, int):
            return web.json_response({"error": {"message": "overloaded"}}, status=say)
        content = say if isinstance(say, str) else json.dumps(say)
        return web.json_response(
            {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
        )


@contextlib.asynccontextmanager
async def listening(stand_in: StandIn) -> AsyncIterator[StandIn]:
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", stand_in.complete)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stand_in
    await runner.cleanup()


async def extracted(folder: Path, session: Any, model: Model, **more: Any) -> dict[str, Any]:
    options = LocalOptions(folder, workers=1, parser=PARSER, model=model)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        instructions = {"schema": SCHEMA, "system_prompt": "Mind the small print."}
        job_id = await client.submit(
            await client.upload(PAPER), "extract_async", instructions=instructions, **more
        )
        answer = await client.end_of(job_id)
        check(answer, "AsyncJobResponse")
        return answer


async def test_the_model_s_answer_is_the_result(tmp_path, session):
    """It is asked with the document, the caller's prompt, a strict schema and the key; nothing of
    it is unserved.
    """
    async with listening(StandIn(ANSWER)) as model:
        answer = await extracted(tmp_path, session, Model(model.url, "tiny", "key"))
    assert answer["result"]["result"] == [ANSWER] and "not_served" not in answer["result"]["usage"]
    (asked,) = model.asked
    assert model.keys == ["Bearer key"] and asked["model"] == "tiny" and asked["temperature"] == 0
    assert "Mind the small print." in asked["messages"][0]["content"]
    assert "Total: 1,120.50 EUR" in asked["messages"][1]["content"]
    wanted = asked["response_format"]["json_schema"]
    assert wanted["strict"] and wanted["schema"]["additionalProperties"] is False
    assert wanted["schema"]["required"] == list(SCHEMA["properties"])
    assert wanted["schema"]["properties"]["total"] == {"type": ["number", "null"]}


async def test_values_are_looked_for_in_the_document(tmp_path, session):
    """Whatever form they have there; what isn't there is the model's word alone, without a
    citation.
    """
    async with listening(StandIn(ANSWER)) as model:
        settings = {"citations": {"enabled": True}}
        answer = await extracted(tmp_path, session, Model(model.url + "/v1"), settings=settings)
    found = answer["result"]["result"]
    assert [found[name]["citations"][0]["content"] for name in ("number", "total", "due")] == [
        "Invoice number: A-7",
        "Total: 1,120.50 EUR",
        "Due: 14 January 2026",
    ]
    assert found["mood"] == {"value": "grave", "citations": []}
    assert model.keys == [None]


async def test_an_answer_that_doesn_t_fit_is_repaired_once(tmp_path, session):
    """With the validator's own words."""
    async with listening(
        StandIn({**ANSWER, "total": "1,120.50"}, "```json\n" + json.dumps(ANSWER) + "\n```")
    ) as model:
        answer = await extracted(tmp_path, session, Model(model.url))
    assert answer["result"]["result"] == [ANSWER]
    *_, said, complaint = model.asked[1]["messages"]
    assert (
        said["role"] == "assistant" and "$.total" in complaint["content"] and len(model.asked) == 2
    )


@pytest.mark.parametrize("wrong", ["no JSON at all", "{}", {**ANSWER, "more": 1}, "[]"])
async def test_a_second_misfit_fails_the_job(tmp_path, session, wrong):
    """LLM_OUTPUT_PARSE_FAILED, and no third question."""
    async with listening(StandIn(wrong)) as model:
        answer = await extracted(tmp_path, session, Model(model.url))
    assert answer["error"]["name"] == "LLM_OUTPUT_PARSE_FAILED" and len(model.asked) == 2


@pytest.mark.parametrize("trouble", [500, 429, 401, ""])
async def test_a_model_that_fails_fails_the_job(tmp_path, session, trouble):
    """LLM_PROVIDER_ERROR with what it said; asked once, for batcher's own retries do the rest."""
    async with listening(StandIn(trouble)) as model:
        answer = await extracted(tmp_path, session, Model(model.url))
    assert answer["error"]["name"] == "LLM_PROVIDER_ERROR" and len(model.asked) == 1
    assert not trouble or str(trouble) in answer["error"]["message"]


async def test_a_model_that_isn_t_there_fails_the_job(tmp_path, session):
    """So does an address where nobody listens."""
    answer = await extracted(tmp_path, session, Model("http://127.0.0.1:1"))
    assert (
        answer["error"]["name"] == "LLM_PROVIDER_ERROR"
        and "can't be reached" in answer["error"]["message"]
    )


async def test_a_job_whose_model_is_slow_is_cancelled_at_once(tmp_path, session):
    """The worker ends, and nobody waits for the answer any more."""
    asked = asyncio.Event()

    class Slow(StandIn):
        async def complete(self, request: web.Request) -> web.Response:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    async with listening(Slow()) as model:
        options = LocalOptions(tmp_path, workers=1, parser=PARSER, model=Model(model.url))
        async with LocalService(options, key="secret") as service, asyncio.timeout(20):
            client = Client(session, service)
            job_id = await client.submit(
                await client.upload(PAPER), "extract_async", instructions={"schema": SCHEMA}
            )
            await asked.wait()
            assert (await client.call("POST", f"/cancel/{job_id}"))[0] == 200
            assert (await client.end_of(job_id))["error"]["name"] == "JOB_CANCELLED"
            _, after = await client.parsed(b"next")
            assert after["status"] == "Completed"


async def test_a_cut_off_answer_says_so(tmp_path, session):
    """finish_reason "length" is OUTPUT_LIMIT_EXCEEDED."""

    class CutOff(StandIn):
        async def complete(self, request: web.Request) -> web.Response:
            return web.json_response(
                {"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}
            )

    async with listening(CutOff()) as model:
        answer = await extracted(tmp_path, session, Model(model.url))
    assert answer["error"]["name"] == "OUTPUT_LIMIT_EXCEEDED"
