"""Translate requests of the API's version 2 (`document_url`, `options` …) into today's form.

The description v1.12.20 no longer has them. That of v1.11.57 has them for parse, extract, split and
pipeline, and the hosted service still accepts them. A key without a counterpart is refused by name,
unless its value asks for nothing. Answers have today's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from batcher.reducto.api_types import ErrorName, JobType
from batcher.service.answers import ApiError, InvalidRequest
from batcher.service.older_forms import (
    FORMS,
    Advanced,
    Experimental,
    Older,
    OlderExtract,
    OlderParse,
    OlderPipeline,
    OlderRead,
    OlderSplit,
)
from batcher.service.unknown import unknown_keys

MIXED: Final = (
    "this request mixes two forms: {older} belong to the older one, {newer} to that of today; "
    "name the document as `input` and everything else as the API does today"
)
NO_OLDER: Final = (
    "{older} belong to the older form of requests, which {type} never had: name the "
    "document as `input`"
)
NO_COUNTERPART: Final = (
    "The API has nothing like this today, and this service works by today's requests: leave it out"
)
NOT_PERMITTED: Final = "Extra inputs are not permitted"
OLDER: Final = frozenset({"document_url", "options", "advanced_options", "experimental_options"})
NEWER: Final = frozenset(
    {
        "input",
        "async",
        "enhance",
        "retrieval",
        "formatting",
        "spreadsheet",
        "parsing",
        "instructions",
    }
)
# The older form's defaults for keys that have no counterpart; sending them asks for nothing.
USUAL: Final[Mapping[str, Any]] = {
    "advanced_options.continue_hierarchy": True,
    "experimental_options.rotate_pages": True,
    "experimental_options.layout_model": "default",
    "experimental_table_citations": True,
    "array_extract.mode": "legacy",
    "array_extract.pages_per_segment": 10,
    "array_extract.streaming_extract_item_density": 50,
}
# Those at the top level of a request, where the description forbids unknown keys.
OUTERMOST: Final = frozenset(
    {"spreadsheet_agent", "experimental_table_citations", "agent_extract", "include_confidence"}
)
OCR_SYSTEMS: Final[Mapping[str | None, str | None]] = {
    None: None,
    "legacy": "legacy",
    **dict.fromkeys(("highres", "multilingual", "combined", "reducto", "reducto-v2"), "standard"),
}
CLUSTERING: Final[Mapping[str | None, str | None]] = {
    None: None,
    # The dearer one, at five times the price per cell, was "intelligent" and is now "accurate".
    "default": "fast",
    "intelligent": "accurate",
    "disabled": "disabled",
}


def is_older(request: Any) -> bool:
    """Tell whether a request has keys of the older form."""
    return isinstance(request, Mapping) and any(request.get(key) is not None for key in OLDER)


def told_today(request: Mapping[str, Any], type: JobType) -> dict[str, Any]:
    """Return the request in today's form; one that is in that form already is copied.

    Raises ApiError if it mixes both forms, InvalidRequest if a key has no counterpart, and
    msgspec.ValidationError if it isn't of the older form's shape.
    """
    if not is_older(request):
        return dict(request)
    form = _form_of(request, type)
    older = msgspec.convert(
        {key: value for key, value in request.items() if value is not None}, form
    )
    _refuse_the_rest(request, form)
    told = _submitted(older)
    match older:
        case OlderParse():
            read = _read_by(older, by_url=older.options.force_url_result)
            return told | read | _given(queue_priority=older.queue_priority)
        case OlderExtract():
            return told | _extract(older)
        case OlderSplit():
            return told | _split(older)
        case OlderPipeline():
            settings = older.settings and _given(document_password=older.settings.document_password)
            return told | _given(pipeline_id=older.pipeline_id, settings=settings)
    raise AssertionError(older)


def _form_of(request: Mapping[str, Any], type: JobType) -> type[Older]:
    # A pipeline has `settings` in both forms.
    todays = NEWER if type == JobType.PIPELINE else NEWER | {"settings"}
    older, newer = (
        sorted(key for key in keys if request.get(key) is not None) for keys in (OLDER, todays)
    )
    if newer:
        raise ApiError(
            ErrorName.INVALID_CONFIG, MIXED.format(older=", ".join(older), newer=", ".join(newer))
        )
    if type not in FORMS:
        raise ApiError(
            ErrorName.INVALID_CONFIG,
            NO_OLDER.format(older=", ".join(older), type=type.value.lower()),
        )
    return FORMS[type]


def _refuse_the_rest(request: Mapping[str, Any], form: type[Older]) -> None:
    for path in unknown_keys(request, form):
        value = _at(request, path)
        if "." not in path and path not in OUTERMOST:
            raise InvalidRequest.at("body", path, msg=NOT_PERMITTED, type="extra_forbidden")
        if value != USUAL[path] if path in USUAL else not _asks_for_nothing(value):
            raise InvalidRequest.at("body", *path.split("."), msg=NO_COUNTERPART)


def _at(request: Mapping[str, Any], path: str) -> Any:
    value: Any = request
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _asks_for_nothing(value: Any) -> bool:
    return not value or (isinstance(value, Mapping) and value.get("enabled") is False)


def _submitted(older: Older) -> dict[str, Any]:
    hook = older.webhook
    webhook = (
        None
        if hook.mode == "disabled"
        else _given(mode=hook.mode, url=hook.url, channels=hook.channels or None)
    )
    return {
        "input": msgspec.to_builtins(older.document_url),
        "async": _given(priority=older.priority, metadata=hook.metadata, webhook=webhook),
    }


def _extract(older: OlderExtract) -> dict[str, Any]:
    parsing = _read_by(older)
    if not older.use_chunking:
        del parsing["retrieval"]["chunking"]
    citations = {
        "enabled": older.generate_citations,
        "numerical_confidence": older.citations_options.numerical_confidence,
    }
    return {
        "parsing": parsing,
        "instructions": _given(schema=older.schema, system_prompt=older.system_prompt),
        "settings": {
            "deep_extract": older.deep_extract,
            "array_extract": older.array_extract.enabled,
            "include_images": older.include_images,
            "optimize_for_latency": older.latency_sensitive,
            "citations": citations,
            "force_url_result": older.options.force_url_result,
        },
    }


def _split(older: OlderSplit) -> dict[str, Any]:
    settings = _given(
        table_cutoff=older.split_options.table_cutoff,
        deep_split=older.deep_split,
        force_url_result=older.options.force_url_result,
    )
    return {
        "parsing": _read_by(older),
        "split_description": [
            _given(**category) for category in msgspec.to_builtins(older.split_description)
        ],
        **_given(split_rules=older.split_rules),
        "settings": settings,
    }


def _read_by(older: OlderRead, *, by_url: bool = False) -> dict[str, Any]:
    """Return the parse options; what has the same default in both forms is left out."""
    options = older.options
    advanced = older.advanced_options
    experimental = older.experimental_options
    tables = advanced.large_table_chunking
    return {
        "enhance": {
            "agentic": [{"scope": "text"}, {"scope": "table"}]
            if options.ocr_mode == "agentic"
            else [],
            "summarize_figures": options.figure_summary.enabled,
            "advanced_chart_agent": options.figure_summary.advanced_chart_agent,
        },
        "retrieval": {
            "chunking": _given(**msgspec.to_builtins(options.chunking)),
            "embedding_optimized": options.table_summary.enabled,
            **_given(filter_blocks=options.filter_blocks),
        },
        "formatting": {
            "table_output_format": advanced.table_output_format,
            "merge_tables": advanced.merge_tables,
            "add_page_markers": advanced.add_page_markers,
            "include": _formatting(advanced, experimental),
        },
        "spreadsheet": {
            "include": _cells(advanced),
            "exclude": _hidden(advanced),
            **_given(
                split_large_tables=tables and msgspec.to_builtins(tables),
                clustering=CLUSTERING[advanced.spreadsheet_table_clustering],
            ),
        },
        "settings": {
            "return_ocr_data": advanced.return_ocr_data,
            "persist_results": advanced.persist_results,
            "embed_pdf_metadata": experimental.embed_text_metadata_pdf,
            "return_images": _images(experimental),
            "force_url_result": by_url,
            **_given(
                extraction_mode=options.extraction_mode,
                ocr_system=OCR_SYSTEMS[advanced.ocr_system],
                page_range=advanced.page_range and msgspec.to_builtins(advanced.page_range),
                force_file_extension=advanced.force_file_extension,
                document_password=advanced.document_password,
                timeout=experimental.user_specified_timeout_seconds,
            ),
        },
    }


def _formatting(advanced: Advanced, experimental: Experimental) -> list[str]:
    return _chosen(
        change_tracking=advanced.enable_change_tracking,
        highlight=advanced.enable_highlight_detection,
        comments=advanced.read_comments,
        signatures=experimental.detect_signatures,
        ignore_watermarks=advanced.ignore_watermarks,
    )


def _cells(advanced: Advanced) -> list[str]:
    return _chosen(
        cell_colors=advanced.include_color_information,
        formula=advanced.include_formula_information,
        dropdowns=advanced.include_dropdown_information,
    )


def _hidden(advanced: Advanced) -> list[str]:
    return _chosen(
        hidden_sheets=advanced.exclude_hidden_sheets,
        hidden_rows=advanced.exclude_hidden_rows_cols,
        hidden_cols=advanced.exclude_hidden_rows_cols,
    )


def _images(experimental: Experimental) -> list[str]:
    return _chosen(
        figure=experimental.return_figure_images,
        table=experimental.return_table_images,
        page=experimental.return_page_images,
    )


def _chosen(**flags: bool) -> list[str]:
    return [name for name, flag in flags.items() if flag]


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
