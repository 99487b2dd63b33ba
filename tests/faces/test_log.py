"""What nobody foresaw leaves its trace where it can be found, and none on a terminal."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from batcher.faces.log import traces


def fail() -> None:
    try:
        raise RuntimeError("nobody saw it coming")
    except RuntimeError:
        logging.getLogger("batcher.stages.deriver").exception("a.pdf could not be made")


def test_a_trace_goes_into_a_file_of_its_owner(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Which isn't there before; nothing of it on stderr."""
    path = tmp_path / "errors.log"
    with traces(path, log_json=False):
        assert not path.exists()
        fail()
        fail()
    assert path.read_text().count("Traceback") == 2 and path.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr().err == ""


def test_with_json_asked_for_it_is_a_line_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, however many a trace has."""
    with traces(tmp_path / "errors.log", log_json=True):
        fail()
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "Logged" and "Traceback" in json.loads(line)["words"]
    assert list(tmp_path.iterdir()) == []
