"""Looking up the API's options at the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from batcher.cli import main


def say(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["options", *words])
    return done.exit_code, done.stdout, done.stderr


def test_an_option_is_found_by_its_name_its_values_or_its_meaning() -> None:
    """With type, values and default; what has the word in its name comes first."""
    code, out, err = say("parse", "CHUNK", "mode")
    assert code == 0 and "-S job.options.NAME=VALUE" in err
    assert out.startswith("retrieval.chunking.chunk_mode\n    one of variable, section, page,")
    assert 'default "disabled"' in " ".join(out.split())
    assert "settings.extraction_mode" in say("parse", "hybrid")[1]
    assert say("parse", "scans")[1].startswith("settings.ocr_system")
    by_key = say("parse", "job.options.formatting.merge_tables")[1]
    assert by_key.startswith("formatting.merge_tables\n    true or false; default false")


def test_every_endpoint_has_its_own_and_a_word_alone_searches_all() -> None:
    assert "split_description[].name\n    text; required" in say("split")[1]
    extract = say("extract")[1]
    assert "parsing\n    a table" in extract and "parsing.enhance" not in extract
    assert "parsing.enhance" in say("extract", "enhance")[1]
    everywhere = say("citations")[1]
    assert "parse:\n" in everywhere and "extract:\nsettings.citations" in everywhere
    assert say()[1].split() == ["parse", "extract", "split", "pipeline", "classify"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("parse", "chnk"), "did you mean: batcher options chunk?"),
        (("prase", "chunk"), "did you mean: batcher options parse chunk?"),
        (("qqqqqq",), "batcher options parse lists all"),
    ],
)
def test_a_word_that_is_not_there_is_put_right(words: tuple[str, ...], told: str) -> None:
    code, out, err = say(*words)
    assert (code, out) == (2, "") and told in err


def test_programs_get_values() -> None:
    (one,) = json.loads(say("parse", "chunk_overlap", "--json")[1])
    assert one["key"] == "job.options.retrieval.chunking.chunk_overlap"
    assert (one["endpoint"], one["default"], one["required"]) == ("parse", 0, False)
    every = json.loads(say("--json")[1])
    assert {one["endpoint"] for one in every} == {
        "parse",
        "extract",
        "split",
        "pipeline",
        "classify",
    }
