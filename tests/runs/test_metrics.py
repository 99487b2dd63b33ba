"""What a run tells Prometheus, read as Prometheus reads it, and the dashboard that shows it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from commandline import batcher, rows, start
from peer import KEY, Peer, once, says
from prometheus_client.parser import text_string_to_metric_families

from batcher.errors import ManifestError
from batcher.manifest import loading
from batcher.manifest.loading import for_directory, with_metrics
from batcher.runs.metrics import STATES, caps

DASHBOARD = Path(__file__).parents[2] / "examples" / "night" / "grafana.json"
Words = tuple[object, ...]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(address: str) -> Samples:
    """The samples at an address, by name and labels."""
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200 and answer.content_type == "text/plain"
        text = await answer.text()
    assert KEY not in text and "letter" not in text and "/tmp" not in text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@asynccontextmanager
async def five_of_six(words: Words, peer: Peer, *more: object) -> AsyncIterator[Samples]:
    """The samples of a run while one of six documents is out; the first upload was refused."""
    numbers = iter(range(100))
    peer.service.work = lambda job: (60.0 if next(numbers) == 5 else 0.0, None)
    peer.moods["upload"] = once(says(429, {"error": {"code": 1000}}), "upload")
    process = await start(*words, "--metrics=127.0.0.1:0", "-S", "limits.max_cost=75", *more)
    assert process.stderr is not None
    try:
        address = ""
        while "metrics: http" not in address:
            address = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        address = address.split()[-1]
        async with asyncio.timeout(30):
            while True:
                samples = await scraped(address)
                if samples.get(("batcher_documents", _labels("parse", "saved"))) == 5:
                    break
                await asyncio.sleep(0.2)
        yield samples
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def _labels(step: str, state: str) -> frozenset[tuple[str, str]]:
    return frozenset({"step": step, "state": state}.items())


async def test_a_run_tells_prometheus_how_it_goes(words: Words, peer: Peer, out: Path) -> None:
    """Documents, requests, bytes, money, the deadline, lag, commits and caps, as the ledger and the
    service have them; and every name and label that the dashboard asks for.
    """
    async with five_of_six(words, peer) as samples:
        states = {
            state: of(samples, "batcher_documents", step="parse", state=state) for state in STATES
        }
        assert {state for state, number in states.items() if number} == {"saved", "waiting"}
        assert of(samples, "batcher_in_flight") == 1
        assert 11 * 3600 < of(samples, "batcher_nearest_deadline_seconds") <= 12 * 3600
        assert of(samples, "batcher_requests_total", call="submit", status="200") == 6
        assert of(samples, "batcher_requests_total", call="upload", status="429") == 1
        assert of(samples, "batcher_rate_limited_total", call="upload") == 1
        assert of(samples, "batcher_sent_bytes_total", call="upload") > 6 * len("letter 0")
        assert of(samples, "batcher_received_bytes_total", call="fetch") > 500
        ((credits,),) = rows(out, "SELECT total(credits) FROM attempts WHERE outcome = 'saved'")
        assert isinstance(credits, float) and credits > 0
        for scope in ("run", "all"):
            assert of(samples, "batcher_credits_spent", scope=scope) == credits
            assert of(samples, "batcher_dollars_spent", scope=scope) == pytest.approx(
                credits * 0.015
            )
        assert of(samples, "batcher_limit", limit="max_cost") == 75
        assert of(samples, "batcher_event_loop_lag_seconds_count") > 0
        assert of(samples, "batcher_ledger_commit_seconds_count") > 5
        assert of(samples, "batcher_lane_paused_seconds", lane="fetch") >= 0
        assert of(samples, "batcher_run_info", batch="out", service="other") == 1
        assert any(name == "batcher_build_info" for name, _ in samples)
        assert_the_dashboard_asks_for_what_there_is(samples)


def assert_the_dashboard_asks_for_what_there_is(samples: Samples) -> None:
    """Names, labels, and the values of labels that are picked by name."""
    values: dict[str, dict[str, set[str]]] = {}
    for name, labels in samples:
        for label, value in labels:
            values.setdefault(name, {}).setdefault(label, set()).add(value)
        values.setdefault(name, {})
    queries = list(_queries(json.loads(DASHBOARD.read_text())))
    assert len(queries) > 15
    for query in queries:
        names = re.findall(r"\b((?:batcher|process)_\w+)", query)
        assert names, query
        for name in names:
            assert name in values, f"{name} is served by no run: {query}"
        for name, labels in re.findall(r"(\w+)\{([^}]*)\}", query):
            for label, how, value in re.findall(r'(\w+)(=~|!~|=)"([^"]*)"', labels):
                if label == "job":  # Prometheus adds it
                    continue
                assert label in values[name], f"{name} has no label {label}"
                if how != "!~" and name != "batcher_limit":
                    assert set(value.split("|")) <= values[name][label], f"{name}: {value}"
        for labels in re.findall(r"\bby \(([\w, ]+)\)", query):
            assert all(
                label == "le" or label in values[name]
                for label in labels.split(", ")
                for name in names
            ), query


def _queries(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        own = [node["expr"]] if "expr" in node else []
        return own + [query for value in node.values() for query in _queries(value)]
    return [query for one in node for query in _queries(one)] if isinstance(node, list) else []


async def test_a_port_that_is_taken_ends_the_run_before_anything_is_sent(
    words: Words, peer: Peer
) -> None:
    """Exit code 2, with the address and what to do; an address that is none is told as well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await batcher(*words, "--metrics", f"127.0.0.1:{port}")
        assert said.code == 2 and f"127.0.0.1:{port}" in said.err
        assert "free the port" in said.err and "Traceback" not in said.err
        assert not peer.calls
    said = await batcher("run", "--metrics", "manifest.toml")
    assert said.code == 2
    assert "host and port" in said.err and "put --metrics behind the manifest" in said.err


def test_without_the_library_the_manifest_says_what_to_install(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the extra, and whether a flag or a key asks for it."""
    manifest = for_directory(inbox, tmp_path / "out")
    hidden = {"prometheus_client": None}
    monkeypatch.setattr(loading, "find_spec", lambda name: hidden.get(name, find_spec(name)))
    wanted = r"metrics.listen.*prometheus-client.*\n?.*reducto-batcher\[metrics\]"
    with pytest.raises(ManifestError, match=wanted):
        with_metrics(manifest, ("127.0.0.1", 9464))
    with pytest.raises(ManifestError, match=wanted):
        for_directory(inbox, tmp_path / "out", overrides=["metrics.listen=127.0.0.1:9000"])


def test_limits_that_are_not_set_are_not_told(tmp_path: Path, inbox: Path) -> None:
    """Nor is infinity: `pay_again` has it where nobody is to be asked."""
    said = ["limits.max_pages=9", "service.max_in_flight=3", 'service.name="local"']
    told = caps(for_directory(inbox, tmp_path / "out", overrides=said))
    assert told == {"max_pages": 9, "max_in_flight": 3, "pay_again": 100}
