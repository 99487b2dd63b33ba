"""What a request may ask for and doesn't get here, and why: one table for each endpoint, shown in
`usage.not_served` of the answer.

Decides nothing else; a setting that isn't in a table is honoured, or its default is what happens
anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from batcher.reducto.api_types import JobType
from batcher.reducto.request_schema import BODIES, ParseBody, ParseOptions
from batcher.service.unknown import NOT_KNOWN, unknown_keys

NO_MODEL: Final = "no model runs here"
UNSERVED: Final[Mapping[str, Mapping[str, str]]] = {
    JobType.PARSE: {
        "enhance.agentic": NO_MODEL,
        "enhance.advanced_chart_agent": NO_MODEL,
        "enhance.summarize_figures": NO_MODEL,
        "enhance.intelligent_ordering": NO_MODEL,
        "retrieval.embedding_optimized": NO_MODEL,
        "retrieval.chunking.chunk_overlap": "chunks never overlap here",
        "formatting.include": "only the text of a document is read",
        "spreadsheet.include": "colours, formulas and lists of choices of cells are not read",
        "settings.ocr_system": "OCR is done by Tesseract or RapidOCR, whichever is installed",
        "settings.extraction_mode": "text that is in the document is used, OCR only where there "
        "is none",
        "settings.tenant_throttling": "nobody shares this service",
        "settings.hybrid_vpc": "this service has one place, where it runs",
        "settings.alpha": NOT_KNOWN,
        "settings.model": NO_MODEL,
    },
    JobType.EXTRACT: {
        "instructions.system_prompt": "labels and tables are read by rules; `batcher serve "
        "--llm-url` asks a model",
        "settings.include_images": NO_MODEL,
        "settings.optimize_for_latency": "there is one speed",
        "settings.deep_extract": NO_MODEL,
    },
    JobType.SPLIT: {"split_rules": NO_MODEL, "settings.deep_split": NO_MODEL},
    JobType.CLASSIFY: {"model": NO_MODEL},
}
# What the API takes where nothing is said: asking for it asks for nothing.
USUAL: Final = {
    "instructions.system_prompt": "Be precise and thorough.",
    "split_rules": "Split the document into the applicable sections. Sections may only overlap at "
    "their first and last page if at all.",
    "model": "default",
}
# What a model of the user's own serves after all.
WITH_MODEL: Final = frozenset({"instructions.system_prompt"})
STORED: Final = "the earlier parse's result is given as it was read then"
# Settings that any answer honours, and the password, without which there is none.
NOT_OF_THE_READING: Final = frozenset(
    f"settings.{name}"
    for name in ("force_url_result", "persist_results", "timeout", "document_password")
)
ANY_KIND: Final = "pdf"  # of which everything can be asked
PLACED: Final = frozenset({"pdf", "image"})  # the kinds of document whose pages have a look
BY_KIND: Final[Mapping[str, frozenset[str]]] = {
    "settings.return_images": PLACED,
    "settings.return_ocr_data": PLACED,
    "settings.return_citations": PLACED,
    "settings.embed_pdf_metadata": PLACED,
    "settings.extract_document_properties": frozenset({"pdf", "docx", "pptx", "sheet", "html"}),
}


def unserved(request: Mapping[str, Any], type: str, *, model: bool = False) -> list[str]:
    """A sentence for each thing that a request of this type asks for in vain.

    What it says under `parsing` is left to `unserved_by_parse`. `model`: whether the user's own
    model answers.
    """
    notes = _in_vain(request, type, served=WITH_MODEL if model else frozenset())
    own = {name: value for name, value in request.items() if name != "parsing"}
    return notes + [f"{path}: {NOT_KNOWN}" for path in unknown_keys(own, BODIES[JobType(type)])]


def unserved_by_parse(options: Mapping[str, Any], kind: str) -> list[str]:
    """A sentence for each option that is asked for in vain of a document of this kind."""
    notes = _in_vain(options, JobType.PARSE)
    for path, kinds in BY_KIND.items():
        if _asked(options, path) and kind not in kinds:
            notes.append(f"{path}: only of {', '.join(sorted(kinds))}")
    if _asked(options, "formatting.table_output_format") == "jsonbbox":
        notes.append("formatting.table_output_format: jsonbbox is answered as json, without boxes")
    if _asked(options, "settings.return_citations") and _asked(options, "formatting.merge_tables"):
        notes.append("settings.return_citations: not together with formatting.merge_tables")
    notes += (f"{path}: {NOT_KNOWN}" for path in unknown_keys(options, ParseBody))
    return notes


def unserved_by_earlier(options: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[str]:
    """A sentence for each option that an earlier parse's result, made with other options, lacks.

    `earlier` is that parse's own request.
    """
    notes = unserved_by_parse(options, ANY_KIND)
    named = {note.partition(": ")[0] for note in notes}
    return notes + [
        f"{path}: {STORED}"
        for path, value in wanted_of_a_parse(options).items()
        if _asked(earlier, path) != value and not _is_below(path, named)
    ]


def wanted_of_a_parse(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return by its path what the options ask for of the reading of a document."""
    sections = {name: options.get(name) for name in ParseOptions.__struct_fields__}
    wanted = dict(_leaves(sections, ""))
    return {path: value for path, value in wanted.items() if path not in NOT_OF_THE_READING}


def is_of_an_option(note: str) -> bool:
    """Tell whether a note on a parse is about an option; others say what could not be read."""
    path, _, reason = note.partition(": ")
    return path.split(".")[0] in ParseBody.__struct_fields__ or reason == NOT_KNOWN


def _leaves(options: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        elif value:
            yield f"{above}{name}", value


def _is_below(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _in_vain(
    request: Mapping[str, Any], type: str, *, served: frozenset[str] = frozenset()
) -> list[str]:
    return [
        f"{path}: {reason}"
        for path, reason in UNSERVED.get(type, {}).items()
        if path not in served and _asked(request, path) and _asked(request, path) != USUAL.get(path)
    ]


def _asked(request: Mapping[str, Any], path: str) -> Any:
    section, _, rest = path.partition(".")
    value = request.get(section)
    if not value or not rest:  # by far the most frequent case
        return value
    for key in rest.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
