"""Write an Office equation (OMML) as a line of text, such as "x = (a+b)/(2a)"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from batcher.service.parsing.office_package import local

_INTEGRAL: Final = "∫"  # an n-ary operator without a character of its own


def linear(node: Any) -> str:
    """Return the equation below `node`, each of its characters once and in order of reading.

    Recursive: the XML parser limits how deep elements nest.
    """
    return "".join(_element(child) for child in node)


def _element(node: Any) -> str:
    name = local(node)
    if name == "t":
        return node.text or ""
    if name.endswith("Pr"):  # properties, such as `rPr` and `fPr`
        return ""
    if name in ("br", "tab"):
        return " "
    return _FORMS.get(name, linear)(node)


def _part(node: Any, name: str) -> str:
    """Return an operand without brackets."""
    found = node.find(f"{{*}}{name}")
    return "" if found is None else linear(found)


def _operand(node: Any, name: str) -> str:
    """Return an operand, in brackets if it is more than one name or number."""
    text = _part(node, name)
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _raised(mark: str, text: str) -> str:
    return f"{mark}{text}" if text else ""


def _fraction(node: Any) -> str:
    return f"{_operand(node, 'num')}/{_operand(node, 'den')}"


def _scripts(node: Any) -> str:
    below = _raised("_", _operand(node, "sub"))
    return _operand(node, "e") + below + _raised("^", _operand(node, "sup"))


def _scripts_before(node: Any) -> str:
    below = _raised("_", _operand(node, "sub"))
    return below + _raised("^", _operand(node, "sup")) + _operand(node, "e")


def _limit(node: Any) -> str:
    return f"{_part(node, 'e')}_{_operand(node, 'lim')} "


def _upper_limit(node: Any) -> str:
    return f"{_part(node, 'e')}^{_operand(node, 'lim')} "


def _root(node: Any) -> str:
    degree = _part(node, "deg")
    return f"{degree}√({_part(node, 'e')})"


def _nary(node: Any) -> str:
    """Return a sum, product or integral with its limits."""
    sign = _property(node, "naryPr", "chr", _INTEGRAL)
    below = _raised("_", _operand(node, "sub"))
    above = _raised("^", _operand(node, "sup"))
    return f"{sign}{below}{above} {_part(node, 'e')}"


def _bracketed(node: Any) -> str:
    between = _property(node, "dPr", "sepChr", "|").join(map(linear, node.iterfind("{*}e")))
    left = _property(node, "dPr", "begChr", "(")
    return f"{left}{between}{_property(node, 'dPr', 'endChr', ')')}"


def _matrix(node: Any) -> str:
    rows = (", ".join(map(linear, row.iterfind("{*}e"))) for row in node.iterfind("{*}mr"))
    return f"[{'; '.join(rows)}]"


def _array(node: Any) -> str:
    return "; ".join(map(linear, node.iterfind("{*}e")))


def _function(node: Any) -> str:
    return f"{_part(node, 'fName').strip()} {_part(node, 'e')}"


def _accented(node: Any) -> str:
    return _part(node, "e") + _property(node, "accPr", "chr", "\N{COMBINING CIRCUMFLEX ACCENT}")


def _property(node: Any, group: str, name: str, default: str) -> str:
    found = node.find(f"{{*}}{group}/{{*}}{name}")
    if found is None:
        return default
    return next((value for key, value in found.attrib.items() if key.endswith("val")), "")


_FORMS: Final[Mapping[str, Callable[[Any], str]]] = {
    "f": _fraction,
    "sSub": _scripts,
    "sSup": _scripts,
    "sSubSup": _scripts,
    "sPre": _scripts_before,
    "limLow": _limit,
    "limUpp": _upper_limit,
    "rad": _root,
    "nary": _nary,
    "d": _bracketed,
    "m": _matrix,
    "eqArr": _array,
    "func": _function,
    "acc": _accented,
}
