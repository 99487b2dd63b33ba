"""The contents of submission bodies for each endpoint, by the API's description v1.12.20.

A shape is the name of a JSON type, a list of alternatives, or a table: `keys` of an object and
which of them it `needs`, `each` item of a list, or the only values `among` which one may be chosen.
A test compares this with the description itself.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from batcher.reducto.api_types import BlockType

Shape = str | list[Any] | dict[str, Any]


def _one_of(words: str) -> Shape:
    return {"among": words.split()}


def _some_of(words: str) -> Shape:
    return {"each": _one_of(words)}


_WORD: Final[Shape] = ["string", "null"]
_WHOLE: Final[Shape] = ["integer", "null"]
_RANGE: Final[Shape] = {"keys": {"start": _WHOLE, "end": _WHOLE}}
PAGE_RANGE: Final[Shape] = [
    _RANGE,
    {"each": _RANGE},
    {"each": "integer"},
    {"each": "string"},
    "null",
]

PARSE: Final[dict[str, Shape]] = {
    "enhance": {
        "keys": {
            "agentic": {
                "each": [
                    {
                        "keys": {
                            "scope": _one_of("table"),
                            "prompt": _WORD,
                            "mode": _one_of("default auto max"),
                        },
                        "needs": ["scope"],
                    },
                    {
                        "keys": {
                            "scope": _one_of("figure"),
                            "prompt": _WORD,
                            "advanced_chart_agent": "boolean",
                        },
                        "needs": ["scope"],
                    },
                    {"keys": {"scope": _one_of("text"), "prompt": _WORD}, "needs": ["scope"]},
                ]
            },
            "advanced_chart_agent": "boolean",
            "summarize_figures": "boolean",
            "intelligent_ordering": "boolean",
        }
    },
    "retrieval": {
        "keys": {
            "chunking": {
                "keys": {
                    "chunk_mode": _one_of("variable section page disabled block page_sections"),
                    "chunk_size": _WHOLE,
                    "chunk_overlap": "integer",
                }
            },
            "filter_blocks": {"each": {"among": list(get_args(BlockType))}},
            "embedding_optimized": "boolean",
        }
    },
    "formatting": {
        "keys": {
            "add_page_markers": "boolean",
            "table_output_format": _one_of("html json md jsonbbox dynamic csv"),
            "merge_tables": "boolean",
            "include": _some_of(
                "change_tracking highlight comments hyperlinks signatures ignore_watermarks"
            ),
        }
    },
    "spreadsheet": {
        "keys": {
            "split_large_tables": {
                "keys": {
                    "enabled": "boolean",
                    "size": ["integer", {"keys": {"row": _WHOLE, "column": _WHOLE}}],
                }
            },
            "include": _some_of("cell_colors formula dropdowns"),
            "clustering": _one_of("accurate fast disabled"),
            "exclude": _some_of("hidden_sheets hidden_rows hidden_cols styling spreadsheet_images"),
            "max_cell_count": _WHOLE,
        }
    },
    "settings": {
        "keys": {
            "ocr_system": _one_of("standard legacy"),
            "extraction_mode": _one_of("ocr hybrid"),
            "force_url_result": "boolean",
            "force_file_extension": _WORD,
            "return_ocr_data": "boolean",
            "return_images": _some_of("figure table page"),
            "embed_pdf_metadata": "boolean",
            "extract_document_properties": "boolean",
            "embed_pdf_metadata_dpi": "integer",
            "persist_results": "boolean",
            "tenant_throttling": [
                {"keys": {"tenant_id": "string", "max_share": "number"}, "needs": ["tenant_id"]},
                "null",
            ],
            "timeout": ["number", "null"],
            "page_range": PAGE_RANGE,
            "document_password": _WORD,
            "hybrid_vpc": {"keys": {"environment": _WORD}},
            # r-1 and legacy in the description, and further ones in the documentation
            "model": _WORD,
            "return_citations": "boolean",
            "alpha": "any",  # the service accepts it; the description doesn't mention it
        }
    },
}
_PARSING: Final[dict[str, Shape]] = {"parsing": {"keys": PARSE}}
_QUEUE: Final[dict[str, Shape]] = {"queue_priority": _one_of("auto standard batch")}

BODIES: Final[dict[str, dict[str, Any]]] = {
    "parse": {"keys": {**PARSE, **_QUEUE}},
    "extract": {
        "keys": {
            **_PARSING,
            "instructions": {"keys": {"schema": "any", "system_prompt": "string"}},
            "settings": {
                "keys": {
                    "include_images": "boolean",
                    "optimize_for_latency": "boolean",
                    "force_url_result": "boolean",
                    "array_extract": "boolean",
                    "deep_extract": "boolean",
                    "citations": {
                        "keys": {
                            "enabled": "boolean",
                            "numerical_confidence": "boolean",
                            "parent_block": _one_of("full bbox_only"),
                        }
                    },
                    "page_range": PAGE_RANGE,
                }
            },
            **_QUEUE,
        }
    },
    "split": {
        "keys": {
            **_PARSING,
            "split_description": {
                "each": {
                    "keys": {"name": "string", "description": "string", "partition_key": _WORD},
                    "needs": ["name", "description"],
                }
            },
            "split_rules": "string",
            "settings": {
                "keys": {
                    "table_cutoff": _one_of("truncate preserve"),
                    "allow_page_overlap": "boolean",
                    "auto_partition": "boolean",
                    "deep_split": "boolean",
                    "force_url_result": "boolean",
                }
            },
        },
        "needs": ["split_description"],
    },
    "pipeline": {
        "keys": {"pipeline_id": "string", "settings": {"keys": {"document_password": _WORD}}},
        "needs": ["pipeline_id"],
    },
    "classify": {
        "keys": {
            "model": _one_of("default accurate"),
            "priority": "boolean",
            "force_url_result": "boolean",
            "classification_schema": {
                "each": {
                    "keys": {"category": "string", "criteria": {"each": "string"}},
                    "needs": ["category", "criteria"],
                }
            },
            "category_groups": "any",
            "page_range": PAGE_RANGE,
            "document_metadata": _WORD,
        }
    },
}
