"""An ODT, as a package and as one XML file, and an ODP, with a marker word in each place that
LibreOffice or Word may fill.

The functions return the bytes of a document, and for each place its marker, which stands there
once.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Final

TEXT_PLACES: Final = """
title subtitle heading deep-heading paragraph span link list-item numbered-item nested-item
second-paragraph-of-item list-header numbered-paragraph cell header-cell wide-cell tall-cell
nested-cell repeated-row-cell cell-list-item section index-title index-entry
text-box text-box-in-cell frame-in-frame shape group-shape caption-text inserted field
variable-shown bookmarked reference ruby-base ruby-text after-tab after-blanks after-line-break
footnote endnote footnote-in-cell footnote-in-box comment comment-author comment-of-cell header
first-header footer header-of-landscape alt-title alt-description formula-number formula-letter
formula-text chart-title chart-category chart-series embedded-sheet-cell second-page third-page
drop-down content-control conditional-text placeholder control-label control-value list-choice
visible-in-hidden page-anchored table-description after-comment object-alt
""".split()
TEXT_UNSEEN: Final = """
deleted deleted-paragraph hidden-style hidden-section hidden-paragraph covered source-template
unused-master hidden-footer style-name meta-title script list-other hidden-row starmath
replacement password chart-place
""".split()
SLIDE_PLACES: Final = """
title subtitle outline-item nested-outline-item text-box shape group cell notes comment
alt-description second-title third-slide footer date master-text connector formula-text
chart-category after-break
""".split()
SLIDE_UNSEEN: Final = """
hidden-declaration master-placeholder click-to-add unused-master notes-master handout
""".split()

_NAMESPACES: Final = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "style": "style",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "presentation": "presentation",
        "form": "form",
        "chart": "chart",
        "fo": "xsl-fo-compatible",
        "svg": "svg-compatible",
        "meta": "meta",
    }.items()
) + (
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"'
)
TYPES: Final = {
    "odt": "application/vnd.oasis.opendocument.text",
    "odp": "application/vnd.oasis.opendocument.presentation",
}


def marker(place: str) -> str:
    return "q" + place.replace("-", "") + "q"


def marked() -> tuple[bytes, dict[str, str]]:
    """Return an ODT package, and the marker of each place that is shown."""
    return package("odt", PARTS), _markers(TEXT_PLACES)


def marked_flat() -> tuple[bytes, dict[str, str]]:
    """Return the same text as one XML file. Objects in files of their own can't stand in it."""
    places = [name for name in TEXT_PLACES if not name.startswith(("chart-", "embedded-"))]
    inner = "".join(
        re.sub(r"<\?xml[^>]*>|</?office:document-[a-z]+[^>]*>", "", PARTS[name])
        for name in ("styles.xml", "content.xml")
    )
    formula = re.sub(r"<\?xml[^>]*>", "", PARTS["Formula 1/content.xml"])
    inner = re.sub(
        r'<draw:object xlink:href="./Formula[^>]*/>', f"<draw:object>{formula}</draw:object>", inner
    )
    inner = re.sub(r'<draw:object xlink:href="./(Chart|Sheet)[^>]*/>', "", inner)
    whole = f'<?xml version="1.0"?><office:document {_NAMESPACES}>{inner}</office:document>'
    return _filled(whole).encode(), _markers(places)


def marked_slides() -> tuple[bytes, dict[str, str]]:
    """Return an ODP package, and the marker of each place that is shown."""
    return package("odp", SLIDES), _markers(SLIDE_PLACES)


def package(type_: str, parts: Mapping[str, str]) -> bytes:
    """Return a package of these parts, with their markers filled in."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", TYPES[type_], zipfile.ZIP_STORED)
        for name, content in parts.items():
            archive.writestr(name, _filled(content))
    return file.getvalue()


def document(part: str, inner: str) -> str:
    """Return an XML file whose root is `office:document-` and the part's name."""
    root = f"office:document-{part}"
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} {_NAMESPACES}>{inner}</{root}>'


def _markers(places: list[str]) -> dict[str, str]:
    return {place: marker(place) for place in places}


def _filled(content: str) -> str:
    return re.sub(r"\[\[([a-z-]+)\]\]", lambda found: marker(found[1]), content)


# --- the text -------------------------------------------------------------------------------------

_STYLES: Final = document(
    "styles",
    """<office:styles>
<style:style style:name="Standard" style:family="paragraph"/>
<style:style style:name="[[style-name]]" style:family="paragraph"/>
<style:style style:name="Title" style:family="paragraph" style:parent-style-name="Standard"/>
<style:style style:name="Subtitle" style:family="paragraph"/>
<style:style style:name="Heading_20_1" style:family="paragraph" style:default-outline-level="1"/>
<text:outline-style style:name="Outline">
<text:outline-level-style text:level="1" style:num-format="I" style:num-suffix="."/>
<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>
</text:outline-style></office:styles>
<office:automatic-styles><style:style style:name="P1" style:family="paragraph"/>
</office:automatic-styles>
<office:master-styles>
<style:master-page style:name="Standard">
<style:header><text:p text:style-name="P1">[[header]]
<text:page-number>1</text:page-number></text:p>
</style:header><style:header-first><text:p>[[first-header]]</text:p></style:header-first>
<style:footer><table:table><table:table-row><table:table-cell><text:p>[[footer]]</text:p>
</table:table-cell></table:table-row></table:table></style:footer>
<style:footer-left style:display="false"><text:p>[[hidden-footer]]</text:p></style:footer-left>
</style:master-page>
<style:master-page style:name="Landscape">
<style:header><text:p>[[header-of-landscape]]</text:p></style:header></style:master-page>
<style:master-page style:name="Envelope"><style:header><text:p>[[unused-master]]</text:p>
</style:header></style:master-page></office:master-styles>""",
)
_AUTOMATIC: Final = """<office:automatic-styles>
<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>
<style:style style:name="P2" style:family="paragraph" style:parent-style-name="Standard">
<style:paragraph-properties fo:break-before="page"/></style:style>
<style:style style:name="P3" style:family="paragraph" style:master-page-name="Landscape"/>
<style:style style:name="P4" style:family="paragraph" style:list-style-name="L1"/>
<style:style style:name="P5" style:family="paragraph">
<style:text-properties text:display="none"/></style:style>
<style:style style:name="T1" style:family="text">
<style:text-properties text:display="none"/></style:style>
<style:style style:name="T2" style:family="text">
<style:text-properties text:display="true"/></style:style>
<text:list-style style:name="L1">
<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/>
</text:list-style>
<text:list-style style:name="L2">
<text:list-level-style-bullet text:level="1" text:bullet-char="•"/></text:list-style>
</office:automatic-styles>"""
_CHANGES: Final = """<text:tracked-changes><text:changed-region text:id="c1"><text:deletion>
<office:change-info><dc:creator>A</dc:creator></office:change-info>
<text:p>[[deleted]]</text:p><text:p>[[deleted-paragraph]]</text:p></text:deletion>
</text:changed-region></text:tracked-changes>"""
_FORMS: Final = """<office:forms><form:form>
<form:checkbox xml:id="k1" form:label="[[control-label]]" form:value="on"/>
<form:text form:id="k2" form:current-value="[[control-value]]"/>
<form:password xml:id="k3" form:current-value="[[password]]"/>
<form:listbox xml:id="k4"><form:option form:label="[[list-other]]"/>
<form:option form:label="[[list-choice]]" form:current-selected="true"/></form:listbox>
</form:form></office:forms>"""
_LISTS: Final = """<text:list text:style-name="L2"><text:list-header>
<text:p>[[list-header]]</text:p>
</text:list-header><text:list-item><text:p>[[list-item]]</text:p></text:list-item></text:list>
<text:list xml:id="l1" text:style-name="L1"><text:list-item><text:p>[[numbered-item]]</text:p>
<text:p>[[second-paragraph-of-item]]</text:p><text:list><text:list-item>
<text:p>[[nested-item]]</text:p></text:list-item></text:list></text:list-item></text:list>
<text:numbered-paragraph text:style-name="L1" text:level="1"><text:p>[[numbered-paragraph]]</text:p>
</text:numbered-paragraph>"""
_NOTE: Final = (
    '<text:note text:note-class="{0}"><text:note-citation>{1}</text:note-citation>'
    "<text:note-body><text:p>[[{2}]]</text:p></text:note-body></text:note>"
)
_TABLE: Final = f"""<table:table table:name="T"><table:desc>[[table-description]]</table:desc>
<table:table-column table:number-columns-repeated="3"/>
<table:table-header-rows><table:table-row><table:table-cell><text:p>[[header-cell]]</text:p>
</table:table-cell><table:table-cell table:number-columns-spanned="2"><text:p>[[wide-cell]]</text:p>
</table:table-cell><table:covered-table-cell><text:p>[[covered]]</text:p>
</table:covered-table-cell></table:table-row></table:table-header-rows>
<table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>[[tall-cell]]</text:p>
</table:table-cell><table:table-cell><text:p>[[cell]]
{_NOTE.format("footnote", 1, "footnote-in-cell")}
<draw:frame text:anchor-type="as-char"><draw:text-box><text:p>[[text-box-in-cell]]</text:p>
</draw:text-box></draw:frame></text:p></table:table-cell>
<table:table-cell><table:table table:is-sub-table="true"><table:table-row><table:table-cell>
<text:p>[[nested-cell]]</text:p></table:table-cell></table:table-row></table:table>
</table:table-cell></table:table-row>
<table:table-row><table:covered-table-cell/><table:table-cell><office:annotation>
<dc:creator>B</dc:creator><text:p>[[comment-of-cell]]</text:p></office:annotation><text:list>
<text:list-item><text:p>[[cell-list-item]]</text:p></text:list-item></text:list></table:table-cell>
<table:table-cell table:number-columns-repeated="16000"/></table:table-row>
<table:table-row table:number-rows-repeated="1"><table:table-cell/>
<table:table-cell><text:p>[[repeated-row-cell]]</text:p></table:table-cell></table:table-row>
<table:table-row table:visibility="collapse"><table:table-cell><text:p>[[hidden-row]]</text:p>
</table:table-cell></table:table-row></table:table>"""
_SHAPES: Final = f"""<text:p>Beside:<draw:frame text:anchor-type="paragraph"><draw:text-box>
<text:p>[[text-box]]{_NOTE.format("footnote", 2, "footnote-in-box")}<draw:frame><draw:text-box>
<text:p>[[frame-in-frame]]</text:p></draw:text-box></draw:frame></text:p></draw:text-box>
</draw:frame>
<draw:custom-shape><text:p>[[shape]]</text:p><draw:enhanced-geometry/></draw:custom-shape>
<draw:g><draw:rect><text:p>[[group-shape]]</text:p></draw:rect></draw:g>
<draw:frame><draw:text-box><text:p><draw:frame><draw:image xlink:href="Pictures/1.png"/>
<svg:title>[[alt-title]]</svg:title><svg:desc>[[alt-description]]</svg:desc></draw:frame>
<text:s/>[[caption-text]]</text:p></draw:text-box></draw:frame>
<draw:control draw:control="k1"/><draw:control draw:control="k2"/><draw:control draw:control="k3"/>
<draw:control draw:control="k4"/></text:p>"""
_OBJECTS: Final = """<text:p>A formula <draw:frame text:anchor-type="as-char">
<draw:object xlink:href="./Formula 1" xlink:type="simple"/>
<draw:image xlink:href="./ObjectReplacements/[[replacement]]"/></draw:frame> and a chart
<draw:frame><draw:object xlink:href="./Chart 1"/><draw:image xlink:href="x"/>
<svg:desc>[[object-alt]]</svg:desc></draw:frame>
<draw:frame><draw:object xlink:href="./Sheet%201/"/></draw:frame></text:p>"""
_FIELDS: Final = """<text:p>The price <text:change text:change-id="c1"/>
<text:change-start text:change-id="c2"/>[[inserted]]<text:change-end text:change-id="c2"/>
<text:date text:date-value="2026">[[field]]</text:date>
<text:variable-set text:display="none">x</text:variable-set>
<text:variable-get>[[variable-shown]]</text:variable-get>
<text:bookmark-start text:name="b"/>[[bookmarked]]<text:bookmark-end text:name="b"/>
<text:bookmark-ref>[[reference]]</text:bookmark-ref>
<text:ruby><text:ruby-base>[[ruby-base]]</text:ruby-base>
<text:ruby-text>[[ruby-text]]</text:ruby-text>
</text:ruby>x<text:tab/>[[after-tab]]<text:s text:c="3"/>[[after-blanks]]<text:line-break/>
[[after-line-break]] <text:drop-down text:name="d"><text:label text:value="a"/>[[drop-down]]
</text:drop-down> <loext:content-control>[[content-control]]</loext:content-control>
<text:conditional-text>[[conditional-text]]</text:conditional-text>
<text:placeholder text:placeholder-type="text">[[placeholder]]</text:placeholder>
<text:script>[[script]]</text:script>
<text:span text:style-name="T1">[[hidden-style]]<text:span text:style-name="T2">
[[visible-in-hidden]]</text:span></text:span><text:hidden-paragraph text:is-hidden="true"/></text:p>
<text:p text:style-name="P5">[[hidden-paragraph]]</text:p>
<text:section text:display="none"><text:p>[[hidden-section]]</text:p></text:section>"""
_CONTENT: Final = document(
    "content",
    f"""{_AUTOMATIC}<office:body><office:text>{_FORMS}{_CHANGES}
<draw:frame text:anchor-type="page"><draw:text-box><text:p>[[page-anchored]]</text:p>
</draw:text-box></draw:frame>
<text:p text:style-name="P1">[[title]]</text:p>
<text:p text:style-name="Subtitle">[[subtitle]]</text:p>
<text:table-of-content><text:table-of-content-source><text:index-title-template>
[[source-template]]</text:index-title-template></text:table-of-content-source><text:index-body>
<text:index-title><text:p>[[index-title]]</text:p></text:index-title>
<text:p><text:a>[[index-entry]]<text:tab/>1</text:a></text:p></text:index-body>
</text:table-of-content>
<text:h text:style-name="Heading_20_1" text:outline-level="1">[[heading]]</text:h>
<text:h text:outline-level="2">[[deep-heading]]</text:h>
<text:p>[[paragraph]] <text:span>[[span]]</text:span> <text:a xlink:href="x">[[link]]</text:a>
{_NOTE.format("footnote", 3, "footnote")}{_NOTE.format("endnote", "i", "endnote")}
<office:annotation><dc:creator>[[comment-author]]</dc:creator><dc:date>2026-01-01</dc:date>
<text:list><text:list-item><text:p>[[comment]]</text:p></text:list-item></text:list>
</office:annotation>[[after-comment]]</text:p>
<text:section text:name="s"><text:p>[[section]]</text:p></text:section>
{_LISTS}{_TABLE}{_SHAPES}{_OBJECTS}{_FIELDS}
<text:p text:style-name="P2">[[second-page]]</text:p>
<text:p text:style-name="P3">[[third-page]]</text:p></office:text></office:body>""",
)
_FORMULA: Final = """<?xml version="1.0"?><math xmlns="http://www.w3.org/1998/Math/MathML">
<semantics><mrow><mfrac><mn>[[formula-number]]</mn><mrow><mi>[[formula-letter]]</mi><mo>+</mo>
<mn>1</mn></mrow></mfrac><mtext>[[formula-text]]</mtext></mrow>
<annotation encoding="StarMath 5.0">[[starmath]]</annotation></semantics></math>"""
_CHART: Final = document(
    "content",
    """<office:body><office:chart><chart:chart><chart:title><text:p>[[chart-title]]</text:p>
</chart:title><chart:plot-area/><table:table table:name="local-table"><table:table-header-rows>
<table:table-row><table:table-cell><text:p/></table:table-cell><table:table-cell>
<text:p>[[chart-series]]</text:p><draw:g><svg:desc>[[chart-place]]</svg:desc></draw:g>
</table:table-cell></table:table-row></table:table-header-rows><table:table-rows><table:table-row>
<table:table-cell><text:p>[[chart-category]]</text:p></table:table-cell><table:table-cell>
<text:p>9.1</text:p></table:table-cell></table:table-row></table:table-rows></table:table>
</chart:chart></office:chart></office:body>""",
)
_SHEET: Final = document(
    "content",
    """<office:body><office:spreadsheet><table:table><table:table-row>
<table:table-cell table:number-columns-repeated="2"/><table:table-cell>
<text:p>[[embedded-sheet-cell]]</text:p></table:table-cell>
<table:table-cell table:number-columns-repeated="16381"/></table:table-row>
<table:table-row table:number-rows-repeated="1048575">
<table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table>
</office:spreadsheet></office:body>""",
)
PARTS: Final = {
    "content.xml": _CONTENT,
    "styles.xml": _STYLES,
    "meta.xml": document("meta", "<dc:title>[[meta-title]]</dc:title>"),
    "Formula 1/content.xml": _FORMULA,
    "Chart 1/content.xml": _CHART,
    "Sheet 1/content.xml": _SHEET,
}

# --- the slides -----------------------------------------------------------------------------------

_SLIDE_STYLES: Final = document(
    "styles",
    """<office:styles/><office:automatic-styles/><office:master-styles>
<style:handout-master><draw:frame><draw:text-box><text:p>[[handout]]</text:p></draw:text-box>
</draw:frame></style:handout-master>
<style:master-page style:name="Default"><draw:frame presentation:class="title"
 presentation:placeholder="true"><draw:text-box><text:p>[[master-placeholder]]</text:p>
</draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>[[master-text]]</text:p>
</draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box>
<text:p>[[notes-master]]</text:p></draw:text-box></draw:frame></presentation:notes>
</style:master-page><style:master-page style:name="Other"><draw:frame><draw:text-box>
<text:p>[[unused-master]]</text:p></draw:text-box></draw:frame></style:master-page>
</office:master-styles>""",
)
_FIRST_SLIDE: Final = """<draw:page draw:name="page1" draw:style-name="dp1"
 draw:master-page-name="Default" presentation:use-footer-name="f1"
 presentation:use-date-time-name="d1">
<draw:frame svg:x="2cm" svg:y="9cm"><draw:text-box><text:p>[[text-box]]<text:line-break/>
[[after-break]]</text:p></draw:text-box></draw:frame>
<draw:frame presentation:class="title" svg:x="1cm" svg:y="1cm"><draw:text-box><text:p>[[title]]
</text:p></draw:text-box></draw:frame>
<draw:frame presentation:class="subtitle" svg:x="1cm" svg:y="2cm"><draw:text-box>
<text:p>[[subtitle]]</text:p></draw:text-box></draw:frame>
<draw:frame presentation:class="outline" svg:x="1cm" svg:y="3cm"><draw:text-box><text:list>
<text:list-item><text:p>[[outline-item]]</text:p><text:list><text:list-item>
<text:p>[[nested-outline-item]]</text:p></text:list-item></text:list></text:list-item></text:list>
</draw:text-box></draw:frame>
<draw:frame presentation:class="graphic" presentation:placeholder="true"><draw:text-box>
<text:p>[[click-to-add]]</text:p></draw:text-box></draw:frame>
<draw:custom-shape svg:x="1cm" svg:y="5cm"><text:p>[[shape]]</text:p></draw:custom-shape>
<draw:connector svg:x1="1cm" svg:y1="5cm"><text:p>[[connector]]</text:p></draw:connector>
<draw:g><draw:g><draw:rect svg:y="6cm"><text:p>[[group]]</text:p></draw:rect></draw:g></draw:g>
<draw:frame svg:y="7cm"><table:table><table:table-row><table:table-cell><text:p>[[cell]]</text:p>
</table:table-cell></table:table-row></table:table><draw:image xlink:href="x"/></draw:frame>
<draw:frame svg:y="8cm"><draw:image xlink:href="Pictures/1.png"/>
<svg:desc>[[alt-description]]</svg:desc></draw:frame>
<draw:frame svg:y="8cm"><draw:object xlink:href="./Formula 1"/></draw:frame>
<draw:frame svg:y="8cm"><draw:object xlink:href="./Chart 1"/></draw:frame>
<office:annotation svg:x="0cm"><dc:creator>C</dc:creator><text:p>[[comment]]</text:p>
</office:annotation>
<presentation:notes><draw:page-thumbnail/><draw:frame presentation:class="notes"><draw:text-box>
<text:p>[[notes]]</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"""
SLIDES: Final = {
    "content.xml": document(
        "content",
        f"""<office:automatic-styles><style:style style:name="dp1" style:family="drawing-page">
<style:drawing-page-properties presentation:display-footer="true"
 presentation:display-date-time="true"/></style:style></office:automatic-styles>
<office:body><office:presentation>
<presentation:footer-decl presentation:name="f1">[[footer]]</presentation:footer-decl>
<presentation:footer-decl presentation:name="f2">[[hidden-declaration]]</presentation:footer-decl>
<presentation:date-time-decl presentation:name="d1" presentation:source="fixed">[[date]]
</presentation:date-time-decl>{_FIRST_SLIDE}
<draw:page draw:master-page-name="Default" presentation:use-footer-name="f2"><draw:frame
 presentation:class="title"><draw:text-box><text:p>[[second-title]]</text:p></draw:text-box>
</draw:frame></draw:page><draw:page draw:style-name="dp1" presentation:use-footer-name="f1">
<draw:frame><draw:text-box><text:p>[[third-slide]]</text:p></draw:text-box></draw:frame>
</draw:page></office:presentation></office:body>""",
    ),
    "styles.xml": _SLIDE_STYLES,
    "Formula 1/content.xml": """<math xmlns="http://www.w3.org/1998/Math/MathML"><mtext>
[[formula-text]]</mtext></math>""",
    "Chart 1/content.xml": document(
        "content",
        """<office:body><office:chart><chart:chart><table:table><table:table-row><table:table-cell>
<text:p>[[chart-category]]</text:p></table:table-cell></table:table-row></table:table></chart:chart>
</office:chart></office:body>""",
    ),
}
