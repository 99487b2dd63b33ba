"""Read the parts of an Office Open XML package: bounded, and each broken part for itself.

The XML that `xml` returns is normalised, so that readers know one form: alternatives
(`mc:AlternateContent`) are replaced by the one that can be read. Elements are looked up by their
local names, because Strict and Transitional documents differ only in their namespaces.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, corrupt, protected

# bytes after decompression, of one part and of all that are read; a small archive can hold more
LARGEST: Final = 64 << 20
MOST_BYTES: Final = 256 << 20
_ENCRYPTED: Final = 1  # flag of a zip member
_ALTERNATIVES: Final = (
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
)
# An alternative with one of these holds something that is read here. Those without hold ink, models
# in three dimensions and the like; the fallback beside them is a picture.
_READ: Final = frozenset("t oMath sp grpSp pic cxnSp tbl chart relIds oleObj".split())


class BrokenPart(Exception):
    """A part is missing or can't be read. The message says which one, and why."""


class LargePart(BrokenPart):
    """A part is larger than what is read."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A part's reference. `type` is the last word of its URI; an external `target` is no part."""

    type: str
    target: str
    external: bool


@dataclass(slots=True)
class Package:
    """The parts of an open archive, by names without a leading slash.

    `bytes_read` counts the bytes of all parts that were read, after decompression.
    """

    archive: zipfile.ZipFile
    bytes_read: int = 0
    _names: dict[str, str] = field(default_factory=dict)  # as stored, by name in lower case

    def __post_init__(self) -> None:
        for name in self.archive.namelist():
            self._names.setdefault(_folded(name), name)

    @property
    def names(self) -> list[str]:
        """The names of all parts, as they are stored."""
        return list(self._names.values())

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._names

    def xml(self, name: str) -> Any:
        """Return the root of a part. It is 256 levels deep at most, so readers may recurse.

        Raises BrokenPart if it is missing or broken, and DocumentProblem if the parts that were
        read are larger than `MOST_BYTES` altogether.
        """
        root = _root(name, self.content(name), huge_tree=False)
        _choose_alternatives(root)
        return root

    def deep_xml(self, name: str) -> Any:
        """Return the root of a part as `xml` does, of any depth and with all alternatives.

        It is for readers that don't recurse and choose for themselves.
        """
        return _root(name, self.content(name), huge_tree=True)

    def relations(self, name: str) -> Mapping[str, Relation]:
        """Return a part's references by their ids; none if their list is missing or broken."""
        try:
            return self.listed_relations(name)
        except BrokenPart:
            return {}

    def listed_relations(self, name: str) -> Mapping[str, Relation]:
        """Return a part's references by their ids; none if it has no list of them.

        Raises BrokenPart if their list is broken.
        """
        folder, base = posixpath.split(name)
        listed = posixpath.join(folder, "_rels", f"{base}.rels")
        if listed not in self:
            return {}
        return {
            node.get("Id", ""): _relation(node, folder)
            for node in self.xml(listed).iterfind("{*}Relationship")
        }

    def content(self, name: str) -> bytes:
        """Return the bytes of a part. Raises as `xml` does."""
        stored = self._names.get(_folded(name))
        if stored is None:
            raise BrokenPart(f"{name} is not in the file")
        size = self.archive.getinfo(stored).file_size
        if size > LARGEST:
            raise LargePart(f"{name} is larger than {LARGEST >> 20} MB")
        self.bytes_read += size
        if self.bytes_read > MOST_BYTES:
            message = f"it holds more than {MOST_BYTES >> 20} MB of text and layout"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
        try:
            with self.archive.open(stored) as part:
                return part.read(LARGEST)
        # What the decompressors raise has no common base.
        except MemoryError:
            raise
        except Exception as error:
            raise BrokenPart(f"{name} can't be unpacked: {error}") from error


def opened(path: Path | BinaryIO) -> Package:
    """Open a package; close its `archive` when it is read.

    Raises DocumentProblem if it is no archive or an encrypted one.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise corrupt(f"the document can't be read: {error}") from error
    if any(member.flag_bits & _ENCRYPTED for member in archive.infolist()):
        archive.close()
        raise protected("the document's archive is encrypted, and is not opened here")
    return Package(archive)


def reference(node: Any, name: str) -> str:
    """Return an attribute that holds the id of a relation, such as `r:id`; "" if it is absent."""
    for attribute, value in node.attrib.items():
        if attribute.endswith(f"/relationships}}{name}"):
            return str(value)
    return ""


def local(node: Any) -> str:
    """Return an element's name without its namespace; "" for an entity."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def descend(node: Any, *, without: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Yield the elements below `node` in their order, none of `without` and nothing below those."""
    waiting = [iter(node)]
    while waiting:
        child = next(waiting[-1], None)
        if child is None:
            waiting.pop()
        elif local(child) not in without:
            yield child
            waiting.append(iter(child))


def _root(name: str, content: bytes, *, huge_tree: bool) -> Any:
    from lxml import etree

    # Entities could refer to other files, or expand without limit.
    reader = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        huge_tree=huge_tree,
    )
    try:
        return etree.fromstring(content, reader)
    except etree.XMLSyntaxError as error:
        raise BrokenPart(f"{name} is no XML: {error.msg}") from error
    except ValueError as error:
        raise BrokenPart(f"{name} is no XML: {error}") from error


def _folded(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _relation(node: Any, folder: str) -> Relation:
    target = node.get("Target", "").replace("\\", "/")
    external = node.get("TargetMode") == "External"
    if not external:
        target = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
    return Relation(node.get("Type", "").rpartition("/")[2], target, external)


def _choose_alternatives(root: Any) -> None:
    """Put the children of one alternative in the place of each set of alternatives."""
    for node in reversed(list(root.iter(_ALTERNATIVES))):
        if node.getparent() is None:
            continue
        for child in list(_chosen(node)):
            node.addprevious(child)
        node.getparent().remove(node)


def _chosen(node: Any) -> Any:
    """Return the first choice that holds something that is read here, else the fallback."""
    for choice in node.iterfind("{*}Choice"):
        if any(local(below) in _READ for below in choice.iter()):
            return choice
    fallback = node.find("{*}Fallback")
    return () if fallback is None else fallback
