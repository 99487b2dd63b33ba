"""Open the parts of an OOXML package (XLSX, XLSB) and follow its relationships.

Parts are bounded in size; XML is read without entities and without the network.
"""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.parse import unquote

from lxml import etree

from batcher.service.parsing.office.package import local

_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
# bytes after decompression, of one part and of all that are read
LARGEST: Final = 256 << 20
MOST_BYTES: Final = 1 << 30
# What reading a damaged part raises.
BROKEN: Final = (
    etree.LxmlError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class Link(NamedTuple):
    """A relationship: the last word of its type, such as "comments", and the part it leads to."""

    kind: str
    target: str


class Package:
    """The parts of a package, by names without a leading slash; case doesn't matter."""

    def __init__(self, path: Path) -> None:
        """Open the package. Raises one of BROKEN if its directory can't be read."""
        self._archive = zipfile.ZipFile(path)
        self._opened = 0  # bytes
        self._members = {_plain(info.filename).lower(): info for info in self._archive.infolist()}

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._members

    def open(self, name: str) -> IO[bytes]:
        """Open a part. Raises one of BROKEN if it isn't there or is too large."""
        member = self._members[name.lower()]
        if member.file_size > LARGEST:
            raise ValueError(f"{name} is larger than {LARGEST >> 20} MB")
        self._opened += member.file_size
        if self._opened > MOST_BYTES:
            raise ValueError(f"the parts before it are larger than {MOST_BYTES >> 30} GB")
        return self._archive.open(member)

    def read(self, name: str) -> bytes:
        """Return the bytes of a part."""
        with self.open(name) as part:
            return part.read()

    def tree(self, name: str, *, recover: bool = False) -> Any:
        """Return the root of a part that is XML; `recover` reads what isn't well-formed, too."""
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=recover)
        root = etree.fromstring(self.read(name), parser)
        if root is None:
            raise ValueError(f"{name} is empty")
        return root

    def elements(self, part: IO[bytes], *tags: str) -> Iterator[Any]:
        """Yield the elements with these names as they end, in any namespace."""
        yield from (
            element
            for _, element in etree.iterparse(
                part,
                events=("end",),
                tag=[f"{{*}}{tag}" for tag in tags],
                resolve_entities=False,
                no_network=True,
            )
        )

    def links(self, name: str) -> dict[str, Link]:
        """Return a part's relationships by their ids; "" is the package. External ones are left
        out.
        """
        folder, base = posixpath.split(name)
        part = posixpath.join(folder, "_rels", f"{base}.rels")
        if part not in self:
            return {}
        return {
            link.get("Id", ""): Link(
                link.get("Type", "").rpartition("/")[2], _target(folder, link.get("Target", ""))
            )
            for link in self.tree(part).iter("{*}Relationship")
            if link.get("TargetMode") != "External"
        }


def attribute(node: Any, name: str) -> str:
    """Return an attribute in whatever namespace, such as r:id, whose namespace has two names."""
    for key, value in node.attrib.items():
        if key.endswith("}" + name):
            return str(value)
    return str(node.get(name, ""))


def rich_text(node: Any) -> str:
    """Return the text of an element with runs, without the readings above Asian characters."""
    texts: list[str] = []
    for child in node:
        match local(child):
            case "t":
                texts.append(child.text or "")
            case "r":
                texts += [part.text or "" for part in child if local(part) == "t"]
    return unescaped("".join(texts))


def unescaped(text: str) -> str:
    """Replace the characters that XML can't hold and that are written as _x000D_."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/")


def _target(folder: str, target: str) -> str:
    path = unquote(target).replace("\\", "/")
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/"))
    return posixpath.normpath(posixpath.join(folder, path))
