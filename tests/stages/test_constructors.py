"""What a stage is given: one context, and what is its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import batcher

STAGES: Final = Path(batcher.__file__).parent / "stages"
AT_MOST: Final = 6
# these take the account they work for in pieces, and are to be bundled with it
NOT_YET: Final = {"Auditor", "InputResolver", "JobListReader", "Recovery", "Submitter"}


def test_no_constructor_takes_a_bag_of_collaborators() -> None:
    """Six at most, `self` aside."""
    large = {
        node.name
        for path in STAGES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _number_taken(node) > AT_MOST
    }
    assert large <= NOT_YET


def _number_taken(owner: ast.ClassDef) -> int:
    for node in owner.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return len(node.args.args) - 1 + len(node.args.kwonlyargs)
    return 0
