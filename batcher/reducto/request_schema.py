"""The bodies of submissions for each endpoint by the API's description v1.12.20, for checking only.

The local service decodes requests into these types, which accepts unknown keys as the hosted
service does; `option_checks` holds a manifest's options against them, which doesn't. A test
compares them with the description itself. Defaults and meanings belong to the parser.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from batcher.reducto.api_types import BlockType, JobType

# Marks what the description lets be null. Any other key is left out instead; the local service
# takes null for those as well.
OR_NULL: Final = msgspec.Meta(extra={"null": True})
Word = Annotated[str | None, OR_NULL]
Whole = Annotated[int | None, OR_NULL]


class UploadAnswer(msgspec.Struct):
    """An upload's answer, which the API accepts as the input as it is."""

    file_id: str
    presigned_url: str | None = None


class WebhookRequest(msgspec.Struct):
    """Where to send the webhook.

    `mode` may be missing, since both modes have it as a default: then a `url` means direct, and no
    `url` means Svix.
    """

    mode: Literal["svix", "direct"] | None = None
    channels: list[str] | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if self.mode == "direct" and self.url is None:
            # In msgspec's words, so that `requests` explains it like its other errors.
            raise ValueError("Object missing required field `url`")


class AsyncOptions(msgspec.Struct):
    """What every submission may carry: metadata, priority and a webhook."""

    metadata: Any = None
    priority: bool = False
    webhook: WebhookRequest | None = None


class AgenticText(msgspec.Struct, tag_field="scope", tag="text"):
    prompt: Word = None


class AgenticTable(msgspec.Struct, tag_field="scope", tag="table"):
    prompt: Word = None
    mode: Literal["default", "auto", "max"] | None = None


class AgenticFigure(msgspec.Struct, tag_field="scope", tag="figure"):
    prompt: Word = None
    advanced_chart_agent: bool = False


class Enhance(msgspec.Struct):
    agentic: list[AgenticText | AgenticTable | AgenticFigure] | None = None
    advanced_chart_agent: bool = False
    summarize_figures: bool = True
    intelligent_ordering: bool = False


class Chunking(msgspec.Struct):
    chunk_mode: (
        Literal["variable", "section", "page", "disabled", "block", "page_sections"] | None
    ) = None
    chunk_size: Whole = None
    chunk_overlap: int = 0


class Retrieval(msgspec.Struct):
    chunking: Chunking | None = None
    filter_blocks: list[BlockType] | None = None
    embedding_optimized: bool = False


class Formatting(msgspec.Struct):
    add_page_markers: bool = False
    table_output_format: Literal["html", "json", "md", "jsonbbox", "dynamic", "csv"] | None = None
    merge_tables: bool = False
    include: (
        list[
            Literal[
                "change_tracking",
                "highlight",
                "comments",
                "hyperlinks",
                "signatures",
                "ignore_watermarks",
            ]
        ]
        | None
    ) = None


class TableSizes(msgspec.Struct):
    row: Whole = None
    column: Whole = None


class LargeTables(msgspec.Struct):
    enabled: bool = True
    size: int | TableSizes | None = None


class Spreadsheet(msgspec.Struct):
    split_large_tables: LargeTables | None = None
    include: list[Literal["cell_colors", "formula", "dropdowns"]] | None = None
    clustering: Literal["accurate", "fast", "disabled"] | None = None
    exclude: (
        list[
            Literal["hidden_sheets", "hidden_rows", "hidden_cols", "styling", "spreadsheet_images"]
        ]
        | None
    ) = None
    max_cell_count: Annotated[Annotated[int, msgspec.Meta(ge=1)] | None, OR_NULL] = None


class PageRange(msgspec.Struct):
    start: Whole = None
    end: Whole = None


PageRanges = Annotated[PageRange | list[PageRange | int | str] | None, OR_NULL]


class TenantThrottling(msgspec.Struct):
    tenant_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    max_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5


class HybridVpc(msgspec.Struct):
    environment: Word = None


class Settings(msgspec.Struct):
    ocr_system: Literal["standard", "legacy"] | None = None
    extraction_mode: Literal["ocr", "hybrid"] | None = None
    force_url_result: bool = False
    force_file_extension: Word = None
    return_ocr_data: bool = False
    return_images: list[Literal["figure", "table", "page"]] | None = None
    embed_pdf_metadata: bool = False
    embed_pdf_metadata_dpi: Annotated[int, msgspec.Meta(ge=50, le=250)] = 100
    extract_document_properties: bool = False
    persist_results: bool = False
    tenant_throttling: Annotated[TenantThrottling | None, OR_NULL] = None
    timeout: Annotated[float | None, OR_NULL] = None
    page_range: PageRanges = None
    document_password: Word = None
    hybrid_vpc: HybridVpc | None = None
    # r-1 and legacy in the description, and further ones in the documentation
    model: Word = None
    return_citations: bool = False
    alpha: Any = None  # the service accepts it; the description doesn't mention it


class ParseOptions(msgspec.Struct):
    """The parse options, as they stand under `parsing` in other bodies."""

    enhance: Enhance | None = None
    retrieval: Retrieval | None = None
    formatting: Formatting | None = None
    spreadsheet: Spreadsheet | None = None
    settings: Settings | None = None


QueuePriority = Literal["auto", "standard", "batch"]


class Body(msgspec.Struct, kw_only=True):
    """What every body has in common. `asynchronous` is `async` on the wire."""

    input: str | list[str] | UploadAnswer
    asynchronous: AsyncOptions | None = msgspec.field(name="async", default=None)

    @property
    def persists(self) -> bool:
        """Whether the result is kept beyond the retention; only parse options can ask for that."""
        return False

    @property
    def waits_in_batch(self) -> bool:
        """Whether it goes to the batch queue; only some bodies can ask for that."""
        return getattr(self, "queue_priority", None) == "batch"


class ParseBody(Body, kw_only=True):
    """The body of /parse."""

    enhance: Enhance | None = None
    retrieval: Retrieval | None = None
    formatting: Formatting | None = None
    spreadsheet: Spreadsheet | None = None
    settings: Settings | None = None
    queue_priority: QueuePriority | None = None

    @property
    def persists(self) -> bool:
        return bool(self.settings and self.settings.persist_results)


class ParsingBody(Body, kw_only=True):
    """A body with its parse options under `parsing`."""

    parsing: ParseOptions | None = None

    @property
    def persists(self) -> bool:
        return bool(
            self.parsing and self.parsing.settings and self.parsing.settings.persist_results
        )


class Instructions(msgspec.Struct):
    schema: Any = None
    system_prompt: str | None = None


class Citations(msgspec.Struct):
    enabled: bool = False
    numerical_confidence: bool = True
    parent_block: Literal["full", "bbox_only"] | None = None


class ExtractSettings(msgspec.Struct):
    include_images: bool = False
    optimize_for_latency: bool = False
    force_url_result: bool = False
    array_extract: bool = False
    deep_extract: bool = False
    citations: Citations | None = None
    page_range: PageRanges = None


class ExtractBody(ParsingBody, kw_only=True):
    """The body of /extract."""

    instructions: Instructions | None = None
    settings: ExtractSettings | None = None
    queue_priority: QueuePriority | None = None


class SplitCategory(msgspec.Struct):
    name: str
    description: str
    partition_key: Word = None


class SplitSettings(msgspec.Struct):
    table_cutoff: Literal["truncate", "preserve"] | None = None
    allow_page_overlap: bool = True
    auto_partition: bool = True
    deep_split: bool = False
    force_url_result: bool = False


class SplitBody(ParsingBody, kw_only=True):
    """The body of /split."""

    split_description: list[SplitCategory]
    split_rules: str | None = None
    settings: SplitSettings | None = None


class PipelineSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The only settings that refuse unknown keys, as the description says."""

    document_password: Word = None


class PipelineBody(Body, kw_only=True):
    """The body of /pipeline."""

    pipeline_id: str
    settings: PipelineSettings | None = None


class Category(msgspec.Struct):
    category: str
    criteria: list[str]


class ClassifyBody(Body, kw_only=True):
    """The body of /classify."""

    model: Literal["default", "accurate"] | None = None
    priority: bool = True
    force_url_result: bool = False
    classification_schema: list[Category] | None = None
    category_groups: dict[str, list[str]] | None = None
    page_range: PageRanges = None
    document_metadata: Word = None


BODIES: Final[dict[JobType, type[Body]]] = {
    JobType.PARSE: ParseBody,
    JobType.EXTRACT: ExtractBody,
    JobType.SPLIT: SplitBody,
    JobType.PIPELINE: PipelineBody,
    JobType.CLASSIFY: ClassifyBody,
}
