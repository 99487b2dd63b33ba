"""The bodies of submissions in the API's version 2, by its description v1.11.57.

Only keys and values with a counterpart in today's API are here; `older_requests` translates them
and refuses the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from batcher.reducto.api_types import BlockType, JobType
from batcher.reducto.request_schema import (
    PageRanges,
    PipelineSettings,
    SplitCategory,
    UploadAnswer,
)


class Chunks(msgspec.Struct):
    chunk_mode: Literal["variable", "section", "page", "block", "disabled", "page_sections"] = (
        "variable"
    )
    chunk_size: int | None = None
    chunk_overlap: int = 0


class TableSummary(msgspec.Struct):
    enabled: bool = False


class FigureSummary(msgspec.Struct):
    enabled: bool = False
    advanced_chart_agent: bool = False


class OlderOptions(msgspec.Struct):
    """`options`, without the `extraction_mode` "metadata", which the API no longer has."""

    ocr_mode: Literal["standard", "agentic"] = "standard"
    extraction_mode: Literal["ocr", "hybrid"] | None = None
    chunking: Chunks = msgspec.field(default_factory=Chunks)
    table_summary: TableSummary = msgspec.field(default_factory=TableSummary)
    figure_summary: FigureSummary = msgspec.field(default_factory=FigureSummary)
    filter_blocks: list[BlockType] | None = None
    force_url_result: bool = False


class OlderLargeTables(msgspec.Struct):
    enabled: bool = True
    size: int = 50


class Advanced(msgspec.Struct):
    """`advanced_options`, without the `table_output_format` "ai_json", which is gone."""

    ocr_system: (
        Literal["highres", "multilingual", "combined", "reducto", "reducto-v2", "legacy"] | None
    ) = None
    table_output_format: Literal["html", "json", "md", "jsonbbox", "dynamic", "csv"] = "html"
    merge_tables: bool = False
    include_formula_information: bool = False
    include_color_information: bool = False
    include_dropdown_information: bool = False
    page_range: PageRanges = None
    force_file_extension: str | None = None
    large_table_chunking: OlderLargeTables | None = None
    spreadsheet_table_clustering: Literal["default", "disabled", "intelligent"] | None = None
    add_page_markers: bool = False
    return_ocr_data: bool = False
    document_password: str | None = None
    read_comments: bool = False
    persist_results: bool = False
    exclude_hidden_sheets: bool = False
    exclude_hidden_rows_cols: bool = False
    enable_change_tracking: bool = False
    enable_highlight_detection: bool = False
    ignore_watermarks: bool = False


class Experimental(msgspec.Struct):
    return_figure_images: bool = False
    return_table_images: bool = False
    return_page_images: bool = False
    embed_text_metadata_pdf: bool = False
    detect_signatures: bool = False
    user_specified_timeout_seconds: float | None = None


class OlderWebhook(msgspec.Struct):
    mode: Literal["disabled", "svix", "direct"] = "disabled"
    url: str | None = None
    metadata: Any = None
    channels: list[str] | None = None

    def __post_init__(self) -> None:
        if self.mode == "direct" and self.url is None:
            # In msgspec's words, so that `requests` explains it like its other errors.
            raise ValueError("Object missing required field `url`")


class Older(msgspec.Struct, kw_only=True):
    """What all bodies of the older form have in common."""

    document_url: str | list[str] | UploadAnswer
    webhook: OlderWebhook = msgspec.field(default_factory=OlderWebhook)
    priority: bool = False


class OlderRead(Older, kw_only=True):
    """What the bodies that parse a document have in common."""

    options: OlderOptions = msgspec.field(default_factory=OlderOptions)
    advanced_options: Advanced = msgspec.field(default_factory=Advanced)
    experimental_options: Experimental = msgspec.field(default_factory=Experimental)


class OlderParse(OlderRead, kw_only=True):
    document_url: str | UploadAnswer
    queue_priority: Literal["auto", "standard", "batch"] | None = None


class ArrayExtract(msgspec.Struct):
    enabled: bool = False


class OlderCitations(msgspec.Struct):
    numerical_confidence: bool = False


class OlderExtract(OlderRead, kw_only=True):
    schema: Any
    system_prompt: str | None = None
    deep_extract: bool = False
    generate_citations: bool = False
    array_extract: ArrayExtract = msgspec.field(default_factory=ArrayExtract)
    use_chunking: bool = False
    include_images: bool = False
    citations_options: OlderCitations = msgspec.field(default_factory=OlderCitations)
    latency_sensitive: bool = False


class SplitOptions(msgspec.Struct):
    table_cutoff: Literal["truncate", "preserve"] | None = None


class OlderSplit(OlderRead, kw_only=True):
    split_description: list[SplitCategory]
    split_rules: str | None = None
    deep_split: bool = False
    split_options: SplitOptions = msgspec.field(default_factory=SplitOptions)


class OlderPipeline(Older, kw_only=True):
    pipeline_id: str
    settings: PipelineSettings | None = None


FORMS: Final[Mapping[JobType, type[Older]]] = {
    JobType.PARSE: OlderParse,
    JobType.EXTRACT: OlderExtract,
    JobType.SPLIT: OlderSplit,
    JobType.PIPELINE: OlderPipeline,
}
