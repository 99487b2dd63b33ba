"""A workbook of LibreOffice with a word in each place where one can be shown."""

from __future__ import annotations

import io
import zipfile
from typing import Final

_WORDS: Final = (
    "sheetname celltext spantext secondline linktext hiddenrow repeated columntext notetext "
    "noteauthor 15.5% 1,234.50 coveredtext pageshape cellshape groupshape titleofchart axisname "
    "picturealt buttonlabel headertext footertext hiddensheet hiddencell grouprow headerrow "
    "barevalue 36:15:00 #DIV/0! inlineshape TRUE"
).split()
UNREAD: Final = ("formulas without a stored value in D1",)

_SPACES: Final = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        ("office", "office"),
        ("table", "table"),
        ("text", "text"),
        ("style", "style"),
        ("draw", "drawing"),
        ("form", "form"),
        ("chart", "chart"),
        ("svg", "svg-compatible"),
    )
)
_OTHERS: Final = (
    'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the workbook's bytes, and the word that stands in each place."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", CONTENT)
        archive.writestr("styles.xml", _STYLES)
        archive.writestr("Object 1/content.xml", _CHART)
    return out.getvalue(), {word: word for word in _WORDS}


def _cell(text: str, more: str = "") -> str:
    return f"<table:table-cell {more}><text:p>{text}</text:p></table:table-cell>"


def _row(cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{cells}</table:table-row>"


_ROWS: Final = "".join(
    [
        "<table:table-header-rows>",
        _row(
            _cell("headerrow")
            + "<table:table-cell/>"
            + _cell("columntext")
            + '<table:table-cell table:formula="of:=[.A2]+1"/>'
        ),
        "</table:table-header-rows>",
        _row(
            "<table:table-cell><office:annotation><dc:creator>noteauthor</dc:creator>"
            "<text:p>notetext</text:p></office:annotation><text:p>celltext<text:span>"
            ' <text:s text:c="2"/>spantext</text:span></text:p><text:p>secondline</text:p>'
            "</table:table-cell>"
            + _cell('<text:a xlink:href="http://example.org">linktext</text:a>')
        ),
        _row(_cell("hiddenrow"), 'table:visibility="filter"'),
        _row("<table:table-cell/>", 'table:number-rows-repeated="3"'),
        "<table:table-row-group>",
        _row(_cell("grouprow") + _cell("repeated")),
        "</table:table-row-group>",
        _row(
            _cell("15.5%", 'office:value-type="percentage" office:value="0.155"')
            + _cell("1,234.50", 'office:value-type="float" office:value="1234.5"')
            + '<table:table-cell office:value-type="string" office:string-value="barevalue"/>'
            + _cell("#DIV/0!")
            + _cell("36:15:00", 'office:value-type="time" office:time-value="PT36H15M00S"')
            + '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'
        ),
        _row(
            "<table:covered-table-cell><text:p>coveredtext</text:p></table:covered-table-cell>"
            '<table:table-cell><draw:frame><draw:text-box><text:p>cellshape</text:p>'
            "</draw:text-box></draw:frame><text:p>x<draw:custom-shape><text:p>inlineshape</text:p>"
            "</draw:custom-shape></text:p></table:table-cell>"
        ),
        _row('<table:table-cell table:number-columns-repeated="16384"/>',
             'table:number-rows-repeated="1048500"'),
    ]
)  # fmt: skip
CONTENT: Final = f"""<office:document-content {_SPACES} {_OTHERS}><office:automatic-styles>
<style:style style:name="ta1" style:family="table" style:master-page-name="Own">
<style:table-properties table:display="true"/></style:style>
<style:style style:name="ta2" style:family="table" style:master-page-name="Other">
<style:table-properties table:display="false"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet><table:tracked-changes><table:cell-content-change>
<table:previous><table:change-track-table-cell><text:p>deletedtext</text:p>
</table:change-track-table-cell></table:previous></table:cell-content-change>
</table:tracked-changes><table:table table:name="sheetname" table:style-name="ta1">
<office:forms><form:form><form:button form:label="buttonlabel"/></form:form></office:forms>
<table:shapes><draw:frame><draw:text-box><text:p>pageshape</text:p></draw:text-box></draw:frame>
<draw:g><draw:custom-shape><text:p>groupshape</text:p></draw:custom-shape></draw:g>
<draw:frame><draw:object xlink:href="./Object 1"/><draw:image xlink:href="./preview"/></draw:frame>
<draw:frame><draw:image xlink:href="Pictures/1.png"/><svg:desc>picturealt</svg:desc></draw:frame>
</table:shapes><table:table-column table:number-columns-repeated="4"/>{_ROWS}</table:table>
<table:table table:name="hiddensheet" table:style-name="ta2">{_row(_cell("hiddencell"))}
</table:table><table:table table:name="'file:///other.ods'#$Sheet1">
<table:table-source xlink:href="other.ods"/>{_row(_cell("externaltext"))}</table:table>
<table:dde-links><table:dde-link><table:table table:name="dde">{_row(_cell("ddetext"))}
</table:table></table:dde-link></table:dde-links></office:spreadsheet></office:body>
</office:document-content>"""
_STYLES: Final = f"""<office:document-styles {_SPACES}><office:master-styles>
<style:master-page style:name="Own"><style:header><text:p>headertext</text:p></style:header>
<style:header-left style:display="false"><text:p>unusedheader</text:p></style:header-left>
<style:footer><text:p>footertext <text:page-number>1</text:page-number></text:p></style:footer>
</style:master-page><style:master-page style:name="Unused"><style:header>
<text:p>unusedpage</text:p></style:header></style:master-page></office:master-styles>
</office:document-styles>"""
_CHART: Final = f"""<office:document-content {_SPACES}><office:body><office:chart><chart:chart>
<chart:title><text:p>titleofchart</text:p></chart:title><chart:plot-area><chart:axis><chart:title>
<text:p>axisname</text:p></chart:title></chart:axis></chart:plot-area>
<table:table table:name="local-table"><table:table-rows>{_row(_cell("celltext"))}
</table:table-rows></table:table></chart:chart></office:chart></office:body>
</office:document-content>"""
