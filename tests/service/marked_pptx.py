"""A presentation with a marker word in each place that may hold text, as PowerPoint writes it."""

from __future__ import annotations

import io
import zipfile
from itertools import count

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
CX = "http://schemas.microsoft.com/office/drawing/2014/chartex"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
P14 = "http://schemas.microsoft.com/office/powerpoint/2010/main"
A14 = "http://schemas.microsoft.com/office/drawing/2010/main"
P188 = "http://schemas.microsoft.com/office/powerpoint/2018/8/main"
CDR = "http://schemas.openxmlformats.org/drawingml/2006/chartDrawing"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
NAMES = (
    f'xmlns:a="{A}" xmlns:p="{P}" xmlns:r="{R}" xmlns:c="{C}" xmlns:cx="{CX}" xmlns:dgm="{DGM}" '
    f'xmlns:mc="{MC}" xmlns:m="{M}" xmlns:p14="{P14}" xmlns:a14="{A14}" xmlns:p188="{P188}" '
    f'xmlns:cdr="{CDR}"'
)
MODERN = "http://schemas.microsoft.com/office/2018/10/relationships"
STRICT = {
    "http://schemas.openxmlformats.org/presentationml/2006": "http://purl.oclc.org/ooxml/presentationml",
    "http://schemas.openxmlformats.org/drawingml/2006": "http://purl.oclc.org/ooxml/drawingml",
    "http://schemas.openxmlformats.org/officeDocument/2006": "http://purl.oclc.org/ooxml/officeDocument",
}
# What isn't read, by its place: a part of the sentence that says so.
UNREAD = {
    "embedded object": "the object 'xembeddedobject' (Excel.Sheet.12) is not read",
    "control": "the control 'xcontrol' is not read",
    "unknown graphic": "graphics of type 'unheardof' are not read",
    "chart without data": "its data are not in the document",
}

_ids = count(2)


def shape(text: str, *, mark: str = "", place: str = "", more: str = "", tag: str = "sp") -> str:
    """A shape with paragraphs; `mark` makes it a placeholder, `more` are attributes of its name."""
    properties = f"<p:spPr>{place}</p:spPr>"
    return (
        f'<p:{tag}><p:nvSpPr><p:cNvPr id="{next(_ids)}" name="Shape" {more}/><p:cNvSpPr/>'
        f"<p:nvPr>{mark}</p:nvPr></p:nvSpPr>{properties}"
        f"<p:txBody><a:bodyPr/><a:lstStyle/>{text}</p:txBody></p:{tag}>"
    )


def paragraph(text: str, properties: str = "") -> str:
    return f'<a:p>{properties}<a:r><a:rPr lang="en-US"/><a:t>{text}</a:t></a:r></a:p>'


def at(left: float, top: float, width: float, height: float, tag: str = "a") -> str:
    """A place on the slide, in inches."""
    x, y, w, h = (round(914_400 * inches) for inches in (left, top, width, height))
    return f'<{tag}:xfrm><a:off x="{x}" y="{y}"/><a:ext cx="{w}" cy="{h}"/></{tag}:xfrm>'


def picture(alt: str, fill: str) -> str:
    return (
        f'<p:pic><p:nvPicPr><p:cNvPr id="{next(_ids)}" name="Picture" descr="{alt}"/><p:cNvPicPr/>'
        f"<p:nvPr/></p:nvPicPr>{fill}<p:spPr>{at(1, 6, 1, 1)}</p:spPr></p:pic>"
    )


def graphic(kind: str, content: str, *, alt: str = "", name: str = "Graphic") -> str:
    return (
        f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="{next(_ids)}" name="{name}" '
        f'descr="{alt}"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>'
        f'{at(2, 5, 3, 1, "p")}<a:graphic><a:graphicData uri="{A.rpartition("/")[0]}/{kind}">'
        f"{content}</a:graphicData></a:graphic></p:graphicFrame>"
    )


def alternatives(choice: str, fallback: str) -> str:
    return (
        f'<mc:AlternateContent><mc:Choice Requires="a14">{choice}</mc:Choice>'
        f"<mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>"
    )


def group(*shapes: str, alt: str = "") -> str:
    return (
        f'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="{next(_ids)}" name="Group" descr="{alt}"/>'
        f"<p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{''.join(shapes)}</p:grpSp>"
    )


def slide(*shapes: str, root: str = "sld", more: str = "", after: str = "") -> str:
    return (
        f'<?xml version="1.0"?><p:{root} {NAMES} {more}><p:cSld><p:spTree><p:nvGrpSpPr>'
        '<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
        f"{''.join(shapes)}</p:spTree>{after}</p:cSld></p:{root}>"
    )


def relations(*targets: tuple[str, str, str]) -> str:
    """The list of relations: id, type and target of each."""
    listed = "".join(
        f'<Relationship Id="{id_}" Type="{type_ if "://" in type_ else f"{R}/{type_}"}" '
        f'Target="{target}"{external(target)}/>'
        for id_, type_, target in targets
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'


def external(target: str) -> str:
    return ' TargetMode="External"' if "://" in target else ""


def mark(type_: str = "", index: int = 0) -> str:
    kind = f' type="{type_}"' if type_ else ""
    return f'<p:ph{kind} idx="{index}"/>'


def cell(text: str = "", more: str = "") -> str:
    return f"<a:tc {more}><a:txBody><a:bodyPr/>{paragraph(text)}</a:txBody><a:tcPr/></a:tc>"


def reference(tag: str, kind: str, *values: str, code: str = "") -> str:
    points = "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate(values))
    form = f"<c:formatCode>{code}</c:formatCode>" if code else ""
    return (
        f"<c:{tag}><c:{kind}Ref><c:f>Sheet1!$A$1</c:f><c:{kind}Cache>{form}"
        f'<c:ptCount val="{len(values)}"/>{points}</c:{kind}Cache></c:{kind}Ref></c:{tag}>'
    )


def rich(text: str) -> str:
    return f"<c:tx><c:rich><a:bodyPr/>{paragraph(text)}</c:rich></c:tx>"


def chart(*series: str, title: str = "", axis: str = "") -> str:
    return (
        f"<c:chartSpace {NAMES}><c:chart><c:title>{title}</c:title><c:plotArea><c:barChart>"
        f"{''.join(series)}</c:barChart><c:valAx><c:title>{axis}</c:title></c:valAx>"
        "</c:plotArea></c:chart></c:chartSpace>"
    )


def zipped(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def strict(parts: dict[str, str]) -> dict[str, str]:
    """The same presentation with the namespaces of Strict Office Open XML."""
    changed = dict(parts)
    for name, content in parts.items():
        for transitional, namespace in STRICT.items():
            content = content.replace(transitional, namespace)
        changed[name] = content
    return changed


def marked() -> tuple[bytes, dict[str, str]]:
    """The presentation, and the marker of each place that is read."""
    parts, places = marked_parts()
    return zipped(parts), places


def marked_parts() -> tuple[dict[str, str], dict[str, str]]:
    """The presentation's parts by name, and the marker of each place that is read."""
    places: dict[str, str] = {}

    def word(place: str) -> str:
        places[place] = f"x{place.replace(' ', '')}"
        return places[place]

    def words(place: str, properties: str = "") -> str:
        return paragraph(word(place), properties)

    equation = (
        "<a:p><a14:m><m:oMathPara><m:oMath><m:f><m:num><m:r><m:t>"
        f"{word('numerator of an equation')}</m:t></m:r></m:num><m:den><m:r><m:t>"
        f"{word('denominator of an equation')}</m:t></m:r></m:den></m:f></m:oMath></m:oMathPara>"
        "</a14:m></a:p>"
    )
    first = slide(
        shape(words("body"), mark=mark(index=1)),
        shape(words("title"), mark=mark("title")),
        shape(words("subtitle"), mark=mark("subTitle", 4)),
        shape(
            words("bullet", '<a:pPr><a:buChar char="-"/></a:pPr>')
            + words("numbered", '<a:pPr lvl="1"><a:buAutoNum type="arabicPeriod"/></a:pPr>'),
            place=at(1, 2, 3, 1),
        ),
        shape(
            f"<a:p><a:r><a:t>{word('before a line break')}</a:t></a:r><a:br/>"
            f'<a:fld type="datetime1" id="1"><a:t>{word("field")}</a:t></a:fld></a:p>',
            place=at(5, 2, 3, 1),
        ),
        shape(words("connector"), place=at(5, 3, 3, 1), tag="cxnSp"),
        group(
            group(group(shape(words("nested group"), place=at(1, 4, 1, 1)))),
            picture(word("picture in a group"), ""),
            alt=word("alternative text of a group"),
        ),
        shape(words("footer"), mark=mark("ftr", 11)),
        shape(words("date"), mark=mark("dt", 10)),
        shape(
            f'<a:p><a:fld type="slidenum" id="2"><a:t>{word("slide number")}</a:t></a:fld></a:p>',
            mark=mark("sldNum", 12),
        ),
        picture(word("linked picture"), '<p:blipFill><a:blip r:link="rId9"/></p:blipFill>'),
        picture(word("picture without a fill"), ""),
        shape("", more=f'descr="{word("alternative text of a shape")}"', place=at(7, 7, 1, 1)),
        alternatives(shape(equation), shape(paragraph("a fallback"))),
        alternatives(
            '<p14:contentPart r:id="rId8"/>', picture(word("picture instead of handwriting"), "")
        ),
    )
    table = (
        "<a:tbl><a:tr>"
        + cell(word("merged cell"), 'gridSpan="2" rowSpan="2"')
        + cell("hidden below", 'hMerge="1"')
        + cell(word("head cell"))
        + "</a:tr><a:tr>"
        + cell("hidden too", 'vMerge="1"')
        + cell("hidden too", 'hMerge="1" vMerge="1"')
        + cell(word("cell"))
        + "</a:tr></a:tbl>"  # and no grid
    )
    ole = (
        f'<p:oleObj name="xembeddedobject" progId="Excel.Sheet.12" r:id="rId8"><p:embed/>'
        f"{picture('', '')}</p:oleObj>"
    )
    second = slide(
        graphic("table", table, alt=word("alternative text of a table")),
        graphic("chart", '<c:chart r:id="rId1"/>'),
        alternatives(
            graphic("chartex", '<cx:chart r:id="rId2"/>'), shape(paragraph("not available"))
        ),
        graphic("diagram", '<dgm:relIds r:dm="rId3"/>'),
        graphic("ole", alternatives(ole, ole), alt=word("alternative text of an object")),
        graphic("unheardof", "<p:x/>", alt=word("alternative text of an unknown graphic")),
        graphic("chart", '<c:chart r:id="rId7"/>', name="lost"),
        shape(words("text after a broken shape")),
        after='<p:controls><p:control name="xcontrol"/></p:controls>',
    )
    series = (
        f"<c:ser>{reference('tx', 'str', word('series'))}"
        f"{reference('cat', 'str', word('category'), 'b')}"
        f"{reference('val', 'num', '4711.25', '2')}"
        f"<c:dLbls><c:dLbl>{rich(word('data label'))}</c:dLbl></c:dLbls></c:ser>"
    )
    places["value"] = "4711.25"
    more_series = (
        f"<c:ser><c:tx><c:v>{word('second series')}</c:v></c:tx>"
        f"{reference('cat', 'str', places['category'], 'b')}"
        f"{reference('val', 'num', '0.155', '.5', code='0.0%')}</c:ser>"
    )
    places["percentage"] = "15.5"
    waterfall = (
        f'<cx:chartSpace {NAMES}><cx:chartData><cx:data id="0"><cx:strDim type="cat"><cx:lvl>'
        f'<cx:pt idx="0">{word("extended category")}</cx:pt></cx:lvl></cx:strDim>'
        '<cx:numDim type="val"><cx:lvl formatCode="General"><cx:pt idx="0">815.5</cx:pt></cx:lvl>'
        f"</cx:numDim></cx:data></cx:chartData><cx:chart><cx:title><cx:tx><cx:txData><cx:v>"
        f"{word('extended title')}</cx:v></cx:txData></cx:tx></cx:title><cx:plotArea>"
        f"<cx:plotAreaRegion><cx:series><cx:tx><cx:txData><cx:v>{word('extended series')}</cx:v>"
        '</cx:txData></cx:tx><cx:dataId val="0"/></cx:series></cx:plotAreaRegion></cx:plotArea>'
        "</cx:chart></cx:chartSpace>"
    )
    places["extended value"] = "815.5"
    points = "".join(
        f'<dgm:pt modelId="{n}"><dgm:t><a:bodyPr/>{paragraph(text)}</dgm:t></dgm:pt>'
        for n, text in enumerate(
            (word("diagram's child"), word("diagram's parent"), word("diagram's loose point"))
        )
    )
    diagram = (
        f'<dgm:dataModel {NAMES}><dgm:ptLst><dgm:pt modelId="9" type="doc"/>{points}</dgm:ptLst>'
        '<dgm:cxnLst><dgm:cxn srcId="1" destId="0" srcOrd="0"/>'
        '<dgm:cxn srcId="9" destId="1" srcOrd="0"/><dgm:cxn srcId="0" destId="1"/></dgm:cxnLst>'
        "</dgm:dataModel>"
    )
    third = slide(shape(words("hidden slide"), mark=mark("title")), more='show="0"')
    layout = slide(
        shape(paragraph("Click to add title"), mark=mark("title"), place=at(1, 0.5, 8, 1)),
        shape(paragraph("Click to add text"), mark=mark(index=1), place=at(1, 2, 4, 1)),
        shape(words("layout"), place=at(0, 0, 2, 0.4)),
        root="sldLayout",
    )
    master = slide(
        shape(paragraph("Master title"), mark=mark("title")),
        shape(words("master"), place=at(0, 7, 2, 0.4)),
        root="sldMaster",
    )
    notes = slide(
        shape("", mark=mark("sldImg")),
        shape(words("notes"), mark=mark("body", 1)),
        shape(words("text box on the page of notes")),
        shape(words("header of notes"), mark=mark("hdr", 2)),
        root="notes",
    )
    old = (
        f'<p:cmLst {NAMES}><p:cm authorId="0" idx="1"><p:pos x="1" y="1"/>'
        f"<p:text>{word('comment')}</p:text></p:cm></p:cmLst>"
    )
    body = "<p188:txBody><a:bodyPr/>{}</p188:txBody>"
    modern = (
        f'<p188:cmLst {NAMES}><p188:cm authorId="{{A}}"><p188:replyLst>'
        '<p188:reply authorId="{A}">'
        f"{body.format(words('answer to a comment'))}</p188:reply></p188:replyLst>"
        f"{body.format(words('modern comment'))}</p188:cm></p188:cmLst>"
    )
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in (1, 2, 3))
    of_layout = ("rId20", "slideLayout", "../slideLayouts/slideLayout1.xml")
    parts = {
        "_rels/.rels": relations(("rId1", "officeDocument", "/ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {NAMES}><p:sldIdLst>{listed}</p:sldIdLst>"
        '<p:sldSz cx="9144000" cy="6858000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            *((f"rId{n}", "slide", f"slides/slide{n}.xml") for n in (1, 2, 3)),
            ("rId4", "commentAuthors", "commentAuthors.xml"),
            ("rId5", f"{MODERN}/authors", "authors.xml"),
        ),
        "ppt/slides/slide1.xml": first,
        "ppt/slides/_rels/slide1.xml.rels": relations(
            of_layout,
            ("rId9", "image", "https://example.org/a.png"),
            ("rId2", "notesSlide", "../notesSlides/notesSlide1.xml"),
            ("rId3", "comments", "../comments/comment1.xml"),
        ),
        "ppt/slides/slide2.xml": second,
        "ppt/slides/_rels/slide2.xml.rels": relations(
            of_layout,
            ("rId1", "chart", "../charts/chart1.xml"),
            ("rId2", "chartEx", "../charts/chartEx1.xml"),
            ("rId3", "diagramData", "../diagrams/data1.xml"),
            ("rId4", f"{MODERN}/comments", "../comments/modernComment1.xml"),
            ("rId7", "chart", "../charts/chart2.xml"),
        ),
        "ppt/slides/slide3.xml": third,
        "ppt/slides/_rels/slide3.xml.rels": relations(of_layout),
        "ppt/charts/chart1.xml": chart(
            series, more_series, title=rich(word("chart title")), axis=rich(word("axis title"))
        ),
        "ppt/charts/_rels/chart1.xml.rels": relations(
            ("rId1", "chartUserShapes", "../drawings/drawing1.xml")
        ),
        "ppt/drawings/drawing1.xml": f"<c:userShapes {NAMES}><cdr:sp><cdr:txBody>"
        f"{words('text drawn on a chart')}</cdr:txBody></cdr:sp></c:userShapes>",
        "ppt/charts/chart2.xml": chart("<c:ser/>"),
        "ppt/charts/chartEx1.xml": waterfall,
        "ppt/diagrams/data1.xml": diagram,
        "ppt/slideLayouts/slideLayout1.xml": layout,
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": relations(
            ("rId1", "slideMaster", "../slideMasters/slideMaster1.xml")
        ),
        "ppt/slideMasters/slideMaster1.xml": master,
        "ppt/notesSlides/notesSlide1.xml": notes,
        "ppt/comments/comment1.xml": old,
        "ppt/comments/modernComment1.xml": modern,
        "ppt/commentAuthors.xml": f'<p:cmAuthorLst {NAMES}><p:cmAuthor id="0" '
        f'name="{word("author of a comment")}"/></p:cmAuthorLst>',
        "ppt/authors.xml": f'<p188:authorLst {NAMES}><p188:author id="{{A}}" name="Ben"/>'
        "</p188:authorLst>",
    }
    return parts, places
