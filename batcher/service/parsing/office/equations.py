r"""Write Office's equations (OMML) as LaTeX, such as `\frac{a}{b}` and `x^{2}`.

Each element becomes a list of texts and of its children, in the order in which they are to be
written, so that no depth exhausts the stack. Letters and signs stay what they are in the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from batcher.service.parsing.office.names import child, is_on, name_of, value

Part = Any  # an element, or a text to be written

_ACCENTS: Final = {
    "\u0302": "hat",
    "^": "hat",
    "\u0303": "tilde",
    "~": "tilde",
    "\u0304": "bar",
    "\u0305": "overline",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u030c": "check",
    "\u0301": "acute",
    "\u0300": "grave",
    "\u0306": "breve",
    "\u20d6": "overleftarrow",
    "\u20d7": "vec",
}


def _around(node: Any, *pieces: str) -> list[Part]:
    """Return the pieces with children put for the names of elements that they hold."""
    return [child(node, piece) if piece.startswith("m:") else piece for piece in pieces]


def _fraction(node: Any) -> list[Part]:
    kind = _told(node, "m:fPr", "m:type")
    if kind in ("lin", "skw"):
        return _around(node, "m:num", "/", "m:den")
    if kind == "noBar":
        return _around(node, "{", "m:num", " \\atop ", "m:den", "}")
    return _around(node, "\\frac{", "m:num", "}{", "m:den", "}")


def _root(node: Any) -> list[Part]:
    properties = child(node, "m:radPr")
    degree = child(node, "m:deg")
    if degree is None or len(degree) == 0 or (properties is not None and _hides_degree(properties)):
        return _around(node, "\\sqrt{", "m:e", "}")
    return _around(node, "\\sqrt[", "m:deg", "]{", "m:e", "}")


def _hides_degree(properties: Any) -> bool:
    return bool(is_on(properties, "m:degHide"))


def _operator(node: Any) -> list[Part]:
    sign = _told(node, "m:naryPr", "m:chr")
    lower = _raised(node, "m:sub", "_")
    upper = _raised(node, "m:sup", "^")
    return ["∫" if sign is None else sign, *lower, *upper, " ", child(node, "m:e")]


def _raised(node: Any, name: str, mark: str) -> list[Part]:
    found = child(node, name)
    return [] if found is None or len(found) == 0 else [mark + "{", found, "}"]


def _before(node: Any) -> list[Part]:
    return ["{}", *_raised(node, "m:sub", "_"), *_raised(node, "m:sup", "^"), child(node, "m:e")]


def _delimited(node: Any) -> list[Part]:
    parts: list[Part] = []
    between = _told(node, "m:dPr", "m:sepChr")
    for one in _named(node, "m:e"):
        parts += ["|" if between is None else between, one] if parts else [one]
    begin = _told(node, "m:dPr", "m:begChr")
    end = _told(node, "m:dPr", "m:endChr")
    return ["(" if begin is None else begin, *parts, ")" if end is None else end]


def _accent(node: Any) -> list[Part]:
    sign = _told(node, "m:accPr", "m:chr")
    return _around(node, f"\\{_ACCENTS.get(sign or '^', 'hat')}{{", "m:e", "}")


def _bar(node: Any) -> list[Part]:
    line = "overline" if _told(node, "m:barPr", "m:pos") == "top" else "underline"
    return _around(node, f"\\{line}{{", "m:e", "}")


def _grouped(node: Any) -> list[Part]:
    sign = _told(node, "m:groupChrPr", "m:chr")
    if sign is not None and sign not in "⏞⏟":
        mark = "overset" if _told(node, "m:groupChrPr", "m:pos") == "top" else "underset"
        return _around(node, f"\\{mark}{{{sign}}}{{", "m:e", "}")
    above = sign == "⏞" or _told(node, "m:groupChrPr", "m:pos") == "top"
    return _around(node, "\\overbrace{" if above else "\\underbrace{", "m:e", "}")


def _matrix(node: Any) -> list[Part]:
    rows = [_joined(_named(row, "m:e"), " & ") for row in _named(node, "m:mr")]
    return ["\\begin{matrix}", *_joined(rows, " \\\\ "), "\\end{matrix}"]


def _stacked(node: Any) -> list[Part]:
    lines = _named(node, "m:e")
    if len(lines) == 1:
        return lines
    return ["\\begin{aligned}", *_joined(lines, " \\\\ "), "\\end{aligned}"]


def _joined(items: Iterable[Any], between: str) -> list[Part]:
    """Return the items, or what lists among them hold, with a text between two of them."""
    parts: list[Part] = []
    for item in items:
        parts += [between] if parts else []
        parts += item if isinstance(item, list) else [item]
    return parts


def _named(node: Any, name: str) -> list[Any]:
    return [one for one in node if name_of(one.tag) == name]


def _told(node: Any, properties: str, name: str) -> str | None:
    """Return what the properties of an element say, "" if they name it without a value."""
    found = child(node, properties)
    if found is None or child(found, name) is None:
        return None
    return value(found, name) or ""


def _of(*pieces: str) -> Callable[[Any], list[Part]]:
    return lambda node: _around(node, *pieces)


PARTS: Final[dict[str, Callable[[Any], list[Part]]]] = {
    "m:f": _fraction,
    "m:rad": _root,
    "m:nary": _operator,
    "m:d": _delimited,
    "m:acc": _accent,
    "m:bar": _bar,
    "m:groupChr": _grouped,
    "m:m": _matrix,
    "m:eqArr": _stacked,
    "m:sSup": _of("m:e", "^{", "m:sup", "}"),
    "m:sSub": _of("m:e", "_{", "m:sub", "}"),
    "m:sSubSup": _of("m:e", "_{", "m:sub", "}^{", "m:sup", "}"),
    "m:sPre": _before,
    "m:limLow": _of("m:e", "_{", "m:lim", "}"),
    "m:limUpp": _of("m:e", "^{", "m:lim", "}"),
    "m:func": _of("m:fName", " ", "m:e"),
    "m:borderBox": _of("\\boxed{", "m:e", "}"),
}


def parts_of(node: Any) -> list[Part] | None:
    """Return what stands for an element of an equation, or None if its children do as they are."""
    make = PARTS.get(name_of(node.tag))
    return None if make is None else [part for part in make(node) if part is not None]


def latex(node: Any) -> str:
    """Return an equation as a line of LaTeX between dollar signs, or "" if it has no text."""
    pieces: list[str] = []
    todo: list[Part] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            pieces.append(part)
        elif name_of(part.tag) == "m:t":
            pieces.append(part.text or "")
        elif not name_of(part.tag).endswith("Pr"):
            parts = parts_of(part)
            todo += reversed(list(part) if parts is None else parts)
    text = " ".join("".join(pieces).split())
    return f"${text}$" if text else ""
