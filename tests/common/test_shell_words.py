"""Commands that messages suggest can be typed as they stand, whatever the paths in them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

import batcher
from batcher.cli import main
from batcher.cli.arguments import again
from batcher.cli.group import ORDER
from batcher.common.shell_words import typed, typed_name
from batcher.maintenance.candidates import Requeued
from batcher.views.verify_view import prospect_words

ROOT: Final = Path(batcher.__file__).parent
ODD: Final = ("with space", "quote's", "-dash", "--help", "$HOME", "a;b", "*.pdf", "new\nline")
# What makes a value fit to be typed.
QUOTING: Final = {"typed", "typed_name"}
FILTERS: Final = re.compile(r"\| shell(_name)?\)")
# A command that is begun, with nothing that ends it.
_BEGUN: Final = re.compile(rf"(?:\bbatcher (?:{'|'.join(ORDER)}|\{{\}})|\bmkdir -p) [^`;,()]*$")


@pytest.mark.parametrize("name", ODD)
def test_a_path_comes_out_of_a_shell_as_it_went_in(name: str) -> None:
    """And is no option there."""
    (word,) = shlex.split(typed(Path(name)))
    assert Path(word) == Path(name) and not word.startswith("-")
    assert shlex.split(typed_name(name))[-1] == name
    assert ("--" in shlex.split(typed_name(name))[:-1]) is name.startswith("-")


@pytest.mark.parametrize("name", ODD)
def test_the_next_command_names_the_same_path(name: str) -> None:
    assert shlex.split(again(Path(name)))[-1].removeprefix("./") == name
    words = prospect_words(1, Requeued(0, 0.0, 0), Path(name), is_billed=True)
    assert f"`batcher verify --repair {typed(name)}` has" in words


@pytest.mark.parametrize("name", ["-dd", "with space"])
def test_a_folder_that_is_given_for_a_document_is_named_in_a_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    said = CliRunner().invoke(main, ["parse", f"./{name}"])
    assert f"batcher run {typed(name)} -o results" in said.output


def test_no_command_in_a_message_has_a_raw_value_in_it() -> None:
    """Every value in an f-string that follows `batcher COMMAND` is quoted for a shell."""
    raw = [
        f"{path.relative_to(ROOT)}:{value.lineno}: {ast.unparse(value)}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for value in _of_commands(node)
        if not _is_quoted(value.value)
    ]
    assert raw == []


def test_no_command_on_a_page_has_a_raw_value_in_it() -> None:
    """In templates the filters `shell` and `shell_name` quote."""
    lines = [
        line
        for path in ROOT.rglob("*.html")
        for line in path.read_text().splitlines()
        if re.search(r'"batcher [a-z]+ "', line)
    ]
    assert lines
    for line in lines:
        after = line.partition('"batcher ')[2]
        assert after.count(" ~ (") == len(FILTERS.findall(after)), line


def test_a_raw_value_would_be_found() -> None:
    """The two tests above look for what they should."""
    for text, number in {
        'f"batcher run {a}"': 1,
        'f"`batcher {a} {b} -o {c}`, then {d}"': 2,
        'f"{a}: batcher run makes one"': 0,
        'f"see `batcher verify` of {a}"': 0,
        'f"make it: mkdir -p {a}"': 1,
    }.items():
        node = ast.parse(text, mode="eval").body
        assert isinstance(node, ast.JoinedStr)
        assert len(list(_of_commands(node))) == number, text


def _of_commands(node: ast.JoinedStr) -> Iterator[ast.FormattedValue]:
    """Yield the values that stand in a command as its arguments."""
    before = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
            continue
        assert isinstance(part, ast.FormattedValue)
        if _BEGUN.search(before):
            yield part
        before += "{}"


def _is_quoted(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in QUOTING
    )
