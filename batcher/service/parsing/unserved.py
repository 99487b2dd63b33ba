"""The options of a request that are accepted and have no effect here, with the reason for each.

The answer lists them in `usage.not_served`. Any option that isn't in these tables is honoured, or
its default is what happens anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.service.bodies import ParseBody
from batcher.service.unknown import NOT_KNOWN, unknown_keys

NO_MODEL: Final = "no model runs here"
UNSERVED: Final[Mapping[str, str]] = {
    "enhance.agentic": NO_MODEL,
    "enhance.advanced_chart_agent": NO_MODEL,
    "enhance.summarize_figures": NO_MODEL,
    "enhance.intelligent_ordering": NO_MODEL,
    "retrieval.embedding_optimized": NO_MODEL,
    "retrieval.chunking.chunk_overlap": "chunks never overlap here",
    "formatting.include": "only the text of a document is read",
    "spreadsheet.include": "only the values of cells are read",
    "settings.ocr_system": "OCR is done by Tesseract or RapidOCR, whichever is installed",
    "settings.extraction_mode": "text that is in the document is used, OCR only where there is "
    "none",
    "settings.tenant_throttling": "nobody shares this service",
    "settings.model": NO_MODEL,
}
# kinds of documents whose pages have a layout and a picture
PLACED: Final = frozenset({"pdf", "image"})
BY_KIND: Final[Mapping[str, frozenset[str]]] = {
    "settings.return_images": PLACED,
    "settings.return_ocr_data": PLACED,
    "settings.return_citations": PLACED,
    "settings.embed_pdf_metadata": PLACED,
    "settings.extract_document_properties": frozenset({"pdf", "docx", "pptx", "sheet"}),
}


def not_served(options: Mapping[str, Any], kind: str) -> list[str]:
    """Return a sentence for each option in `options` that has no effect on a document of `kind`."""
    notes = [f"{path}: {reason}" for path, reason in UNSERVED.items() if _asked(options, path)]
    for path, kinds in BY_KIND.items():
        if _asked(options, path) and kind not in kinds:
            notes.append(f"{path}: only of {', '.join(sorted(kinds))}")
    if _asked(options, "formatting.table_output_format") == "jsonbbox":
        notes.append("formatting.table_output_format: jsonbbox is answered as json, without boxes")
    if _asked(options, "settings.return_citations") and _asked(options, "formatting.merge_tables"):
        notes.append("settings.return_citations: not together with formatting.merge_tables")
    notes += (f"{path}: {NOT_KNOWN}" for path in unknown_keys(options, ParseBody))
    return notes


def _asked(options: Mapping[str, Any], path: str) -> Any:
    value: Any = options
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
