"""Names of elements and attributes in Office documents, the same for both kinds of Open XML.

Strict Open XML has other namespaces than the usual, transitional one. Here both have the prefixes
that Office itself writes, such as "w:p" for a paragraph.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

_OPEN: Final = "http://schemas.openxmlformats.org/"
_STRICT: Final = "http://purl.oclc.org/ooxml/"
_MICROSOFT: Final = "http://schemas.microsoft.com/"
_KNOWN: Final = (_OPEN, _STRICT, _MICROSOFT, "urn:schemas-microsoft-com:")
_NAMESPACES: Final = {
    _OPEN + "wordprocessingml/2006/main": "w",
    _STRICT + "wordprocessingml/main": "w",
    _OPEN + "officeDocument/2006/math": "m",
    _STRICT + "officeDocument/math": "m",
    _OPEN + "officeDocument/2006/relationships": "r",
    _STRICT + "officeDocument/relationships": "r",
    _OPEN + "drawingml/2006/main": "a",
    _STRICT + "drawingml/main": "a",
    _OPEN + "drawingml/2006/wordprocessingDrawing": "wp",
    _STRICT + "drawingml/wordprocessingDrawing": "wp",
    _OPEN + "drawingml/2006/picture": "pic",
    _STRICT + "drawingml/picture": "pic",
    _OPEN + "drawingml/2006/chart": "c",
    _STRICT + "drawingml/chart": "c",
    _OPEN + "drawingml/2006/diagram": "dgm",
    _STRICT + "drawingml/diagram": "dgm",
    _OPEN + "markup-compatibility/2006": "mc",
    _MICROSOFT + "office/drawing/2014/chartex": "cx",
    _MICROSOFT + "office/drawing/2017/decorative": "adec",
    _MICROSOFT + "office/word/2010/wordprocessingShape": "wps",
    _MICROSOFT + "office/word/2010/wordml": "w14",
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
}
_PREFIXED: Final = {
    prefix: [uri for uri, known in _NAMESPACES.items() if known == prefix]
    for prefix in ("w", "m", "r", "o")
}


@lru_cache(maxsize=4096)
def name_of(tag: Any) -> str:
    """Return an element's tag with its usual prefix, such as "w:p", or "" if it isn't known."""
    if not isinstance(tag, str):
        return ""  # an entity
    uri, _, local = tag[1:].rpartition("}")
    prefix = _NAMESPACES.get(uri)
    return f"{prefix}:{local}" if prefix else ""


def attribute(node: Any, name: str, prefix: str = "w") -> str | None:
    """Return the value of an attribute, which may have its prefix or none."""
    for uri in _PREFIXED[prefix]:
        value: str | None = node.get(f"{{{uri}}}{name}")
        if value is not None:
            return value
    return None if prefix == "r" else node.get(name)


def child(node: Any, name: str) -> Any:
    """Return the first child with this name, such as "w:pPr", or None."""
    return next((one for one in node if name_of(one.tag) == name), None)


def value(node: Any, name: str) -> str | None:
    """Return the attribute `val` of a child, or None if there is no such child or attribute."""
    found = child(node, name)
    return None if found is None else attribute(found, "val", name.partition(":")[0])


def is_on(node: Any, name: str) -> bool | None:
    """Tell whether a child switches something on, or None if there is no such child."""
    found = child(node, name)
    if found is None:
        return None
    return (attribute(found, "val") or "true").lower() not in ("false", "0", "off", "none")


def number(text: str | None, default: int) -> int:
    """Return `text` as an integer, or `default` if it is none."""
    try:
        return int(text or "")
    except ValueError:
        return default


def is_understood(node: Any, prefix: str) -> bool:
    """Tell whether a prefix stands for a namespace of Office, at this place of the document."""
    return (node.nsmap.get(prefix) or "").startswith(_KNOWN)
