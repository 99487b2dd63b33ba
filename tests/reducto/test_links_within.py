"""Links deeper in a result: found where the API has them, in their places, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batcher.common.json_syntax import NotWhole, items
from batcher.reducto.links_within import enclosed, links_within


def link(name: str) -> dict[str, str]:
    return {"type": "url", "url": f"https://h/{name}", "result_id": name}


def parse(result: Any) -> dict[str, Any]:
    return {"response_type": "parse", "job_id": "j", "result": result, "usage": {"num_pages": 1}}


def extract(result: Any, citations: Any = None, *, kind: str = "extract") -> dict[str, Any]:
    return {"response_type": kind, "result": result, "citations": citations, "usage": {}}


def pipeline(**parts: Any) -> dict[str, Any]:
    return {
        "response_type": "pipeline",
        "job_id": "j",
        "result": {"parse": None, "extract": None, "split": None, **parts},
    }


def spliced(value: Any, kind: str = "pipeline") -> tuple[list[str], Any]:
    """What the links are of, and the result with their addresses in their places."""
    body = json.dumps(value, indent=1).encode()
    links = links_within(body, kind)
    at = 0
    pieces = []
    for one in links:
        pieces += [body[at : one.start], json.dumps(one.url.rpartition("/")[2]).encode()]
        at = one.end
    return [one.of for one in links], json.loads(b"".join([*pieces, body[at:]]))


def test_a_pipeline_s_parts_may_each_be_elsewhere() -> None:
    """Of one document or of several, of sections or of the whole."""
    full = {"type": "full", "chunks": []}
    section = {"split_name": "A", "page_range": [1], "partition": None}
    said = pipeline(
        parse=[parse(link("p1")), parse(full), parse(link("p2"))],
        extract=[
            {**section, "result": extract(link("e"), link("c"))},
            {**section, "result": extract([{"a": 1}])},
        ],
        split={"response_type": "split", "result": link("s"), "usage": {}},
    )
    of, whole = spliced(said)
    assert of == ["parse", "parse", "extract", "citations", "split"]
    assert [one["result"] for one in whole["result"]["parse"]] == ["p1", full, "p2"]
    first, second = (one["result"] for one in whole["result"]["extract"])
    assert (first["result"], first["citations"], second["result"]) == ("e", "c", [{"a": 1}])
    assert whole["result"]["split"]["result"] == "s"
    of, whole = spliced(pipeline(parse=parse(link("p")), extract=extract(link("e"))))
    assert (of, whole["result"]["parse"]["result"], whole["result"]["extract"]["result"]) == (
        ["parse", "extract"],
        "p",
        "e",
    )


def test_the_citations_of_an_extract_may_be_elsewhere() -> None:
    """Beside a result that is there."""
    of, whole = spliced(extract([{"a": 1}], link("c")), "extract")
    assert (of, whole["citations"], whole["result"]) == (["citations"], "c", [{"a": 1}])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (extract([link("x")], [{"a": link("x")}]), "extract"),
        (extract({"a": link("x"), "citations": link("x")}), "extract"),
        (extract(link("x"), link("x"), kind="v3_extract"), "v3_extract"),
        (parse({"type": "full", "chunks": [link("x")]}), "parse"),
        (pipeline(extract=extract(link("x"), kind="v3_extract")), "pipeline"),
        (pipeline(extract=extract([link("x")])), "pipeline"),
        (pipeline(extract={"result": link("x")}), "pipeline"),
        (pipeline(parse=parse({"type": "full", "chunks": [], "custom": link("x")})), "pipeline"),
        (pipeline(parse=parse({"type": "url"})), "pipeline"),
        (pipeline(other=parse(link("x"))), "pipeline"),
        ({"response_type": "pipeline", "result": link("x")}, "pipeline"),
    ],
)
def test_what_stands_elsewhere_is_no_link(value: Any, kind: str) -> None:
    """Values of a document's author, and whatever the API has no links for."""
    assert spliced(value, kind) == ([], value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b'{"type": "url"',
        b'{"result": {"parse": {"type": "url"]}}',
        b'{"a": 1} {"type":"url"}',
    ],
)
def test_what_cannot_be_read_has_none(body: bytes) -> None:
    """It is kept as it came."""
    assert links_within(body, "pipeline") == links_within(body, "extract") == []


def test_the_bare_list_of_a_parse_s_chunks_is_made_its_result() -> None:
    """As some answers at such an address are; of nothing else."""
    ((parse_link, extract_link),) = [
        links_within(
            json.dumps(pipeline(parse=parse(link("p")), extract=extract(link("e")))).encode(),
            "pipeline",
        )
    ]
    assert enclosed(parse_link, b"[") == (b'{"type":"full","chunks":', b"}")
    assert enclosed(parse_link, b"{") == enclosed(extract_link, b"[") == (b"", b"")


@pytest.mark.parametrize(
    "text", ["[]", "[ ]", "[1]", '[ "a,]" , {"b": [1, 2]} ,null]', "[[[]], [0]]"]
)
def test_the_items_of_a_list_are_where_they_are(text: str) -> None:
    """Whatever stands in them."""
    assert [json.loads(text[start:end]) for start, end in items(text.encode())] == json.loads(text)


@pytest.mark.parametrize("text", ["", "{}", "[", "[1", "[1,", "[1,]", "[1 2]", "[1]]", "[,]"])
def test_what_is_no_list_has_no_items(text: str) -> None:
    """Told, whatever is missing."""
    with pytest.raises(NotWhole):
        list(items(text.encode()))
