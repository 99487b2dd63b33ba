"""What a class is given: one context, and what is its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import batcher

PACKAGE: Final = Path(batcher.__file__).parent
AT_MOST: Final = 6
PUBLIC: Final = {"ReductoClient"}  # each of its arguments is a setting that callers name


def test_no_constructor_takes_a_bag_of_collaborators() -> None:
    """Six at most, `self` aside."""
    large = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _number_taken(node) > AT_MOST
    }
    assert large == PUBLIC


def _number_taken(owner: ast.ClassDef) -> int:
    for node in owner.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return len(node.args.args) - 1 + len(node.args.kwonlyargs)
    return 0
