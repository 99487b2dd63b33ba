"""Ask a model behind an OpenAI-compatible address, on behalf of workers.

Workers have no key and no network. Each question is one request; a failure is a reply as well.
Knows nothing of documents, schemas or jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec

from batcher.reducto.api_types import ErrorName
from batcher.service.tasks import Question, Reply

PATIENCE: Final = 300.0  # seconds for one answer; local models are slow
LONGEST: Final = 16 << 20  # bytes of an answer
WORDS: Final = 300  # characters of a server's message that are passed on


@dataclass(frozen=True, slots=True)
class Model:
    """A model's server. `url` may end in /v1 or not; `key`, if any, is sent as a bearer token."""

    url: str
    name: str = "default"
    key: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The address of chat completions."""
        base = self.url.rstrip("/")
        return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


@dataclass(frozen=True, slots=True)
class ModelClient:
    """Asks one model."""

    session: aiohttp.ClientSession
    model: Model

    async def ask(self, question: Question) -> Reply:
        """Return the model's text, or the error if there is none; no failure is raised."""
        headers = {"Authorization": f"Bearer {self.model.key}"} if self.model.key else {}
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with self.session.post(
                self.model.address,
                json=self._body(question),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                return _read(answer.status, await _content(answer))
        except TimeoutError:
            return _failed(f"it gave no answer within {PATIENCE:g} s")
        except aiohttp.ClientError as trouble:
            return _failed(f"it can't be reached: {trouble}")

    def _body(self, question: Question) -> dict[str, Any]:
        schema = {"name": "extraction", "strict": True, "schema": question.schema}
        return {
            "model": self.model.name,
            "messages": question.messages,
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for part in answer.content.iter_chunked(1 << 16):
        content += part
        if len(content) > LONGEST:
            raise aiohttp.ClientPayloadError(f"more than {LONGEST} bytes")
    return content


def _read(status: int, content: bytes) -> Reply:
    if status != 200:
        return _failed(f"it answered {status}: {content[:WORDS].decode('utf-8', 'replace')}")
    try:
        choice = msgspec.json.decode(content, type=_Completion).choices[0]
    except (msgspec.DecodeError, IndexError, UnicodeDecodeError) as problem:
        return _failed(f"its answer is no chat completion: {problem}")
    if choice.finish_reason == "length":
        return Reply(
            name=ErrorName.OUTPUT_LIMIT_EXCEEDED,
            message="The model's answer was cut off at its length limit",
        )
    if not choice.message.content:
        refusal = choice.message.refusal
        return _failed(f"it gave no content: {refusal}" if refusal else "it gave no content")
    return Reply(text=choice.message.content)


def _failed(reason: str) -> Reply:
    return Reply(name=ErrorName.LLM_PROVIDER_ERROR, message=f"The model failed: {reason}")
