"""What `batcher failures` says can be done."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import batcher

from batcher.core.lifecycle import VERDICTS, State
from batcher.core.summary import FailureGroup
from batcher.reducto.api_types import ErrorName
from batcher.reducto.error_rules import RULES, ErrorClass
from batcher.views.failures import ADVICE, BY_NAME, failure_words


def told(reason: str | None, *, state: str = "failed", kind: str | None = "document") -> str:
    return failure_words([FailureGroup(state, kind, reason, 1, "a.pdf")], Path("out"))


def test_an_error_s_name_says_more_than_its_class() -> None:
    """Wherever it stands in the reason, and however the service goes on."""
    assert "convert it" in told("DOCUMENT_UNSUPPORTED: no reader for .xyz")
    assert "see whether it opens" in told("415 DOCUMENT_CORRUPT: xref")
    assert "passwords_file, then `batcher retry out --only document`" in told(
        "DOCUMENT_PASSWORD_PROTECTED"
    )
    assert "--only configuration`" in told("INVALID_SCHEMA: fields", kind="configuration")


def test_what_is_no_file_is_not_to_be_converted() -> None:
    for what in ("a symbolic link", "not a regular file"):
        said = told(f"{what}: only regular files are read", state="unsupported", kind=None)
        assert "put the file itself in its place" in said
        assert "convert" not in said
    said = told("over 5 GB: the service takes no larger upload", state="unsupported", kind=None)
    assert "split it into smaller files" in said


def test_where_the_name_says_nothing_the_class_does() -> None:
    """So also with a name that is longer than one we know, and with none."""
    assert "likely to pass" in told("DOCUMENT_CORRUPT, by [retry] another class", kind="transient")
    for reason in ("MY_DOCUMENT_EMPTY_TOO: what", "NOT_APPLICABLE: why", "something", None):
        assert "another attempt would end the same way" in told(reason)


@pytest.mark.parametrize(
    "name", ["SUBPROCESS_CRASHED", "TIMEOUT", "PROCESSING_FAILED", "A_NAME_OF_TOMORROW", "UNNAMED"]
)
def test_what_came_of_every_try_is_not_called_likely_to_pass(name: str) -> None:
    """Whoever pays again is told that it may be in vain, and what else there is to do."""
    said = told(f"{name}: the process died", kind="transient")
    assert "likely to pass" not in said
    assert "the file" in said and "in vain" in said


@pytest.mark.parametrize(
    "reason", ["BATCH_ORPHANED: x", "JOB_STATE_ERROR", "proven absent three times", None]
)
def test_what_passes_by_itself_is_said_to(reason: str | None) -> None:
    """No fault of the file's."""
    assert "likely to pass" in told(reason, kind="transient")


@pytest.mark.parametrize(
    "name", ["JOB_CANCELLED", "JOB_DELETED", "JOB_DELETION_IN_PROGRESS", "NOT_FOUND"]
)
def test_what_happened_to_a_job_at_the_service_is_no_fault_of_its_file(name: str) -> None:
    """Another attempt need not end the same way."""
    said = told(f"{name}: why")
    assert "batcher retry out --only document" in said
    assert "end the same way" not in said


def test_a_verdict_of_ours_is_not_taken_for_the_service_s() -> None:
    """A held document may have any name in its reason."""
    assert "perhaps paid" in told("after DOCUMENT_EMPTY", state="held")


@pytest.mark.parametrize("name", BY_NAME)
def test_advice_fits_what_the_name_means_to_the_policy(name: ErrorName) -> None:
    """Only a verdict or a wrong setting has anything to be mended; what passes by itself has no
    name here.
    """
    assert RULES[name].kind in (ErrorClass.DOCUMENT, ErrorClass.CONFIGURATION)


def test_every_class_and_verdict_has_some() -> None:
    """Nobody is left without a next step."""
    assert {*ErrorClass} | (VERDICTS - {State.FAILED}) <= set(ADVICE)


async def test_a_mended_file_is_taken_by_the_next_run(tmp_path: Path) -> None:
    """As the advice says: nothing need be typed but the run's own words."""
    inbox = tmp_path / "inbox"
    out = tmp_path / "out"
    inbox.mkdir()
    whole = Path("examples/trouble/good-invoice.pdf").read_bytes()
    (inbox / "invoice.pdf").write_bytes(whole[:700])
    assert (await batcher("run", inbox, "-o", out)).code == 1
    assert "the next run takes the newer version" in (await batcher("failures", out)).out
    (inbox / "invoice.pdf").write_bytes(whole)
    assert (await batcher("run", inbox, "-o", out)).code == 0
    assert (out / "invoice.pdf.json").exists()
