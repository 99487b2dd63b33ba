"""A Word document with a marker word in each place where Word shows text, made without a library.

The markers are words that stand nowhere else; `HIDDEN` are those that Word doesn't show.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Final

OPEN = "http://schemas.openxmlformats.org"
LINKS = f"{OPEN}/officeDocument/2006/relationships"
PACKAGE = f"{OPEN}/package/2006"
NAMESPACES: Final = {
    "w": f"{OPEN}/wordprocessingml/2006/main",
    "r": LINKS,
    "m": f"{OPEN}/officeDocument/2006/math",
    "mc": f"{OPEN}/markup-compatibility/2006",
    "wp": f"{OPEN}/drawingml/2006/wordprocessingDrawing",
    "a": f"{OPEN}/drawingml/2006/main",
    "pic": f"{OPEN}/drawingml/2006/picture",
    "c": f"{OPEN}/drawingml/2006/chart",
    "dgm": f"{OPEN}/drawingml/2006/diagram",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    "wpg": "http://schemas.microsoft.com/office/word/2010/wordprocessingGroup",
    "wpc": "http://schemas.microsoft.com/office/word/2010/wordprocessingCanvas",
    "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
    "foreign": "urn:example:foreign",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
}
XMLNS: Final = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
STRICT: Final = {
    f"{OPEN}/wordprocessingml/2006/main": "http://purl.oclc.org/ooxml/wordprocessingml/main",
    LINKS: "http://purl.oclc.org/ooxml/officeDocument/relationships",
    f"{OPEN}/officeDocument/2006/math": "http://purl.oclc.org/ooxml/officeDocument/math",
    f"{OPEN}/drawingml/2006/": "http://purl.oclc.org/ooxml/drawingml/",
}
CHANGE: Final = 'w:id="9" w:author="Ada" w:date="2026-01-01T00:00:00Z"'
CHART: Final = '<c:chart r:id="{}"/>'
DIAGRAM: Final = '<dgm:relIds r:dm="diagram"/>'
HIDES: Final = 'hidden="1"'
FIELD: Final = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'


def run(text: str, properties: str = "") -> str:
    """A run of text."""
    return (
        f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'
        if properties
        else f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
    )


def para(inner: str, properties: str = "") -> str:
    """A paragraph."""
    return f"<w:p><w:pPr>{properties}</w:pPr>{inner}</w:p>" if properties else f"<w:p>{inner}</w:p>"


def table(*rows: list[str]) -> str:
    """A table of cells."""
    return "<w:tbl>" + "".join(f"<w:tr>{''.join(row)}</w:tr>" for row in rows) + "</w:tbl>"


def cell(inner: str, properties: str = "") -> str:
    """A cell of a table."""
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def field(instruction: str, result: str | None) -> str:
    """A complex field, with or without a result."""
    shown = "" if result is None else FIELD.format("separate") + result
    begin = FIELD.format("begin") + f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
    return begin + shown + FIELD.format("end")


def control(inner: str, properties: str = "") -> str:
    """A content control."""
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{inner}</w:sdtContent></w:sdt>"


def drawing(inner: str, properties: str = 'name="Drawing 1"') -> str:
    """An inline drawing."""
    return (
        f'<w:drawing><wp:inline><wp:docPr id="1" {properties}/><a:graphic><a:graphicData uri="x">'
        f"{inner}</a:graphicData></a:graphic></wp:inline></w:drawing>"
    )


def shape(text: str) -> str:
    """A shape with a text box."""
    return box(para(run(text)))


def box(inner: str) -> str:
    """A shape with whatever stands in its text box."""
    content = f"<w:txbxContent>{inner}</w:txbxContent>"
    return f"<wps:wsp><wps:txbx>{content}</wps:txbx></wps:wsp>"


def vml(text: str) -> str:
    """The same as VML."""
    box = f"<v:textbox><w:txbxContent>{para(run(text))}</w:txbxContent></v:textbox>"
    return f'<w:pict><v:shape id="s">{box}</v:shape></w:pict>'


def either(choice: str, fallback: str, requires: str = "wps") -> str:
    """Two forms of the same thing, of which one is shown."""
    return (
        f'<mc:AlternateContent><mc:Choice Requires="{requires}">{choice}</mc:Choice>'
        f"<mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>"
    )


def maths(inner: str) -> str:
    """An equation."""
    return f"<m:oMath>{inner}</m:oMath>"


def letters(text: str) -> str:
    """A run of an equation."""
    return f"<m:r><m:t>{text}</m:t></m:r>"


def listed(list_: int, level: int = 0) -> str:
    """The properties of a numbered paragraph."""
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_}"/></w:numPr>'


def reference(kind: str, id_: int) -> str:
    """A run that refers to a note or a comment."""
    return f'<w:r><w:{kind}Reference w:id="{id_}"/></w:r>'


BODY: Final[dict[str, Callable[[str], str]]] = {
    "paragraph": lambda m: para(run(m)),
    "heading": lambda m: para(run(m), '<w:pStyle w:val="berschrift1"/>'),
    "insertion": lambda m: para(run("price ") + f"<w:ins {CHANGE}>{run(m)}</w:ins>"),
    "moved to": lambda m: para(f"<w:moveTo {CHANGE}>{run(m)}</w:moveTo>"),
    "inserted row": lambda m: (
        f"<w:tbl><w:tr><w:trPr><w:ins {CHANGE}/></w:trPr>{cell(para(run(m)))}</w:tr></w:tbl>"
    ),
    "simple field": lambda m: para(f'<w:fldSimple w:instr="AUTHOR">{run(m)}</w:fldSimple>'),
    "complex field": lambda m: para(field("AUTHOR", run(m))),
    "nested field": lambda m: para(
        FIELD.format("begin")
        + field("PAGE", run("17"))
        + FIELD.format("separate")
        + run(m)
        + FIELD.format("end")
    ),
    "button": lambda m: para(field(f"MACROBUTTON NoMacro {m}", None)),
    "choice of a form": lambda m: para(
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/>'
        f'<w:listEntry w:val="no"/><w:listEntry w:val="{m}"/></w:ddList></w:ffData></w:fldChar>'
        "</w:r><w:r><w:instrText>FORMDROPDOWN</w:instrText></w:r>" + FIELD.format("end")
    ),
    "link": lambda m: para(f'<w:hyperlink r:id="nowhere">{run(m)}</w:hyperlink>'),
    "smart tag": lambda m: para(f'<w:smartTag w:element="x">{run(m)}</w:smartTag>'),
    "custom XML": lambda m: f'<w:customXml w:element="x">{para(run(m))}</w:customXml>',
    "custom XML in a line": lambda m: para(f'<w:customXml w:element="x">{run(m)}</w:customXml>'),
    "direction": lambda m: para(f'<w:bdo w:val="rtl"><w:dir>{run(m)}</w:dir></w:bdo>'),
    "control in a line": lambda m: para(control(run(m))),
    "control of paragraphs": lambda m: control(para(run(m))),
    "control with a table": lambda m: control(table([cell(para(run(m)))])),
    "control of a row": lambda m: f"<w:tbl>{control(f'<w:tr>{cell(para(run(m)))}</w:tr>')}</w:tbl>",
    "control of a cell": lambda m: f"<w:tbl><w:tr>{control(cell(para(run(m))))}</w:tr></w:tbl>",
    "drop-down": lambda m: para(
        control(run(m), '<w:dropDownList><w:listItem w:displayText="other"/></w:dropDownList>')
    ),
    "placeholder": lambda m: para(control(run(m), "<w:showingPlcHdr/>")),
    "text box": lambda m: para(f"<w:r>{drawing(shape(m))}</w:r>"),
    "VML text box": lambda m: para(f"<w:r>{vml(m)}</w:r>"),
    "text box in both forms": lambda m: para(f"<w:r>{either(drawing(shape(m)), vml(m))}</w:r>"),
    "text box in a group": lambda m: para(
        f"<w:r>{drawing(f'<wpg:wgp><wpg:grpSp>{shape(m)}</wpg:grpSp></wpg:wgp>')}</w:r>"
    ),
    "table in a text box": lambda m: para(
        f"<w:r>{drawing(box(table([cell(para(run(m)))])))}</w:r>"
    ),
    "a form that isn't understood": lambda m: para(
        f"<w:r>{either(drawing(shape('gibberish')), vml(m), requires='foreign')}</w:r>"
    ),
    "word art": lambda m: para(
        f'<w:r><w:pict><v:shape><v:textpath string="{m}"/></v:shape></w:pict></w:r>'
    ),
    "drawn text": lambda m: para(
        "<w:r>"
        + drawing(f"<a:sp><a:txBody><a:p><a:r><a:t>{m}</a:t></a:r></a:p></a:txBody></a:sp>")
        + "</w:r>"
    ),
    "alternative text": lambda m: para(
        "<w:r>"
        + drawing(
            f'<pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="p" descr="{m}"/></pic:nvPicPr>'
            '<pic:blipFill><a:blip r:embed="none"/></pic:blipFill></pic:pic>',
            f'descr="{m}"',
        )
        + "</w:r>"
    ),
    "VML alternative text": lambda m: para(
        f'<w:r><w:pict><v:shape alt="{m}"><v:imagedata r:id="none"/></v:shape></w:pict></w:r>'
    ),
    "cell": lambda m: table([cell(para(run(m)))]),
    "second paragraph of a cell": lambda m: table([cell(para(run("a")) + para(run(m)))]),
    "wide cell": lambda m: table(
        [cell(para(run(m)), '<w:gridSpan w:val="2"/>')],
        [cell(para(run("a"))), cell(para(run("b")))],
    ),
    "tall cell": lambda m: table(
        [cell(para(run(m)), '<w:vMerge w:val="restart"/>'), cell(para(run("a")))],
        [cell(para(""), "<w:vMerge/>"), cell(para(run("b")))],
    ),
    "nested table": lambda m: table([cell(table([cell(para(run(m)))]) + para(""))]),
    "row without its first cells": lambda m: (
        '<w:tbl><w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr>'
        + cell(para(run(m)))
        + "</w:tr></w:tbl>"
    ),
    "equation": lambda m: para(maths(letters(m))),
    "equation of its own": lambda m: para(f"<m:oMathPara>{maths(letters(m))}</m:oMathPara>"),
    "fraction": lambda m: para(
        maths(f"<m:f><m:num>{letters(m)}</m:num><m:den>{letters('2')}</m:den></m:f>")
    ),
    "matrix": lambda m: para(
        maths(f"<m:m><m:mr><m:e>{letters(m)}</m:e><m:e>{letters('1')}</m:e></m:mr></m:m>")
    ),
    "list": lambda m: para(run(m), listed(1)),
    "bullet": lambda m: para(run(m), listed(2)),
    "ruby": lambda m: para(
        f"<w:r><w:ruby><w:rt>{run('kana')}</w:rt><w:rubyBase>{run(m)}</w:rubyBase></w:ruby></w:r>"
    ),
    "above ruby": lambda m: para(
        f"<w:r><w:ruby><w:rt>{run(m)}</w:rt><w:rubyBase>{run('kanji')}</w:rubyBase></w:ruby></w:r>"
    ),
    "after a tab": lambda m: para(f"<w:r><w:t>a</w:t><w:tab/><w:t>{m}</w:t></w:r>"),
    "after a line break": lambda m: para(f"<w:r><w:t>a</w:t><w:br/><w:t>{m}</w:t></w:r>"),
    "with a soft hyphen": lambda m: para(
        f"<w:r><w:t>{m[:3]}</w:t><w:softHyphen/><w:t>{m[3:5]}\u00ad{m[5:]}</w:t></w:r>"
    ),
    "in two runs": lambda m: para(run(m[:4]) + run(m[4:])),
    "not hidden after all": lambda m: para(run(m, '<w:vanish w:val="0"/>')),
    "hidden on the web only": lambda m: para(run(m, "<w:webHidden/>")),
    "caption": lambda m: para(run(m), '<w:pStyle w:val="Caption"/>'),
    "before a page break": lambda m: para(f'<w:r><w:t>{m}</w:t><w:br w:type="page"/></w:r>'),
    "after a page break": lambda m: para(f"<w:r><w:lastRenderedPageBreak/><w:t>{m}</w:t></w:r>"),
    "deleted mark": lambda m: (
        para(run(m[:4]), f"<w:rPr><w:del {CHANGE}/></w:rPr>") + para(run(m[4:]))
    ),
    "drop cap": lambda m: para(run(m[:1]), '<w:framePr w:dropCap="drop"/>') + para(run(m[1:])),
    "paragraph in a frame": lambda m: para(run(m), '<w:framePr w:w="100"/>'),
    "form field": lambda m: para(field("FORMTEXT", run(m))),
    "field over paragraphs": lambda m: (
        para(FIELD.format("begin") + FIELD.format("separate") + run("a"))
        + para(run(m) + FIELD.format("end"))
    ),
    "inserted paragraph": lambda m: para(
        f"<w:ins {CHANGE}>{run(m)}</w:ins>", f"<w:rPr><w:ins {CHANGE}/></w:rPr>"
    ),
    "canvas": lambda m: para(
        f"<w:r>{either(drawing(f'<wpc:wpc>{shape(m)}</wpc:wpc>'), vml(m), 'wpc')}</w:r>"
    ),
    "text box in a cell": lambda m: table([cell(para(f"<w:r>{vml(m)}</w:r>"))]),
    "text box in a text box": lambda m: para(
        f"<w:r>{drawing(box(para(f'<w:r>{vml(m)}</w:r>')))}</w:r>"
    ),
    "equation in a cell": lambda m: table([cell(para(maths(letters(m))))]),
    "root": lambda m: para(maths(f"<m:rad><m:deg/><m:e>{letters(m)}</m:e></m:rad>")),
    "inserted equation": lambda m: para(maths(f"<w:ins {CHANGE}>{letters(m)}</w:ins>")),
    "cell merged across": lambda m: table(
        [cell(para(run(m)), '<w:hMerge w:val="restart"/>'), cell(para(""), "<w:hMerge/>")]
    ),
    "inserted cell": lambda m: table([cell(para(run(m)), f"<w:cellIns {CHANGE}/>")]),
    "subtitle": lambda m: para(run(m), '<w:pStyle w:val="Subtitle"/>'),
    "table of contents": lambda m: control(
        para(field('TOC \\o "1-3"', run(m) + "<w:r><w:tab/><w:t>3</w:t></w:r>"))
    ),
    "in capitals": lambda m: para(run(m, "<w:caps/>")),
    "field that never ends": lambda m: para(FIELD.format("begin")) + para(run(m)),
}

# What the body says where the text itself stands in another part, or is made by Word.
ELSEWHERE: Final = (
    para(run("numbered"), listed(3))
    + para(run("see") + reference("footnote", 2))
    + table([cell(para(run("see") + reference("endnote", 2)))])
    + para(run("said") + reference("comment", 0) + reference("comment", 0))
    + table([cell(para(run("said") + reference("comment", 1)))])
    + para(f"<w:r>{drawing(CHART.format('chart'))}</w:r>")
    + para(f"<w:r>{drawing(DIAGRAM)}</w:r>")
    + '<w:altChunk r:id="html"/><w:altChunk r:id="archive"/><w:altChunk r:id="inserted"/>'
)
# Not shown by Word, and so not read.
HIDDEN: Final[dict[str, Callable[[str], str]]] = {
    "deletion": lambda m: para(
        f"<w:del {CHANGE}><w:r><w:delText>{m}</w:delText></w:r></w:del>" + run("left")
    ),
    "moved from": lambda m: para(f"<w:moveFrom {CHANGE}>{run(m)}</w:moveFrom>"),
    "inserted and deleted": lambda m: para(
        f"<w:ins {CHANGE}><w:del {CHANGE}><w:r><w:delText>{m}</w:delText></w:r></w:del></w:ins>"
    ),
    "deleted row": lambda m: (
        f"<w:tbl><w:tr><w:trPr><w:del {CHANGE}/></w:trPr>{cell(para(run(m)))}</w:tr></w:tbl>"
    ),
    "hidden": lambda m: para(run(m, "<w:vanish/>")),
    "hidden by a style": lambda m: para(run(m, '<w:rStyle w:val="Secret"/>')),
    "instruction": lambda m: para(field(f"XE {m}", None)),
    "field in an instruction": lambda m: para(
        FIELD.format("begin")
        + field("PAGE", run(m))
        + FIELD.format("separate")
        + run("left")
        + FIELD.format("end")
    ),
    "the other form": lambda m: para(f"<w:r>{either(drawing(shape('left')), vml(m))}</w:r>"),
    "hidden drawing": lambda m: para(f"<w:r>{drawing(shape(m), HIDES)}</w:r>"),
    "hidden by its paragraph's style": lambda m: para(run(m), '<w:pStyle w:val="SecretToo"/>'),
    "deleted cell": lambda m: table(
        [cell(para(run(m)), f"<w:cellDel {CHANGE}/>"), cell(para(run("left")))]
    ),
    "hidden row": lambda m: (
        f"<w:tbl><w:tr><w:trPr><w:hidden/></w:trPr>{cell(para(run(m)))}</w:tr></w:tbl>"
    ),
    "value of a control": lambda m: para(
        control(run("left"), f'<w:dropDownList><w:listItem w:displayText="{m}"/></w:dropDownList>')
    ),
}
# Not read, and what the answer says of each.
UNREAD: Final[dict[str, str]] = {
    '<w:p><w:r><w:object><o:OLEObject ProgID="Excel.Sheet.12"/></w:object></w:r></w:p>': (
        "an embedded object (Excel.Sheet.12) is not read, only its picture is shown"
    ),
    '<w:p><w:r><w:control r:id="x"/></w:r></w:p>': "an ActiveX control is not read",
    '<w:p><w:subDoc r:id="x"/></w:p>': "a subdocument, which is another file, is not read",
    '<w:p><w:r><w:sym w:font="Webdings" w:char="F0FF"/></w:r></w:p>': (
        "a character of the font Webdings is not read"
    ),
    para(field("EQ x", None)): "the field EQ has no stored result and is not read",
    para(reference("footnote", 77)): "a note of the footnotes is not read: it isn't in the file",
    para(f"<w:r>{drawing(CHART.format('x'))}</w:r>"): ("a chart is not read: it isn't in the file"),
    '<w:altChunk r:id="rich"/>': (
        "an inserted file is not read: word/rich.rtf is of a type that isn't read within a document"
    ),
}


def parts(m: dict[str, str]) -> dict[str, str]:
    """The parts of the document beside its body, with their markers."""
    points = [("1", "node", m["diagram"]), ("2", "node", m["below in a diagram"]), ("0", "doc", "")]
    diagram = "".join(
        f'<dgm:pt modelId="{id_}" type="{kind}"><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p>'
        "</dgm:t></dgm:pt>"
        for id_, kind, text in points
    )
    return {
        "numbering": (
            "<w:numbering>"
            + "".join(
                f'<w:abstractNum w:abstractNumId="{n}"><w:lvl w:ilvl="0"><w:numFmt w:val="{f}"/>'
                f'<w:lvlText w:val="{text}"/></w:lvl></w:abstractNum>'
                for n, f, text in (
                    (1, "decimal", "%1."),
                    (2, "bullet", "x"),
                    (3, "upperRoman", m["list number"]),
                )
            )
            + "".join(
                f'<w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>' for n in (1, 2, 3)
            )
            + "</w:numbering>"
        ),
        "styles": (
            '<w:styles><w:style w:type="paragraph" w:styleId="berschrift1">'
            '<w:name w:val="heading 1"/></w:style><w:style w:type="character" w:styleId="Secret">'
            "<w:rPr><w:vanish/></w:rPr></w:style>"
            '<w:style w:type="paragraph" w:styleId="Base"><w:rPr><w:vanish/></w:rPr></w:style>'
            '<w:style w:type="paragraph" w:styleId="SecretToo"><w:basedOn w:val="Base"/></w:style>'
            "</w:styles>"
        ),
        "settings": "<w:settings><w:evenAndOddHeaders/></w:settings>",
        "footnotes": (
            '<w:footnotes><w:footnote w:id="0" w:type="separator"><w:p/></w:footnote>'
            f'<w:footnote w:id="2">{para(run(m["footnote"]))}</w:footnote></w:footnotes>'
        ),
        "endnotes": (
            f'<w:endnotes><w:endnote w:id="2">{para(run(m["endnote"]))}</w:endnote></w:endnotes>'
        ),
        "comments": (
            f'<w:comments><w:comment w:id="0" w:author="Ada">{para(run(m["comment"]))}</w:comment>'
            f'<w:comment w:id="1">{para(run(m["comment in a table"]))}</w:comment>'
            f'<w:comment w:id="2">{para(run(m["comment on nothing"]))}</w:comment></w:comments>'
        ),
        "header": f"<w:hdr>{para(run(m['header']))}</w:hdr>",
        "header2": f"<w:hdr>{table([cell(para(run(m['first header'])))])}</w:hdr>",
        "header3": f"<w:hdr>{para(run(m['even header']))}</w:hdr>",
        "header4": f"<w:hdr>{para(run(m['header']))}</w:hdr>",
        "footer": f"<w:ftr>{para(run(m['footer']))}</w:ftr>",
        "chart": (
            "<c:chartSpace><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>"
            f"{m['title of a chart']}</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea>"
            "<c:barChart><c:dLbls><c:dLbl><c:tx><c:rich><a:p><a:r>"
            f"<a:t>{m['label in a chart']}</a:t></a:r></a:p></c:rich></c:tx></c:dLbl></c:dLbls>"
            "<c:ser><c:tx><c:strRef><c:strCache>"
            f'<c:pt idx="0"><c:v>{m["series"]}</c:v></c:pt></c:strCache></c:strRef></c:tx>'
            f'<c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>{m["category"]}</c:v></c:pt>'
            "</c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache>"
            "<c:formatCode>General</c:formatCode>"
            '<c:pt idx="0"><c:v>4.2999999999999998</c:v></c:pt></c:numCache></c:numRef></c:val>'
            "</c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"
        ),
        "diagram": (
            f"<dgm:dataModel><dgm:ptLst>{diagram}</dgm:ptLst><dgm:cxnLst>"
            '<dgm:cxn srcId="0" destId="1" srcOrd="0"/><dgm:cxn srcId="1" destId="2" srcOrd="0"/>'
            "</dgm:cxnLst></dgm:dataModel>"
        ),
    }


# What the main part refers to: id, type, target.
REFERENCES: Final = (
    *(
        (name, name, f"{name}.xml")
        for name in (
            "numbering styles settings footnotes endnotes comments chart diagram footer header"
        ).split()
    ),
    *((f"header{n}", "header", f"/word/header{n}.xml") for n in (2, 3, 4)),
    ("html", "aFChunk", "inserted.html"),
    ("archive", "aFChunk", "archive.mht"),
    ("rich", "aFChunk", "rich.rtf"),
    ("inserted", "aFChunk", "inserted.docx"),
)
IN_PARTS: Final = (
    "list number", "footnote", "endnote", "comment", "comment in a table", "comment on nothing",
    "header", "first header", "even header", "footer", "title of a chart", "series", "category",
    "diagram", "below in a diagram", "inserted HTML", "inserted web archive", "inserted document",
    "label in a chart",
)  # fmt: skip


def package(body: str, members: dict[str, str | bytes], *, strict: bool = False) -> bytes:
    """A document of this body and these members of its folder `word`."""
    references = "".join(
        f'<Relationship Id="{id_}" Type="{LINKS}/{kind}" Target="{target}"/>'
        for id_, kind, target in REFERENCES
        if target.rpartition("/")[2] in members
    )
    relations = f'<Relationships xmlns="{PACKAGE}/relationships">{{}}</Relationships>'
    main = f'<Relationship Id="m" Type="{LINKS}/officeDocument" Target="word/document.xml"/>'
    document = f"<w:document><w:body>{body}</w:body></w:document>"
    texts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": relations.format(main),
        "word/_rels/document.xml.rels": relations.format(references),
        "word/document.xml": document,
        **{f"word/{name}": text for name, text in members.items()},
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, _spelled(text, strict) if isinstance(text, str) else text)
    return out.getvalue()


def marked(*, strict: bool = False) -> tuple[bytes, dict[str, str]]:
    """The document's bytes, and for each place the word that stands there and nowhere else."""
    markers = {place: f"Mk{n:03}q" for n, place in enumerate([*BODY, *IN_PARTS])}
    inserted = package(para(run(markers["inserted document"])), {})
    body = [make(markers[place]) for place, make in BODY.items()]
    members: dict[str, str | bytes] = {
        **{f"{name}.xml": text for name, text in parts(markers).items()},
        "inserted.html": f"<html><body><p>{markers['inserted HTML']}</p></body></html>",
        "archive.mht": (
            'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="b"\n\n'
            "--b\nContent-Type: text/html; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\n"
            f"<p>{markers['inserted web archive']}</p>\n--b--\n"
        ),
        "inserted.docx": inserted,
    }
    whole = "".join(body[:-1]) + section(1, 2, 3) + ELSEWHERE + body[-1] + section(4)
    return package(whole, members, strict=strict), markers


def section(*headers: int) -> str:
    """The end of a section with these headers, each of the type of its number."""
    kinds = {1: "default", 2: "first", 3: "even", 4: "default"}
    told = "".join(
        f'<w:headerReference w:type="{kinds[n]}" r:id="header{n if n > 1 else ""}"/>'
        for n in headers
    )
    told += '<w:footerReference w:type="default" r:id="footer"/><w:titlePg/>'
    properties = f"<w:sectPr>{told}</w:sectPr>"
    return properties if headers == (4,) else para("", properties)


def _spelled(text: str, strict: bool) -> str:
    """Declare the namespaces at the root, those of Strict Open XML if they are asked for."""
    if text.startswith(("<w:", "<c:", "<dgm:")):
        head, mark, rest = text.partition(">")
        text = f"{head} {XMLNS}{mark}{rest}"
    for usual, other in STRICT.items() if strict else ():
        text = text.replace(usual, other)
    return text.replace("/ooxml/drawingml/2006/", "/ooxml/drawingml/")
