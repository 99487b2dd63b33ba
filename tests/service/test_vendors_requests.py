"""What the vendor's own end-to-end tests and examples send is answered as they want it.

`vendors_tests` runs those tests themselves.
"""

from __future__ import annotations

import zlib

import pytest
from malformed_uploads import MULTIPART, WHOLE, answer, request, status
from test_answers import answered, reader  # noqa: F401 (a fixture)
from vendors_tests import onepager, pdf_of

from batcher.service.parsing.pdf.info import info_of

KINDS = [
    {"category": "invoice", "criteria": ["an invoice or bill"]},
    {"category": "report", "criteria": ["a narrative report"]},
]
TOTAL = {"total": "number", "invoice_number": "string"}


@pytest.fixture
async def source(reader):  # noqa: F811
    return await reader.upload(onepager(), "onepager.pdf")


async def test_a_parse_says_what_each_page_is_billed_as_and_who_wrote_it(reader, source):  # noqa: F811
    """The title and the author are only in the Info dictionary."""
    settings = {"extract_document_properties": True}
    answer = await answered(reader, "parse", source, settings=settings)
    assert answer["usage"]["page_billing_breakdown"] == {"1": ["page"]}
    properties = answer["document_properties"]
    assert (properties["title"], properties["author"]) == ("The one-pager", "Ada")


async def test_a_web_page_and_a_sheet_are_billed_by_their_own_names(reader):  # noqa: F811
    """As the rate card has them."""
    for name, feature in (("a.html", "html_page"), ("a.csv", "spreadsheet_cells")):
        source = await reader.upload(b"a,b\n1,2\n", name)
        answer = await answered(reader, "parse", source)
        assert answer["usage"]["page_billing_breakdown"] == {"1": [feature]}


async def test_a_page_headed_invoice_is_an_invoice_or_bill(reader, source):  # noqa: F811
    """One of its criterion's two words, in a line of its own at the top, is enough."""
    more = {"classification_schema": KINDS, "category_groups": {"financial": ["invoice"]}}
    answer = await answered(reader, "classify", source, **more)
    assert answer["result"] == {"category": "invoice"}
    assert answer["extra_metadata"] == {"grouping": "financial"}


async def test_a_word_in_passing_makes_no_category(reader):  # noqa: F811
    """Where it stands within a sentence, and no other word of the criterion does."""
    words = b"Dear Ada,\n\nwe have received your letter and thank you. The invoice follows in May."
    answer = await answered(
        reader, "classify", await reader.upload(words, "a.txt"), classification_schema=KINDS
    )
    assert answer["result"] == {"category": "unknown"}


async def test_a_running_job_is_pending(client, tmp_path):
    """The description of GET /job knows no other word for it; that of GET /jobs does."""
    job_id = await client.submit(await client.upload(f"wait for {tmp_path / 'never'}".encode()))
    while (await client.call("GET", "/jobs"))[1]["jobs"][0]["status"] == "Pending":
        pass
    assert (await client.call("GET", f"/job/{job_id}"))[1]["status"] == "Pending"
    assert (await client.call("GET", "/jobs"))[1]["jobs"][0]["status"] == "InProgress"


# --- numbers and cursors as the description allows them ------------------------------------------


async def test_integers_may_be_written_with_a_point(reader, source):  # noqa: F811
    """In a body, also in the older form, and in a query; what is the caller's stays as it came."""
    settings = {"page_range": {"start": 1.0, "end": 1e0}, "embed_pdf_metadata_dpi": 72.0}
    more = {"retrieval": {"chunking": {"chunk_mode": "variable", "chunk_size": 50.0}}}
    metadata = {"mine": 1.0}
    job = await reader.end_of(
        await reader.submit(source, settings=settings, **more, **{"async": {"metadata": metadata}})
    )
    assert job["status"] == "Completed" and '"mine":1.0' in job["raw_config"].replace(" ", "")
    older = {"document_url": source, "options": {"chunking": {"chunk_size": 50.0}}}
    assert (await reader.call("POST", "/parse_async", json=older))[0] == 200
    assert (await reader.call("GET", "/jobs?limit=50.0"))[0] == 200


@pytest.mark.parametrize("number", ["50.5", "1e400", '"50"', "true"])
async def test_what_is_no_integer_is_refused(client, number):
    """With its place."""
    body = f'{{"input": "reducto://x", "settings": {{"embed_pdf_metadata_dpi": {number}}}}}'
    status, answer = await client.call("POST", "/parse_async", data=body.encode())
    assert status == 422 and answer["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("limit", ["50.5", "", ".0", "1e2", "٣"])
async def test_a_limit_that_is_no_integer_is_refused(client, limit):
    """As FastAPI does."""
    assert (await client.call("GET", "/jobs", params={"limit": limit}))[0] == 422


async def test_an_empty_cursor_means_the_first_page(client):
    """A cursor may be any string, and clients send back what they have."""
    await client.parsed()
    status, answer = await client.call("GET", "/jobs?cursor=")
    assert status == 200 and len(answer["jobs"]) == 1


# --- schemas in the short form -------------------------------------------------------------------


async def test_fields_and_their_types_are_a_schema(reader, source):  # noqa: F811
    """Without the words of JSON Schema around them."""
    answer = await answered(reader, "extract", source, instructions={"schema": TOTAL})
    assert answer["result"] == [{"total": 120.5, "invoice_number": "A-7"}]


@pytest.mark.parametrize(
    "schema",
    [
        {"items": [{"name": "string"}], "total": "number"},
        {"total": "the sum of all"},
        {"total": {"net": "money"}},
        {"total": []},
        {"total": {}},
        {"total": 1},
    ],
)
async def test_what_is_neither_form_is_refused_with_what_to_do(reader, source, schema):  # noqa: F811
    """By the name of the field."""
    job = await reader.end_of(
        await reader.submit(source, "extract_async", instructions={"schema": schema})
    )
    assert job["error"]["name"] == "INVALID_SCHEMA", job
    said = job["error"]["message"]
    assert '{"type": "object"' in said or "JSON Schema" in said


async def test_the_short_form_nests(reader):  # noqa: F811
    """Objects, and lists by their one item; a field may be JSON Schema already."""
    schema = {
        "customer": {"name": "string"},
        "lines": [{"item": "string", "price": "number"}],
        "total": {"type": "number", "description": "the sum"},
    }
    source = await reader.upload(b"item,price\nlamp,3\nwick,4\n", "a.csv")
    answer = await answered(reader, "extract", source, instructions={"schema": schema})
    (found,) = answer["result"]
    assert found["lines"] == [{"item": "lamp", "price": 3}, {"item": "wick", "price": 4}]
    assert found["customer"] == {"name": None}


# --- requests that are none ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/upload", "/jobs", "/nowhere"])
async def test_a_header_that_is_no_text_is_the_client_s_fault(client, path):
    """aiohttp quotes it in its refusal."""
    said = await answer(client.service, request(WHOLE, MULTIPART, "Expect: \xff", path=path))
    assert status(said) == 417


# --- the Info dictionary -------------------------------------------------------------------------


def described(info: bytes, *more: bytes) -> dict[str, str]:
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>"]
    return info_of(pdf_of([*objects, *more], info=info))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"(plain)", "plain"),
        (rb"(a \(b\) (c) \101\n\\)", "a (b) (c) A \\"),
        (b"(a \\\nb)", "a b"),
        (b"<feff00dc006e>", "Ün"),
        (b"(\xfe\xff\x00\\(\x00x)", "(x"),
        (b"<EFBBBFC3A9>", "é"),
        (b"<4>", "@"),
        (b"(\x84 \x80 \xa0 \xe9)", "— • € é"),
        (b"3 0 R", "elsewhere"),
        (b"9 0 R", None),
        (b"(open", "open >>"),
        (b"[(no text)]", None),
        (b"<< /Title (inner) >>", None),
    ],
)
def test_a_title_is_read_however_it_is_written(written, read):
    """Literal, hexadecimal, in three encodings, and as an object of its own."""
    found = described(b"<< /Trapped /False /Title %s >>" % written, b"(elsewhere)").get("title")
    assert (found or "").removesuffix(" endobj").partition(" endobj")[0] == (read or "")


def test_the_last_version_of_the_dictionary_counts():
    """An update of a file is appended to it."""
    first = pdf_of([b"<< /Type /Catalog >>"], info=b"<< /Title (old) >>")
    update = b"2 0 obj\n<< /Title (new) >>\nendobj\ntrailer << /Info 2 0 R /Root 1 0 R >>\n"
    assert info_of(first + update) == {"title": "new"}


def test_a_dictionary_in_a_compressed_stream_is_read():
    """As most programs write it since 2003."""
    inner = b"5 0 6 8 " + b"<< /A 1>" + b"<< /Title (packed) /Author (Ada) >>"
    packed = zlib.compress(inner)
    head = b"<< /Type /ObjStm /N 2 /First 8 /Filter /FlateDecode /Length %d >>" % len(packed)
    whole = (
        b"%PDF-1.5\n7 0 obj\n"
        + head
        + b"\nstream\n"
        + packed
        + b"\nendstream\nendobj\n8 0 obj << /Type /XRef /Info 6 0 R >> stream\n"
    )
    assert info_of(whole) == {"title": "packed", "author": "Ada"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "content",
    [
        b"/Info 1 0 R " * 200_000,
        b"1 0 obj " * 300_000 + b"/Info 1 0 R",
        b"/Info 1 0 R 5 0 obj /Type /ObjStm /N 9 /First 9 stream\n" * 50_000,
        b"/Info 1 0 R 1 0 obj << " + b"/Title 9 0 R " * 200_000,
        b"/Info 1 0 R 1 0 obj << /Title " + b"(" * 2_000_000,
    ],
    ids=["references", "objects", "streams", "look-ups", "parentheses"],
)
def test_a_hostile_file_takes_no_time(content):
    """Every byte is looked at a few times at most."""
    info_of(content)
