"""A service that costs next to nothing: the calls a batch makes, over raw HTTP/1.1, answered from
two dictionaries.

`python stub.py --service-time 1 --result-bytes 50000` prints its address; `GET /__used` tells
requests and CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections import Counter
from itertools import count


class Book:
    def __init__(self, service_time: float, result_bytes: int) -> None:
        self.service_time = service_time
        self.filler = "x" * result_bytes
        self.jobs: dict[str, tuple[float, str]] = {}  # id: (when it ends, its request)
        self.uploads: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.numbers = count(1)
        self.submitted_at = 0.0
        self.url = ""

    def answer(self, method: str, path: str, body: memoryview) -> tuple[int, bytes]:
        path, _, query = path.partition("?")
        part = path.split("/")[1]
        self.requests[f"{method} /{part}"] += 1
        return getattr(self, f"{method}_{part}".lower())(path, query, body)

    def post_upload(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        number = next(self.numbers)
        file_id = f"reducto://{number:032x}"
        self.uploads.add(file_id)
        place = f'"{self.url}/places/{number}"' if body == b"{}" else "null"
        return 200, f'{{"file_id":"{file_id}","presigned_url":{place}}}'.encode()

    def put_places(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        return 200, b""

    def delete_upload(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        return (200, b"{}") if self.uploads.discard(path[8:]) is None else (404, b"{}")

    def post_parse_async(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        job_id = f"{next(self.numbers):032x}"
        self.submitted_at = time.time()
        self.jobs[job_id] = (time.monotonic() + self.service_time, "")
        return 200, b'{"job_id":"%s"}' % job_id.encode()

    def post_parse(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        return 200, self.result(f"{next(self.numbers):032x}")

    def get_job(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        job_id = path[5:]
        if job_id not in self.jobs:
            return 404, b'{"detail":"Job not found"}'
        if time.monotonic() < self.jobs[job_id][0]:
            return 200, b'{"status":"Pending","result":null}'
        return 200, b'{"status":"Completed","result":%s}' % self.result(job_id)

    def result(self, job_id: str) -> bytes:
        return (
            f'{{"job_id":"{job_id}","response_type":"parse","duration":1.0,"usage":{{"num_pages":1,"credits":1.0}},'
            f'"result":{{"type":"full","chunks":[{{"content":"{self.filler}","embed":"","enriched":null,"blocks":[]}}]}}}}'
        ).encode()

    def get_jobs(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        words = dict(pair.split("=") for pair in query.split("&") if pair)
        start = int(words.get("cursor", "0"))
        limit = int(words.get("limit", "100"))
        now = time.monotonic()
        newest = list(self.jobs)[-1 - start : -1 - start - limit : -1] if start or self.jobs else []
        rows = [
            {
                "job_id": job_id,
                "status": "Completed" if self.jobs[job_id][0] <= now else "Pending",
                "created_at": "2026-01-01T00:00:00Z",
                "type": "Parse",
                "num_pages": 1,
            }
            for job_id in newest
        ]
        more = start + limit < len(self.jobs)
        return 200, json.dumps(
            {"jobs": rows, "next_cursor": str(start + limit) if more else None}
        ).encode()

    def get___used(self, path: str, query: str, body: memoryview) -> tuple[int, bytes]:
        return 200, json.dumps(
            {
                "cpu": time.process_time(),
                "requests": self.requests,
                "submitted_at": self.submitted_at,
            }
        ).encode()


class Connection(asyncio.Protocol):
    def __init__(self, book: Book) -> None:
        self.book, self.buffer = book, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end]).decode("latin-1")
            length = _length(head)
            if length is None:  # chunked: whole once its last chunk is there
                last = self.buffer.find(b"\r\n0\r\n\r\n", end)
                if last < 0:
                    return
                whole = last + 7
            else:
                whole = end + 4 + length
            if len(self.buffer) < whole:
                return
            method, path, _ = head.split(" ", 2)
            with memoryview(self.buffer) as view:
                status, body = self.book.answer(method, path, view[end + 4 : whole])
            del self.buffer[:whole]
            if (
                path == "/parse" and self.book.service_time
            ):  # the synchronous call: its answer takes its time
                asyncio.get_running_loop().call_later(
                    self.book.service_time, self.send, status, body
                )
            else:
                self.send(status, body)

    def send(self, status: int, body: bytes) -> None:
        self.transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, len(body), body)
        )


def _length(head: str) -> int | None:
    lower = head.lower()
    at = lower.find("\r\ncontent-length:")
    if at >= 0:
        return int(lower[at + 17 :].partition("\r\n")[0])
    return None if "transfer-encoding: chunked" in lower else 0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service-time", type=float, default=0.0)
    parser.add_argument("--result-bytes", type=int, default=50_000)
    arguments = parser.parse_args()
    book = Book(arguments.service_time, arguments.result_bytes)
    gc.freeze()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(book), "127.0.0.1", 0
    )
    book.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(book.url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
