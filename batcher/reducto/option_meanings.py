"""What each option of a job means, and its default: the reference behind `batcher options`. Pure.

The words are ours and short; the defaults are those of the API's description v1.12.20. Types and
accepted values come from `option_shapes`, so that they stand in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from batcher.reducto.option_shapes import SHAPES, Shape

# (default as JSON, or "" where there is none; meaning) by the option's path. Those of `parsing` are
# parse's. What an endpoint means differently has the endpoint before a colon.
MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "enhance": ("", "Better reading by vision models: slower, and some of it dearer."),
    "enhance.agentic": (
        "[]",
        "Passes of a vision model over text, tables or figures, one entry for each scope.",
    ),
    "enhance.agentic[].scope": ("", "What the pass looks at; each scope has keys of its own."),
    "enhance.agentic[].prompt": ("null", "Your own instructions for this pass."),
    "enhance.agentic[].mode": (
        '"default"',
        "Scope table: default takes tables that are likely to gain, max takes all.",
    ),
    "enhance.agentic[].advanced_chart_agent": (
        "false",
        "Scope figure: read charts as series of data, and draw them again from it.",
    ),
    "enhance.advanced_chart_agent": (
        "false",
        "Read charts as series of data without an agentic entry for figures; slower.",
    ),
    "enhance.summarize_figures": (
        "true",
        "Describe figures in words (model legacy; r-1 always does).",
    ),
    "enhance.intelligent_ordering": (
        "false",
        "Let a vision model find the reading order (model legacy; r-1 always does).",
    ),
    "retrieval": ("", "How the text is cut for search and embedding."),
    "retrieval.chunking": ("", "How the text is cut into chunks."),
    "retrieval.chunking.chunk_mode": (
        '"disabled"',
        "Where chunks end: by length and layout (variable), heading, page, heading within a page, "
        "block; disabled gives one chunk.",
    ),
    "retrieval.chunking.chunk_size": (
        "null",
        "About how many characters a chunk has; null lets it vary from 250 to 1500.",
    ),
    "retrieval.chunking.chunk_overlap": (
        "0",
        "Characters that a chunk repeats of its neighbours.",
    ),
    "retrieval.filter_blocks": (
        "[]",
        "Types of blocks that are left out of the text, such as headers and footers.",
    ),
    "retrieval.embedding_optimized": ("false", "Write the `embed` text for embedding models."),
    "formatting": ("", "How the text is written."),
    "formatting.add_page_markers": ("false", "Mark in the text where each page begins."),
    "formatting.table_output_format": (
        '"dynamic"',
        "How tables are written; dynamic is md for simple ones and html for the rest.",
    ),
    "formatting.merge_tables": (
        "false",
        "Join tables that follow each other and have as many columns.",
    ),
    "formatting.include": (
        "[]",
        "Marks to keep in the text: tracked changes, comments, links, signatures and so on.",
    ),
    "spreadsheet": ("", "How spreadsheets are read."),
    "spreadsheet.split_large_tables": (
        "",
        "Whether large tables are split, and how large is that.",
    ),
    "spreadsheet.split_large_tables.enabled": ("true", "Split large tables into smaller ones."),
    "spreadsheet.split_large_tables.size": (
        "50",
        "Rows and columns of a part; a table gives each a number of its own.",
    ),
    "spreadsheet.split_large_tables.size.row": ("null", "Rows of a part; null splits no rows."),
    "spreadsheet.split_large_tables.size.column": (
        "null",
        "Columns of a part; null splits no columns.",
    ),
    "spreadsheet.include": ("[]", "What is told beside values: colours, formulas, dropdowns."),
    "spreadsheet.clustering": (
        '"accurate"',
        "How tables within a sheet are told apart; accurate costs five times as much for a cell, "
        "disabled takes a sheet as one table.",
    ),
    "spreadsheet.exclude": (
        "[]",
        "What is left out: hidden sheets, rows, columns, styling, images.",
    ),
    "spreadsheet.max_cell_count": (
        "null",
        "Refuse a workbook with more filled cells than this; null refuses none.",
    ),
    "settings": ("", "The rest: pages, language, what is returned and how."),
    "settings.ocr_system": (
        '"standard"',
        "Which OCR reads scans; legacy knows Germanic languages only (r-1 uses neither).",
    ),
    "settings.extraction_mode": (
        '"hybrid"',
        "Text by OCR alone, or together with the text in the PDF (r-1 ignores it).",
    ),
    "settings.force_url_result": (
        "false",
        "Return the result as a link; batcher follows it, and stores the same.",
    ),
    "settings.force_file_extension": ("null", "Read the document as this type, as in .png."),
    "settings.return_ocr_data": (
        "false",
        "Return the words and lines that OCR found, with places.",
    ),
    "settings.return_images": (
        "[]",
        "Return pictures of figures, tables or whole pages; batcher stores them beside the result.",
    ),
    "settings.embed_pdf_metadata": ("false", "Return a PDF with the text that was read laid in."),
    "settings.embed_pdf_metadata_dpi": (
        "100",
        "Dots per inch of that PDF's pages, 50 to 250: fewer make it smaller.",
    ),
    "settings.extract_document_properties": (
        "false",
        "Return the properties that are stored in the file, such as author and title.",
    ),
    "settings.persist_results": (
        "false",
        "Keep the result at the service without end, instead of twelve hours.",
    ),
    "settings.tenant_throttling": ("null", "Bound how much of the account one tenant may use."),
    "settings.tenant_throttling.tenant_id": ("", "Your own name for the tenant."),
    "settings.tenant_throttling.max_share": (
        "0.5",
        "The tenant's largest share of the account's concurrency, over 0 and up to 1.",
    ),
    "settings.timeout": ("null", "Seconds after which the service gives the job up."),
    "settings.page_range": (
        "null",
        "Pages to read, from 1: a range, a list of ranges or pages, or names of sheets; null reads "
        "all.",
    ),
    "settings.page_range.start": ("null", "The first page to read."),
    "settings.page_range.end": ("null", "The last page to read."),
    "settings.page_range[].start": ("null", "The first page of this range."),
    "settings.page_range[].end": ("null", "The last page of this range."),
    "settings.document_password": (
        "null",
        "Opens a protected document; source.passwords_env doesn't write it down.",
    ),
    "settings.hybrid_vpc": ("{}", "For accounts whose documents stay in a network of their own."),
    "settings.hybrid_vpc.environment": ("null", "Which of these networks."),
    "settings.model": (
        "null",
        "Which model reads: r-1, whole pages at once, or legacy; null is the account's default.",
    ),
    "settings.return_citations": ("false", "Return where each word of a block stands (r-1)."),
    "settings.alpha": ("", "Taken by the service, and described nowhere."),
    "queue_priority": (
        '"auto"',
        "batch is cheaper for a parse, and may take half a day. "
        "In a manifest it is job.queue_priority.",
    ),
    "parsing": ("", "How the document is read first: the options of parse."),
    "instructions": ("", "What is extracted."),
    "instructions.schema": (
        "{}",
        "JSON Schema of the fields, an object at its top. A file goes into job.schema_file.",
    ),
    "instructions.system_prompt": ('"Be precise and thorough."', "General instructions in words."),
    "settings.include_images": ("false", "Show the model pictures as well as the text."),
    "settings.optimize_for_latency": ("false", "Be served sooner, at about twice the price."),
    "settings.array_extract": ("false", "For long lists; deep_extract has taken its place."),
    "settings.deep_extract": (
        "false",
        "Extract in several rounds: more exact, slower and dearer.",
    ),
    "settings.citations": ("", "Whether each value says where it was found."),
    "settings.citations.enabled": ("false", "Say for each value where it was found."),
    "settings.citations.numerical_confidence": (
        "true",
        "Say as a number how sure each citation is.",
    ),
    "settings.citations.parent_block": (
        '"full"',
        "Repeat the whole block with each citation, or its place alone (bbox_only).",
    ),
    "split_description": ("", "The sections to look for."),
    "split_description[].name": ("", "What the section is called in the result."),
    "split_description[].description": ("", "How the section is known, in words."),
    "split_description[].partition_key": (
        "null",
        "A value by which the section is split further, such as an account number.",
    ),
    "split_rules": (
        '"Split the document into the applicable sections. Sections may only overlap at their '
        'first and last page if at all."',
        "General rules for the split, in words.",
    ),
    "settings.table_cutoff": (
        '"truncate"',
        "Show the first rows of a table, which is faster, or all of it (preserve).",
    ),
    "settings.allow_page_overlap": ("true", "Let a page belong to several sections."),
    "settings.auto_partition": (
        "true",
        "Let a deep split divide sections without a partition_key too.",
    ),
    "settings.deep_split": ("false", "Split in several rounds: better, slower and dearer."),
    "pipeline_id": ("", "The pipeline of your account to run."),
    "pipeline:settings": ("{}", "What a pipeline may be told beside the document."),
    "model": ('"default"', "accurate is for documents that are hard to tell apart."),
    "priority": (
        "true",
        "Go before jobs without priority. In a manifest it is job.priority.",
    ),
    "force_url_result": (
        "false",
        "Return the result as a link; batcher follows it, and stores the same.",
    ),
    "classification_schema": ("[]", "The categories to choose from."),
    "classification_schema[].category": ("", "What the category is called in the result."),
    "classification_schema[].criteria": ("", "What a document of this category shows, in words."),
    "category_groups": ("", "Groups of categories: the result names the group as well."),
    "page_range": ("null", "Pages to look at, from 1, in a PDF; null takes the first five."),
    "page_range.start": ("null", "The first page to look at."),
    "page_range.end": ("null", "The last page to look at."),
    "page_range[].start": ("null", "The first page of this range."),
    "page_range[].end": ("null", "The last page of this range."),
    "document_metadata": ("null", "What is known about the document, told to the model."),
}
_TYPES: Final = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a table",
    "null": "null",
    "any": "anything",
}


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an endpoint.

    `path` is as in a request, with `[]` after the name of a list whose items have keys. `values`
    are the only ones accepted, if they are few. `default` is JSON, or "" where there is none.
    """

    endpoint: str
    path: str
    type: str
    values: tuple[str, ...]
    default: str
    required: bool
    about: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def options_of(endpoint: str) -> list[Option]:
    """Return all options of an endpoint, those of a table after the table itself."""
    found: dict[str, Option] = {}
    for option in _below(endpoint, SHAPES[endpoint], ""):
        known = found.get(option.path)
        if known is not None:  # alternatives that share a key, as the scopes of an agentic pass
            values = tuple(dict.fromkeys((*known.values, *option.values)))
            option = replace(option, values=values)
        found[option.path] = option
    return list(found.values())


def _below(endpoint: str, shape: Any, path: str) -> Iterator[Option]:
    match shape:
        case {"keys": keys}:
            needs = shape.get("needs", ())
            for name, inner in keys.items():
                place = f"{path}.{name}" if path else name
                yield _option(endpoint, place, inner, required=name in needs)
                yield from _below(endpoint, inner, place)
        case {"each": inner}:
            yield from _below(endpoint, inner, f"{path}[]")
        case list():
            for one in shape:
                yield from _below(endpoint, one, path)


def _option(endpoint: str, path: str, shape: Shape, *, required: bool) -> Option:
    default, about = _meaning(endpoint, path)
    return Option(endpoint, path, _type_of(shape), _values_of(shape), default, required, about)


def _meaning(endpoint: str, path: str) -> tuple[str, str]:
    own = MEANINGS.get(f"{endpoint}:{path}")
    return own or MEANINGS[path.removeprefix("parsing.")]


def _type_of(shape: Shape) -> str:
    """Return the kinds of value that are taken, in words; tables of different keys are one kind."""
    kinds = [_type_of(one) for one in shape] if isinstance(shape, list) else [_kind_of(shape)]
    return " or ".join(dict.fromkeys(kinds))


def _kind_of(shape: str | dict[str, Any]) -> str:
    match shape:
        case str():
            return _TYPES[shape]
        case {"each": inner}:
            items = _type_of(inner).split(" or ")
            return f"a list of {' or '.join(_SEVERAL.get(one, one) for one in items)}"
        case {"among": _}:
            return "one of"
        case _:
            return "a table"


_SEVERAL: Final = {
    "one of": "some of",
    "a table": "tables",
    "text": "texts",
    "a whole number": "whole numbers",
}


def _values_of(shape: Shape) -> tuple[str, ...]:
    match shape:
        case {"among": values}:
            return tuple(map(str, values))
        case {"each": inner}:
            return _values_of(inner)
        case _:
            return ()


def default_of(option: Option) -> Any:
    """Return the default as a value. Raises ValueError where there is none."""
    return json.loads(option.default)
