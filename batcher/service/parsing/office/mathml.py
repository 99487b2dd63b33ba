"""Write a MathML formula as one line of text, such as `x = (a + b)/2`.

Every letter, number and sign of the formula is written once.
"""

from __future__ import annotations

from typing import Any, Final

_TOKENS: Final = frozenset(("mi", "mn", "mo", "ms", "mtext"))
# what stands in the tree but isn't shown, and other ways to write the same formula
_UNSEEN: Final = frozenset(("annotation", "annotation-xml", "mphantom", "none", "mprescripts"))
# what is written between the parts of these elements
_BETWEEN: Final = {
    "mfrac": ("/",),
    "msup": ("^",),
    "msub": ("_",),
    "msubsup": ("_", "^"),
    "mover": ("^",),
    "munder": ("_",),
    "munderover": ("_", "^"),
}
_WIDE: Final = frozenset("=<>+−-±≤≥≠≈→⇒∈·×")  # signs that are set apart by blanks


def linear(formula: Any) -> str:
    """Return the text of an lxml element, whatever its namespace. Linear in the formula's size."""
    written: list[str] = []
    todo: list[Any] = [formula]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part.tag, str):
            todo += reversed(_steps(part))
    return " ".join("".join(written).split())


def _steps(node: Any) -> list[Any]:
    """Return the parts of one element in their order: text, and elements still to be written."""
    name = node.tag.rpartition("}")[2]
    parts = list(node)
    if name in _UNSEEN:
        return []
    if name in _TOKENS:
        return [_token(node, name)]
    if name in _BETWEEN:
        return _joined(parts, _BETWEEN[name])
    if name == "msqrt":
        return ["√(", *parts, ")"]
    if name == "mroot" and len(parts) == 2:
        return ["root(", parts[1], ")(", parts[0], ")"]
    if name == "mfenced":
        return _fenced(node, parts)
    if name in ("mtr", "mlabeledtr"):
        return [step for part in parts for step in (part, ", ")][:-1]
    if name == "mtable":
        return ["[", *[step for part in parts for step in (part, "; ")][:-1], "]"]
    return [" "] if name == "mspace" else parts


def _token(node: Any, name: str) -> str:
    text = "".join(node.itertext()).strip()
    return f" {text} " if name in ("mtext", "ms") or text in _WIDE else text


def _joined(parts: list[Any], signs: tuple[str, ...]) -> list[Any]:
    steps: list[Any] = _grouped(parts[0]) if parts else []
    for number, part in enumerate(parts[1:]):
        steps += [signs[min(number, len(signs) - 1)], *_grouped(part)]
    return steps


def _grouped(part: Any) -> list[Any]:
    """Put a part of more than one sign in brackets."""
    inner = part
    while len(inner) == 1 and isinstance(inner.tag, str) and inner.tag.endswith("mrow"):
        inner = inner[0]
    alone = isinstance(inner.tag, str) and inner.tag.rpartition("}")[2] in _TOKENS
    return [part] if alone else ["(", part, ")"]


def _fenced(node: Any, parts: list[Any]) -> list[Any]:
    signs = "".join((node.get("separators") or ",").split()) or ","
    steps: list[Any] = []
    for number, part in enumerate(parts):
        steps += [signs[min(number, len(signs)) - 1] + " "] if number else []
        steps.append(part)
    return [node.get("open", "("), *steps, node.get("close", ")")]
