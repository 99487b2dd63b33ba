"""Exit codes have names in the code, and are plain integers to everybody else."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import msgspec
import pytest

import batcher
from batcher.errors import BatcherError
from batcher.exit_codes import ExitCode, RunEnd, ended_as, exit_code_of

ROOT = Path(batcher.__file__).parent
README = Path(__file__).parents[1] / "README.md"


def test_the_readme_lists_every_exit_code_and_no_other() -> None:
    """The table of codes has a row for each member."""
    table = README.read_text().partition("| exit code | what it says |")[2].partition("\n\n")[0]
    assert [int(code) for code in re.findall(r"^\| (\d) \|", table, re.M)] == list(ExitCode)


@pytest.mark.parametrize("code", ExitCode)
def test_a_code_is_shown_as_a_plain_integer(code: ExitCode) -> None:
    """In JSON of either kind and in text."""
    shown = {json.dumps(code), msgspec.json.encode(code).decode(), str(code), f"{code}"}
    assert shown == {repr(int(code))}


def test_no_code_is_written_as_a_bare_integer() -> None:
    """Nowhere in the product is a number passed to `stop` or `exit`, or set as `exit_code`."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        # the worker of the local service is a process of its own, and nobody reads its code
        if path.relative_to(ROOT).as_posix() != "service/worker.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if _is_bare(node)
    ]
    assert bare == []


def _is_bare(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = [*node.args, *(word.value for word in node.keywords)]
        return called in ("stop", "exit", "_exit") and any(map(_is_number, given))
    if isinstance(node, ast.Assign):
        names = [name.id for name in node.targets if isinstance(name, ast.Name)]
        return "exit_code" in names and _is_number(node.value)
    return False


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def test_every_error_ends_the_process_with_a_named_code() -> None:
    """The tree's classes, without exception."""
    errors = [BatcherError]
    for error in errors:
        errors += error.__subclasses__()
    assert {type(error.exit_code) for error in errors} == {ExitCode}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({}, ExitCode.SUCCESS),
        ({"lacks": True}, ExitCode.INCOMPLETE),
        ({"lacks": True, "waits": True}, ExitCode.RUN_AGAIN),
        ({"waits": True, "failed": True}, ExitCode.INCOMPLETE),
        ({"failed": True, "refused": True}, ExitCode.USAGE),
        ({"refused": True, "stopped": ExitCode.SERVICE_FAILED}, ExitCode.SERVICE_FAILED),
    ],
)
def test_the_heaviest_fact_decides_the_code(facts: dict[str, bool], code: ExitCode) -> None:
    """A stop outweighs a refusal, that a failure, and that what the next run takes up."""
    given = {"stopped": ExitCode.SUCCESS, "refused": False, "failed": False, "waits": False}
    assert exit_code_of(**{**given, "lacks": False, **facts}) is code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "how", "word"),
    [
        (ExitCode.SUCCESS, RunEnd.FAILED, RunEnd.FINISHED),
        (ExitCode.INCOMPLETE, RunEnd.FINISHED, RunEnd.FAILED),
        (ExitCode.RUN_AGAIN, RunEnd.FINISHED, RunEnd.STOPPED),
        (ExitCode.RUN_AGAIN, RunEnd.LIMIT, RunEnd.LIMIT),
        (ExitCode.SERVICE_FAILED, RunEnd.STOPPED, RunEnd.FAILED),
    ],
)
def test_a_code_has_its_word(code: ExitCode, how: RunEnd, word: RunEnd) -> None:
    """`how` counts only where the next run goes on."""
    assert ended_as(code, how) is word
