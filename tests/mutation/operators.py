"""Single changes of a module: some of cosmic-ray's, and what tables, statements and SQL need beside
them.

What has no bearing on what the program does is spared: annotations, docstrings, words for people,
decorators' flags.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import Name
from parso.tree import BaseNode, NodeOrLeaf

_SWAPPED: Final = (
    "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
)
_TURNED: Final = "Add_Sub Sub_Add Mul_Div Div_Mul Mod_Mul BitOr_BitAnd BitAnd_BitOr"
_OTHERS: Final = (
    "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceUnaryOperator_Delete_Not "
    "ReplaceBreakWithContinue ReplaceContinueWithBreak ZeroIterationForLoop"
)
BORROWED: Final = (
    *(f"core/ReplaceComparisonOperator_{names}" for names in _SWAPPED.split()),
    *(f"core/ReplaceBinaryOperator_{names}" for names in _TURNED.split()),
    *(f"core/{name}" for name in _OTHERS.split()),
)


class Unexplained(Operator):
    """An operator without examples of its own, which cosmic-ray wants for its own tests."""

    @classmethod
    def examples(cls) -> Sequence[Any]:
        return ()


class Textual(Unexplained):
    """An operator that says what may stand in a node's place."""

    def texts(self, node: Any) -> Iterator[str]:
        raise NotImplementedError

    def mutation_positions(self, node: NodeOrLeaf) -> Any:
        return [] if is_spared(node) else [(node.start_pos, node.end_pos) for _ in self.texts(node)]

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        return Name(list(self.texts(node))[index], node.start_pos, node.get_first_leaf().prefix)


class Sparing(Unexplained):
    """An operator of cosmic-ray's, kept from what is spared."""

    def __init__(self, name: str) -> None:
        self._inner = get_operator(name)()

    def mutation_positions(self, node: NodeOrLeaf) -> Any:
        return [] if is_spared(node) else self._inner.mutation_positions(node)

    def mutate(self, node: NodeOrLeaf, index: int) -> Any:
        return self._inner.mutate(node, index)


class WithoutEntry(Textual):
    """A table, set, tuple or list that lacks one of its entries."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type not in ("dictorsetmaker", "testlist_comp") or _is_comprehension(node):
            return
        entries = _between_commas(node)
        if len(entries) > 1:
            for left_out in range(len(entries)):
                kept = [entry for place, entry in enumerate(entries) if place != left_out]
                yield ", ".join(kept) + ","


class WithoutStatement(Textual):
    """A function that leaves out one of the things it does."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "simple_stmt" or not _is_in_function(node):
            return
        statement = node.children[0]
        if (
            statement.type not in ("string", "strings", "return_stmt", "global_stmt")
            and statement.get_code().strip() != "pass"
        ):
            yield "pass\n"


class ReturnsNothing(Textual):
    """Nothing for what a function returns, and a word for the empty one. False is turned already,
    and where it is returned, None would be as good.
    """

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "return_stmt" or len(node.children) < 2:
            return
        returned = node.children[1].get_code().strip()
        if returned == '""':
            yield 'return "other"'
        elif returned not in ("None", "False"):
            yield "return None"


class CatchesNothing(Textual):
    """An exception that is let through; cosmic-ray's own operator fails on names with a dot."""

    def texts(self, node: Any) -> Iterator[str]:
        clause = node.parent
        if clause is not None and clause.type == "except_clause" and node is clause.children[1]:
            yield "()"


class OtherMembership(Textual):
    """`in` for `not in`, and the other way round."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "operator" or node.type == "keyword":
            if node.value == "in" and node.parent.type == "comparison":
                yield "not in"
        elif node.type == "comp_op" and node.get_code().split() == ["not", "in"]:
            yield "in"


class WithoutOperand(Textual):
    """`a and b` that asks for one of them alone."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type in ("and_test", "or_test"):
            operands = [child.get_code().strip() for child in node.children[::2]]
            word = f" {node.children[1].value} "
            for left_out in range(len(operands)):
                yield word.join(o for place, o in enumerate(operands) if place != left_out)


class OtherNumber(Textual):
    """One more and one less of what is counted, twice and half of what is measured."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "number":
            return
        number = float(ast.literal_eval(node.value))
        if "." not in node.value and "e" not in node.value and number <= 9:
            yield str(int(number) + 1)
            yield f"({int(number) - 1})"
        else:
            yield f"({node.value} * 2)" if number else "1.0"
            yield f"({node.value} / 2)" if number else "(-1.0)"


class OtherName(Textual):
    """A string that names something (a key, a header, a state), spelt otherwise.

    Sentences are spared.
    """

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "string" and re.fullmatch(r"""b?(["'])[\w./:-]+\1""", node.value):
            yield re.sub(r"""(["'])$""", r"X\1", node.value)


class WithoutWord(Textual):
    """A table written as words in a string that lacks one of them."""

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "string" or not re.fullmatch(r'" ?[A-Z_]+( [A-Z_]+)*"', node.value):
            return
        words = node.value.strip('"').split()
        for left_out in range(len(words)):
            yield (
                '" ' + " ".join(word for place, word in enumerate(words) if place != left_out) + '"'
            )


class OtherSql(Textual):
    """A statement that leaves out an assignment or a condition, or says one of them otherwise."""

    CHANGES: Final = (
        (r"(?<=, )\w+ = [^,'\"]+?, ", ""),
        (r", \w+ = [^,'\"]+$", ""),
        (r"^\w+ = [^,'\"]+?, ", ""),
        (
            r" (AND|OR) [\w.]+ (=|<|>|IS|IS NOT|NOT IN|IN) "
            r"('\w+'|[:?]\w*|NULL|\d+|[\w.]+|\([^()]*\))",
            "",
        ),
        (r" NOT ", " "),
        (r" IS NULL", " IS NOT NULL"),
        (r"'(\w+)'", r"'other \1'"),
        (r"\+ 1", "- 1"),
        (r"- 1", "+ 1"),
        (r"\bmin\(", "max("),
        (r"\bmax\(", "min("),
        (r"= (\d)\b", r"= 1 + \1"),
        (r" < ", " > "),
        (r" > ", " <= "),
        (r" AND ", " OR "),
        (r" OR ", " AND "),
        (r" LEFT JOIN ", " JOIN "),
        (r" LIMIT 1", " LIMIT 1 OFFSET 1"),
        (r" DISTINCT ", " "),
        (r"INSERT OR IGNORE", "INSERT"),
    )
    IS_SQL: Final = re.compile(
        r"\b(SELECT|UPDATE|INSERT|FROM|WHERE|AND|CASE|EXISTS|iif|coalesce)\b|\w+ = (:|NULL|\d)"
    )

    def texts(self, node: Any) -> Iterator[str]:
        if node.type not in ("string", "fstring_string") or not self.IS_SQL.search(node.value):
            return
        opening = re.match(r"^(\"\"\"|\"|'|)", node.value)
        first = len(opening[0]) if opening and node.type == "string" else 0
        body = node.value[first : len(node.value) - first]
        around = (node.value[:first], node.value[:first])
        for pattern, other in self.CHANGES:
            for found in re.finditer(pattern, body):
                changed = body[: found.start()] + found.expand(other) + body[found.end() :]
                yield around[0] + changed + around[1]


OWN: Final = (
    WithoutEntry,
    WithoutStatement,
    ReturnsNothing,
    CatchesNothing,
    OtherMembership,
    WithoutOperand,
    OtherNumber,
    OtherName,
    WithoutWord,
    OtherSql,
)


def operators() -> Iterator[tuple[str, Operator]]:
    """Each with its name."""
    for name in BORROWED:
        yield name.removeprefix("core/"), Sparing(name)
    for kind in OWN:
        yield kind.__name__, kind()


def is_spared(node: NodeOrLeaf) -> bool:
    chain = [node]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return any(_is_said_in_vain(child, parent) for child, parent in pairwise(chain))


def _is_said_in_vain(child: NodeOrLeaf, parent: BaseNode) -> bool:
    """Whether `child` stands where `parent` has an annotation, a flag of a class, its list of
    public names, or a variable of the type checker's.
    """
    before = child.get_previous_sibling() if child in parent.children else None
    if parent.type in ("annassign", "tfpdef", "funcdef") and before is not None:
        return bool(before.get_code().strip() in (":", "->") and child.type != "suite")
    if parent.type in ("decorator", "import_from", "import_name"):
        return True
    if parent.type in ("parameters", "param") and child.type == "operator":
        return True  # the star that only says how an argument is to be passed
    if parent.type == "classdef":
        return child.type != "suite"
    if parent.type != "expr_stmt":
        return False
    code = parent.get_code().lstrip()
    return code.startswith("__all__") or "= TypeVar(" in code


def _is_comprehension(node: BaseNode) -> bool:
    return any(child.type in ("sync_comp_for", "comp_for") for child in node.children)


def _is_in_function(node: NodeOrLeaf) -> bool:
    parent = node.parent
    while parent is not None and parent.type != "classdef":
        if parent.type == "funcdef":
            return True
        parent = parent.parent
    return False


def _between_commas(node: BaseNode) -> list[str]:
    entries = [""]
    for child in node.children:
        if child.type == "operator" and child.value == ",":
            entries.append("")
        else:
            entries[-1] += _without_comments(child)
    return [entry.strip() for entry in entries if entry.strip()]


def _without_comments(node: NodeOrLeaf) -> str:
    return re.sub(r"^\s*(#.*\n\s*)+", "", node.get_code())
