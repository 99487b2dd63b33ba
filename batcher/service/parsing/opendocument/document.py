"""Read OpenDocument texts and presentations (ODT, OTT, ODP, OTP), and those in one XML file (FODT).

A text's pages end where the file says so; each slide is a page. Nothing is laid out.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.opendocument.paging import Master
from batcher.service.parsing.opendocument.styles import Styles, qname
from batcher.service.parsing.opendocument.text import TextWalk
from batcher.service.parsing.opendocument.walk import Walk
from batcher.service.parsing.pages import DocumentProblem, Page, corrupt, numbered, protected
from batcher.service.parsing.zipped_xml import opened, part, xml_of

ENCRYPTED: Final = "the document is encrypted; encrypted OpenDocument files are not opened here"
# objects such as charts and formulas that one document may hold
MOST_OBJECTS: Final = 2000
_MANIFEST: Final = "META-INF/manifest.xml"
_HREF: Final = qname("xlink:href")
_AUTOMATIC: Final = qname("office:automatic-styles")
_HEADERS: Final = tuple(
    qname(f"{prefix}:header{which}")
    for which, prefix in (
        ("", "style"),
        ("-left", "style"),
        ("-first", "style"),
        ("-first", "loext"),
    )
)
_FOOTERS: Final = tuple(name.replace("header", "footer") for name in _HEADERS)


def read_opendocument(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return headings, paragraphs, list items, tables, notes and comments, each text once.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if not is_zip:
        return _pages(_Flat(path.read_bytes()))
    with opened(path) as archive:
        return _pages(_Zipped(archive))


def _pages(package: _Flat | _Zipped) -> list[Page]:
    flow = Flow()
    styles = Styles([*package.common_styles, *package.content.iterchildren(_AUTOMATIC)])
    walk = TextWalk(
        Walk(flow, package, styles),
        page_styles=package.page_styles,
        masters=dict(package.masters()),
        controls=dict(_controls(package.content)),
        declared=dict(_declared(package.content)),
    )
    body = package.content.find(qname("office:body"))
    walk.walk(package.content if body is None else body)
    return numbered(flow.pages, [*package.unread, *walk.unread], walk.pictures)


class _Flat:
    """A document that is one XML file, or the parts of one in an archive that its walk needs.

    `content` is the root of the text, `common_styles` hold the styles that all parts share, and
    `page_styles` are those of headers and footers.
    """

    def __init__(self, raw: bytes) -> None:
        self.unread: list[str] = []
        self.content, damage = xml_of(raw, "the document")
        self.unread += damage
        self._styles = self.content
        self._read_styles()

    def _read_styles(self) -> None:
        self.common_styles = list(self._styles.iterchildren(qname("office:styles")))
        automatic = self._styles.iterchildren(_AUTOMATIC)
        self.page_styles = Styles([*self.common_styles, *automatic])

    def masters(self) -> Iterator[tuple[str, Master]]:
        """Yield the master pages by name, in their order."""
        for holder in self._styles.iterchildren(qname("office:master-styles")):
            for page in holder.iterchildren(qname("style:master-page")):
                yield page.get(qname("style:name"), ""), _master(page)

    def embedded(self, holder: Any) -> Any:
        """See walk.Package."""
        return next((child for child in holder if isinstance(child.tag, str) and len(child)), None)

    def styles_of(self, root: Any) -> Styles:
        """See walk.Package."""
        return Styles([*root.iterchildren(qname("office:styles")), *root.iterchildren(_AUTOMATIC)])


class _Zipped(_Flat):
    """A document in a zip archive, with styles and embedded objects in files of their own."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.unread = []
        self._archive = archive
        self._objects: dict[str, Any] = {}
        _check_is_open(archive)
        self.content, damage = xml_of(part(archive, "content.xml"), "content.xml")
        self.unread += damage
        self._styles = self._read("styles.xml")
        self._read_styles()

    def _read(self, name: str) -> Any:
        """Return a part that the document can be read without; an empty element if it is broken."""
        from lxml import etree

        if name not in self._archive.namelist():
            return etree.Element("none")
        try:
            root, damage = xml_of(part(self._archive, name), name)
        except DocumentProblem as problem:
            self.unread.append(f"{problem.message}; headers, footers and numbers may be missing")
            return etree.Element("none")
        self.unread += damage
        return root

    def embedded(self, holder: Any) -> Any:
        """See walk.Package. A broken one is opened once."""
        within = super().embedded(holder)
        if within is not None or not holder.get(_HREF):
            return within
        name = posixpath.normpath(unquote(holder.get(_HREF)))
        found = self._objects.get(name)
        if found is None:
            found = self._objects[name] = self._object(f"{name}/content.xml")
        if isinstance(found, DocumentProblem):
            raise found
        return found

    def _object(self, name: str) -> Any:
        """Return the root of an embedded document, or why it can't be read."""
        if len(self._objects) >= MOST_OBJECTS:
            return corrupt(f"the document has more than {MOST_OBJECTS} objects")
        try:
            root, damage = xml_of(part(self._archive, name), name)
        except DocumentProblem as problem:
            return problem
        self.unread += damage
        return root


def _check_is_open(archive: zipfile.ZipFile) -> None:
    """Raise DocumentProblem if the document's parts are encrypted."""
    names = archive.namelist()
    if "encrypted-package" in names and "content.xml" not in names:
        raise protected(ENCRYPTED)
    if _MANIFEST not in names:
        return
    try:
        manifest, _damage = xml_of(part(archive, _MANIFEST), _MANIFEST)
    except DocumentProblem:
        return  # the document can be read without it
    for entry in manifest.iter(qname("manifest:encryption-data")):
        name = entry.getparent().get(qname("manifest:full-path"))
        if name in ("content.xml", "encrypted-package"):
            raise protected(ENCRYPTED)


def _master(page: Any) -> Master:
    shown = [
        child
        for child in page
        if isinstance(child.tag, str) and child.get(qname("style:display")) != "false"
    ]
    return Master(
        headers=[child for child in shown if child.tag in _HEADERS],
        footers=[child for child in shown if child.tag in _FOOTERS],
        shapes=[child for child in shown if _is_own_shape(child)],
        next=page.get(qname("style:next-style-name"), ""),
    )


def _is_own_shape(node: Any) -> bool:
    """Tell whether a shape of a master page is shown on slides, as a logo's name is.

    Shapes with a class only say where the slides' own texts stand.
    """
    return (
        node.tag.startswith(qname("draw:x")[:-1])
        and node.get(qname("presentation:class")) is None
        and any(text.strip() for text in node.itertext())
    )


def _controls(content: Any) -> Iterator[tuple[str, str]]:
    """Yield the id of each form control with the text that it shows."""
    for control in content.iter(qname("form:*")):
        name = control.get(qname("xml:id")) or control.get(qname("form:id"))
        if name and control.tag not in (qname("form:password"), qname("form:hidden")):
            yield name, _shown_by(control)


def _shown_by(control: Any) -> str:
    chosen = [
        option.get(qname("form:label"), "")
        for option in control.iterchildren(qname("form:option"), qname("form:item"))
        if "true"
        in (option.get(qname("form:current-selected")), option.get(qname("form:selected")))
    ]
    value = control.get(qname("form:current-value")) or control.get(qname("form:value"))
    if control.tag in (qname("form:checkbox"), qname("form:radio")):
        value = None  # what is sent, not what is shown
    return " ".join(filter(None, (control.get(qname("form:label")), value, *chosen)))


def _declared(content: Any) -> Iterator[tuple[str, Any]]:
    for what in ("footer", "date-time"):
        for node in content.iter(qname(f"presentation:{what}-decl")):
            yield f"{what} {node.get(qname('presentation:name'))}", node
