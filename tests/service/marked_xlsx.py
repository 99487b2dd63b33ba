"""A workbook of today's Excel with a word in each place where a workbook can show one."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Final

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_MICROSOFT: Final = "http://schemas.microsoft.com/office"
_DRAWING: Final = (
    'xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    f'xmlns:r="{_LINKS}" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
# what is in the document and can't be read: a part of each note's text
UNREAD: Final = (
    "formulas without a stored value in C9",
    "embedded objects of the sheet 'sheetname' are not opened: Word.Document.12",
)


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the workbook's bytes, and the word that stands in each place."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _parts().items():
            archive.writestr(name, content)
    return out.getvalue(), {word: word for word in _WORDS}


def changed(content: bytes, parts: Mapping[str, bytes | None]) -> bytes:
    """The same archive with other parts; None leaves one out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in [*old.namelist(), *(name for name in parts if name not in old.namelist())]:
            part = parts.get(name, old.read(name) if name in old.namelist() else None)
            if part is not None:
                new.writestr(name, part)
    return out.getvalue()


_WORDS: Final = (
    "sheetname sharedtext richrun1richrun2 inlinetext formulatext mergedtext linktext prefixtext "
    "sectiontext tableheader hiddenrow hiddencolumn note2026 noteauthor threadtext threadreply "
    "threadauthor boxtext groupedbox charttitle axistitle seriesname pointname smarttext "
    "picturealt chartalt headerleft headercenter headerright footertext firstheader evenfooter "
    "prompttitle prompttext buttontext hiddensheet hiddencell chartsheet titlealone "
    "chartbox linebreak1 linebreak2 percent15.5% thousands1,234.50 2026-03-04 36:15:00 TRUE "
    "#DIV/0! escapedtext modernchart legacybox externalseries 98765 87654"
).split()


def _relations(*links: tuple[str, str, str]) -> str:
    told = "".join(f'<Relationship Id="{i}" Type="{t}" Target="{to}"/>' for i, t, to in links)
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{told}</Relationships>'


def _cell(name: str, text: str, more: str = "") -> str:
    return f'<c r="{name}" t="inlineStr"{more}><is><t>{text}</t></is></c>'


def _text(words: str) -> str:
    return f"<a:p><a:r><a:t>{words}</a:t></a:r></a:p>"


def _shape(name: str, body: str, described: str = "") -> str:
    return (
        f'<xdr:sp><xdr:nvSpPr><xdr:cNvPr id="9" name="{name}" descr="{described}"/></xdr:nvSpPr>'
        f"<xdr:txBody>{body}</xdr:txBody></xdr:sp>"
    )


def _parts() -> dict[str, str | bytes]:
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": _relations(("w", f"{_LINKS}/officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": _WORKBOOK,
        "xl/_rels/workbook.xml.rels": _relations(
            ("a", f"{_LINKS}/worksheet", "worksheets/a.xml"),
            ("b", f"{_LINKS}/worksheet", "/xl/worksheets/b.xml"),
            ("c", f"{_LINKS}/chartsheet", "chartsheets/c.xml"),
            ("s", f"{_LINKS}/sharedStrings", "sharedStrings.xml"),
            ("t", f"{_LINKS}/styles", "styles.xml"),
            ("p", f"{_MICROSOFT}/2017/10/relationships/person", "persons/person.xml"),
        ),
        "xl/sharedStrings.xml": _STRINGS,
        "xl/styles.xml": _STYLES,
        "xl/persons/person.xml": '<personList><person id="{1}" displayName="threadauthor"/>'
        '<person id="{2}" displayName=""/></personList>',
        "xl/worksheets/a.xml": _SHEET,
        "xl/worksheets/_rels/a.xml.rels": _relations(
            ("d", f"{_LINKS}/drawing", "../drawings/drawing1.xml"),
            ("v", f"{_LINKS}/vmlDrawing", "../drawings/vmlDrawing1.vml"),
            ("n", f"{_LINKS}/comments", "../comments1.xml"),
            (
                "h",
                f"{_MICROSOFT}/2017/10/relationships/threadedComment",
                "../threadedComments/threadedComment1.xml",
            ),
        ),
        "xl/worksheets/b.xml": f'<worksheet xmlns="{_MAIN}"><sheetData><row r="1">'
        f"{_cell('A1', 'hiddencell')}</row></sheetData></worksheet>",
        "xl/chartsheets/c.xml": f'<chartsheet xmlns="{_MAIN}"/>',
        "xl/chartsheets/_rels/c.xml.rels": _relations(
            ("d", f"{_LINKS}/drawing", "../drawings/drawing2.xml")
        ),
        "xl/comments1.xml": _NOTES,
        "xl/threadedComments/threadedComment1.xml": _THREADS,
        "xl/drawings/drawing1.xml": _SHAPES,
        "xl/drawings/_rels/drawing1.xml.rels": _relations(
            ("c", f"{_LINKS}/chart", "../charts/chart1.xml"),
            ("m", f"{_MICROSOFT}/2014/relationships/chartEx", "../charts/chartEx1.xml"),
            ("g", f"{_LINKS}/diagramData", "../diagrams/data1.xml"),
        ),
        "xl/drawings/drawing2.xml": f"<xdr:wsDr {_DRAWING}>{_chart_frame('c', '')}</xdr:wsDr>",
        "xl/drawings/_rels/drawing2.xml.rels": _relations(
            ("c", f"{_LINKS}/chart", "../charts/chart2.xml")
        ),
        "xl/drawings/drawing3.xml": f"<c:userShapes {_DRAWING}><xdr:sp><xdr:txBody>"
        f"{_text('chartbox')}</xdr:txBody></xdr:sp></c:userShapes>",
        "xl/drawings/vmlDrawing1.vml": _LEGACY,
        "xl/charts/chart1.xml": _CHART,
        "xl/charts/_rels/chart1.xml.rels": _relations(
            ("u", f"{_LINKS}/chartUserShapes", "../drawings/drawing3.xml")
        ),
        "xl/charts/chart2.xml": f"<c:chartSpace {_DRAWING}><c:title><c:tx><c:rich>"
        f"{_text('titlealone')}</c:rich></c:tx></c:title><c:ser><c:tx><c:v>externalseries</c:v>"
        "</c:tx><c:val><c:numRef><c:f>[1]other!$A$1</c:f><c:numCache><c:pt idx='0'>"
        "<c:v>98765</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:chartSpace>",
        "xl/charts/chartEx1.xml": f'<cx:chartSpace xmlns:cx="urn:cx" {_DRAWING}>'
        "<cx:chartData><cx:data id='0'><cx:numDim type='val'><cx:lvl><cx:pt idx='0'>87654</cx:pt>"
        "</cx:lvl></cx:numDim></cx:data></cx:chartData><cx:title><cx:tx>"
        f"<cx:rich>{_text('modernchart')}</cx:rich></cx:tx></cx:title></cx:chartSpace>",
        "xl/diagrams/data1.xml": f"<dgm:dataModel {_DRAWING}><dgm:ptLst><dgm:pt><dgm:t>"
        f"{_text('smarttext')}</dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>",
    }


def _chart_frame(link: str, described: str) -> str:
    return (
        f'<xdr:graphicFrame><xdr:nvGraphicFramePr><xdr:cNvPr id="4" name="x" descr="{described}"/>'
        f'</xdr:nvGraphicFramePr><a:graphic><a:graphicData><c:chart r:id="{link}"/>'
        "</a:graphicData></a:graphic></xdr:graphicFrame>"
    )


_WORKBOOK: Final = f"""<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>
<sheet name="sheetname" sheetId="1" r:id="a"/>
<sheet name="hiddensheet" sheetId="2" state="veryHidden" r:id="b"/>
<sheet name="chartsheet" sheetId="3" r:id="c"/></sheets></workbook>"""
_STRINGS: Final = f"""<sst xmlns="{_MAIN}"><si><t>sharedtext</t></si>
<si><r><rPr><b/></rPr><t>richrun1</t></r><r><t>richrun2</t></r><rPh sb="0" eb="1"><t>reading</t>
</rPh></si><si><t xml:space="preserve">linebreak1
linebreak2</t></si><si><t>tableheader</t></si><si><t>mergedtext</t></si></sst>"""
_STYLES: Final = f"""<styleSheet xmlns="{_MAIN}"><numFmts>
<numFmt numFmtId="164" formatCode="&quot;prefixtext &quot;0"/>
<numFmt numFmtId="165" formatCode="0;0;0;&quot;sectiontext&quot;"/>
<numFmt numFmtId="166" formatCode="&quot;percent&quot;0.0%"/>
<numFmt numFmtId="167" formatCode="&quot;thousands&quot;#,##0.00"/>
<numFmt numFmtId="168" formatCode="[$-409]yyyy\\-mm\\-dd;@"/></numFmts>
<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/>
<xf numFmtId="167"/><xf numFmtId="168"/><xf numFmtId="46"/></cellXfs></styleSheet>"""
_SHEET: Final = f"""<worksheet xmlns="{_MAIN}" xmlns:r="{_LINKS}">
<cols><col min="6" max="6" hidden="1"/></cols><sheetData>
<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>
<c r="C1" t="s"><v>2</v></c></row>
<row r="2">{_cell("A2", "inlinetext")}<c r="B2" t="str"><f>A1</f><v>formulatext</v></c></row>
<row r="3"><c r="A3" t="s"><v>4</v></c><c r="B3"/>{_cell("C3", "linktext")}</row>
<row r="4"><c r="A4" s="1"><v>7</v></c>{_cell("B4", "other", ' s="2"')}</row>
<row r="5" hidden="1">{_cell("A5", "hiddenrow")}</row>
<row r="6">{_cell("F6", "hiddencolumn")}</row>
<row r="7"><c r="A7" s="3"><v>0.155</v></c><c r="B7" s="4"><v>1234.5</v></c></row>
<row r="8"><c r="A8" s="5"><v>46085</v></c><c r="B8" s="6"><v>1.5104166666666667</v></c></row>
<row r="9"><c r="A9" t="b"><v>1</v></c><c r="B9" t="e"><v>#DIV/0!</v></c><c r="C9"><f>A4+1</f></c>
</row><row r="10"><c r="A10" t="s"><v>3</v></c>{_cell("B10", "escaped_x0074_ext")}</row>
</sheetData><mergeCells><mergeCell ref="A3:B3"/></mergeCells>
<dataValidations><dataValidation sqref="D4" promptTitle="prompttitle" prompt="prompttext"/>
</dataValidations><hyperlinks><hyperlink ref="C3" display="linktext"/></hyperlinks>
<headerFooter differentFirst="1" differentOddEven="1">
<oddHeader>&amp;L&amp;"Arial,Bold"&amp;14headerleft&amp;Cheadercenter&amp;R&amp;K0070C0headerright
</oddHeader><oddFooter>&amp;Cfootertext &amp;P / &amp;N</oddFooter>
<evenFooter>evenfooter</evenFooter><firstHeader>firstheader</firstHeader></headerFooter>
<drawing r:id="d"/><legacyDrawing r:id="v"/>
<oleObjects><oleObject progId="Word.Document.12" shapeId="1"/></oleObjects></worksheet>"""
_NOTES: Final = f"""<comments xmlns="{_MAIN}"><authors><author>noteauthor</author>
<author>tc={{1}}</author></authors><commentList>
<comment ref="B2" authorId="0"><text><r><t>noteauthor:</t></r><r><t xml:space="preserve">
note2026</t></r></text></comment>
<comment ref="C2" authorId="1"><text><t>[Threaded comment] Comment: threadtext</t></text></comment>
</commentList></comments>"""
_THREADS: Final = """<ThreadedComments
xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">
<threadedComment ref="C2" personId="{1}" id="{3}"><text>threadtext</text></threadedComment>
<threadedComment ref="C2" personId="{2}" id="{4}" parentId="{3}"><text>threadreply</text>
</threadedComment></ThreadedComments>"""
_SHAPES: Final = f"""<xdr:wsDr {_DRAWING}><xdr:twoCellAnchor>{_shape("box", _text("boxtext"))}
</xdr:twoCellAnchor><xdr:twoCellAnchor><xdr:grpSp>{_shape("inner", _text("groupedbox"))}
</xdr:grpSp></xdr:twoCellAnchor><xdr:twoCellAnchor>{_chart_frame("c", "chartalt")}
</xdr:twoCellAnchor><mc:AlternateContent><mc:Choice Requires="cx1"><xdr:twoCellAnchor>
<xdr:graphicFrame><a:graphicData><cx:chart xmlns:cx="urn:cx" r:id="m"/></a:graphicData>
</xdr:graphicFrame></xdr:twoCellAnchor></mc:Choice><mc:Fallback>
{_shape("older", _text("This chart is not available"))}</mc:Fallback></mc:AlternateContent>
<xdr:twoCellAnchor><xdr:graphicFrame><a:graphicData><dgm:relIds r:dm="g"/></a:graphicData>
</xdr:graphicFrame></xdr:twoCellAnchor><xdr:twoCellAnchor><xdr:pic><xdr:nvPicPr>
<xdr:cNvPr id="3" name="Picture 1" descr="picturealt"/></xdr:nvPicPr></xdr:pic>
</xdr:twoCellAnchor>{_shape("button", _text("buttontext"))}</xdr:wsDr>"""
_LEGACY: Final = """<xml xmlns:v="urn:schemas-microsoft-com:vml"
xmlns:x="urn:schemas-microsoft-com:office:excel"><v:shape><v:textbox><div>note2026</div>
</v:textbox><x:ClientData ObjectType="Note"/></v:shape><v:shape><v:textbox><div><font>buttontext
</font><br></div></v:textbox><x:ClientData ObjectType="Button"/></v:shape><v:rect><v:textbox>
<div>legacybox</div></v:textbox></v:rect></xml>"""
_CHART: Final = f"""<c:chartSpace {_DRAWING}><c:chart><c:title><c:tx><c:rich>
{_text("charttitle")}</c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser>
<c:tx><c:v>seriesname</c:v></c:tx><c:dLbls><c:dLbl><c:tx><c:rich>{_text("pointname")}</c:rich>
</c:tx></c:dLbl></c:dLbls><c:cat><c:strRef><c:f>sheetname!$A$1</c:f><c:strCache><c:pt idx="0">
<c:v>sharedtext</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:f>sheetname!$A$4
</c:f><c:numCache><c:pt idx="0"><c:v>7</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser><c:ser>
<c:tx><c:strRef><c:f>sheetname!$A$10</c:f><c:strCache><c:pt idx="0"><c:v>tableheader</c:v></c:pt>
</c:strCache></c:strRef></c:tx></c:ser></c:barChart><c:valAx><c:title><c:tx><c:rich>
{_text("axistitle")}</c:rich></c:tx></c:title></c:valAx></c:plotArea></c:chart></c:chartSpace>"""
