"""Defects that went unseen once still have a place to be planted in, and a test each; `planted.py`
plants them.
"""

import ast

import pytest
from planted import DEFECTS
from run import ROOT


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_that_went_unseen_can_still_be_planted(defect) -> None:
    """Where its line has moved or been reworded, the place is to be named anew, or nobody looks for
    it any more.
    """
    change = defect.planted()
    assert change is not None, f"{defect.module} has none of {[was for was, _ in defect.edits]}"
    compile(change.source, defect.module, "exec")
    file, _, name = defect.test.partition("::")
    functions = ast.walk(ast.parse((ROOT / file).read_text()))
    assert name in {
        node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
