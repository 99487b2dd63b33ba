"""A PDF with a marker word in each place where a PDF can hold text, made without any library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

BOX = (595, 842)  # points, A4
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
NOTHING = b""


@dataclass
class File:
    """The objects of a PDF; the first two are its catalogue and page tree, the third its font."""

    objects: list[bytes] = field(default_factory=lambda: [NOTHING, NOTHING, FONT])
    pages: list[int] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)

    def add(self, content: bytes) -> int:
        """Return the number of the object."""
        self.objects.append(content)
        return len(self.objects)

    def stream(self, content: bytes, words: bytes = b"") -> int:
        return self.add(b"<<%s/Length %d>>stream\n%s\nendstream" % (words, len(content), content))

    def page(
        self,
        content: bytes,
        *,
        rotate: int = 0,
        annotations: Sequence[int] = (),
        resources: bytes = b"",
    ) -> int:
        kids = b" ".join(b"%d 0 R" % number for number in annotations)
        self.pages.append(
            self.add(
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Rotate %d/Annots[%s]"
                b"/Resources<</Font<</F 3 0 R>>%s>>/Contents %d 0 R>>"
                % (*BOX, rotate, kids, resources, self.stream(content))
            )
        )
        return self.pages[-1]

    def field(self, kind: bytes, rect: tuple[int, int, int, int], words: bytes) -> int:
        number = self.add(
            b"<</Type/Annot/Subtype/Widget/FT/%s/F 4/Rect[%d %d %d %d]%s>>" % (kind, *rect, words)
        )
        self.fields.append(number)
        return number

    def annotation(self, kind: bytes, rect: tuple[int, int, int, int], text: str) -> int:
        return self.add(
            b"<</Type/Annot/Subtype/%s/F 4/Rect[%d %d %d %d]/Contents(%s)>>"
            % (kind, *rect, text.encode())
        )

    def bytes(self, *, catalogue: bytes = b"", info: bytes = b"") -> bytes:
        kids = b" ".join(b"%d 0 R" % number for number in self.pages)
        fields = b" ".join(b"%d 0 R" % number for number in self.fields)
        form = b"/AcroForm<</Fields[%s]/DA(/F 10 Tf)/DR<</Font<</F 3 0 R>>>>>>" % fields
        if b"/AcroForm" in catalogue:
            form = b""
        self.objects[0] = b"<</Type/Catalog/Pages 2 0 R%s%s>>" % (form, catalogue)
        self.objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(self.pages), kids)
        told = self.add(b"<<%s>>" % info)
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for number, content in enumerate(self.objects, start=1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        out += b"trailer<</Size %d/Root 1 0 R/Info %d 0 R>>\n" % (len(places) + 1, told)
        out += b"startxref\n%d\n%%%%EOF\n" % start
        return bytes(out)

    def compressed(self) -> bytes:
        """The same as programs write it since 2003: all objects but streams are in one of them."""
        self.bytes()
        single = {n: content for n, content in enumerate(self.objects, 1) if b"stream" in content}
        inner = {n: content for n, content in enumerate(self.objects, 1) if n not in single}
        starts = accumulate((len(content) + 1 for content in inner.values()), initial=0)
        head = b" ".join(b"%d %d" % pair for pair in zip(inner, starts, strict=False)) + b" "
        packed = zlib.compress(head + b" ".join(inner.values()))
        store = len(self.objects) + 1
        single[store] = (
            b"<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d>>stream\n%s\nendstream"
            % (len(inner), len(head), len(packed), packed)
        )
        out = bytearray(b"%PDF-1.7\n")
        rows = {n: (2, store, place) for place, n in enumerate(inner)}
        for number, content in single.items():
            rows[number] = (1, len(out), 0)
            out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        rows |= {0: (0, 0, 0), store + 1: (1, len(out), 0)}
        table = b"".join(struct.pack(">BIH", *rows[number]) for number in sorted(rows))
        return bytes(out) + (
            b"%d 0 obj\n<</Type/XRef/Size %d/W[1 4 2]/Root 1 0 R/Length %d>>stream\n%s\nendstream\n"
            b"endobj\nstartxref\n%d\n%%%%EOF\n"
            % (store + 1, len(rows), len(table), table, len(out))
        )


def line(text: str, x: int, y: int, *, size: int = 11, turn: bytes = b"1 0 0 1") -> bytes:
    """Text whose line begins at a point, counted from the lower left; `turn` is its direction."""
    words = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").encode("cp1252")
    return b"BT /F %d Tf %s %d %d Tm (%s) Tj ET\n" % (size, turn, x, y, words)


UPWARDS = b"0 1 -1 0"
DOWNWARDS = b"0 -1 1 0"
UPSIDE_DOWN = b"-1 0 0 -1"
SLANTED = b"0.7071 0.7071 -0.7071 0.7071"


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the document, and for each place the word that stands there exactly once."""
    places = {
        "heading": "Headingmark",
        "paragraph": "Paragraphmark",
        "end of a cut line": "Tailmark",
        "bullet": "Bulletmark",
        "numbered item": "Numbermark",
        "cell": "Cellmark",
        "last cell": "Lastmark",
        "header": "Headermark",
        "footer": "Footermark",
        "upwards in the margin": "Upmark",
        "downwards in the margin": "Downmark",
        "upside down": "Undermark",
        "watermark": "Watermark",
        "in a drawing": "Drawingmark",
        "form XObject": "Objectmark",
        "link": "Linkmark",
        "typed on the page": "Typedmark",
        "sticky note": "Notemark",
        "comment of a highlight": "Highlightmark",
        "comment of a shape": "Shapemark",
        "field without a picture": "Fieldmark",
        "field with a picture": "Drawnmark",
        "choice": "Choicemark",
        "ticked box": "Tickmark",
        "page saved sideways": "Sidemark",
        "page saved upside down": "Turnedmark",
        "page of nothing but a number": "4711",
    }
    made = File()
    _plain(made, places)
    _turned(made, places)
    _annotated(made, places)
    for rotate, place in ((90, "page saved sideways"), (180, "page saved upside down")):
        rows = [line(f"row {n} of a page as it was scanned", 60, 700 - 20 * n) for n in range(6)]
        made.page(b"".join(rows) + line(places[place], 60, 400), rotate=rotate)
    made.page(line(places["page of nothing but a number"], 290, 40))
    return made.bytes(), places


def _plain(made: File, places: dict[str, str]) -> None:
    grid = b"".join(b"60 %d m 460 %d l S\n" % (y, y) for y in (400, 430, 460, 490))
    grid += b"".join(b"%d 400 m %d 490 l S\n" % (x, x) for x in (60, 260, 460))
    cells = [("Name", "Amount"), (places["cell"], "12.50"), ("Sum", places["last cell"])]
    made.page(
        line(places["header"], 60, 815, size=8)
        + line(places["heading"], 60, 740, size=22)
        + line(f"A {places['paragraph']} of some words, which ends with a dual-", 60, 700)
        + line(f"encoder {places['end of a cut line']} and goes on for a while.", 60, 686)
        + line(f"• {places['bullet']}", 70, 650)
        + line("• another item", 70, 636)
        + line(f"1. {places['numbered item']}", 70, 600)
        + line("2. the second of them", 70, 586)
        + grid
        + b"".join(
            line(word, 66 + 200 * across, 470 - 30 * down)
            for down, row in enumerate(cells)
            for across, word in enumerate(row)
        )
        + line(places["footer"], 60, 20, size=8)
    )


def _turned(made: File, places: dict[str, str]) -> None:
    picture = made.stream(
        line(places["form XObject"], 20, 20),
        b"/Type/XObject/Subtype/Form/BBox[0 0 200 60]/Resources<</Font<</F 3 0 R>>>>",
    )
    curves = b"".join(
        b"%d %d m %d %d %d %d %d %d c S\n" % (100 + n, 300, 150, 400 + n, 250, 200, 300 + n, 380)
        for n in range(0, 80, 8)
    )
    made.page(
        line("The lines of this page run in the usual direction.", 60, 760)
        + line(places["upwards in the margin"], 30, 300, turn=UPWARDS)
        + line(places["downwards in the margin"], 560, 600, turn=DOWNWARDS)
        + line(places["upside down"], 400, 650, turn=UPSIDE_DOWN)
        + line(places["watermark"], 300, 500, size=40, turn=SLANTED)
        + curves
        + line(places["in a drawing"], 180, 320, size=7)
        + b"q 1 0 0 1 60 100 cm /P Do Q\n",
        resources=b"/XObject<</P %d 0 R>>" % picture,
    )


def _annotated(made: File, places: dict[str, str]) -> None:
    drawn = made.stream(
        b"/Tx BMC " + line(places["field with a picture"], 2, 4, size=9) + b"EMC",
        b"/Type/XObject/Subtype/Form/BBox[0 0 160 16]/Resources<</Font<</F 3 0 R>>>>",
    )
    dot = made.stream(b"0 0 m 9 9 l S", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]")
    link = made.add(
        b"<</Type/Annot/Subtype/Link/Rect[60 745 120 760]/Border[0 0 0]"
        b"/A<</S/URI/URI(https://example.com/an-address)>>>>"
    )
    appearance = b"/AP<</N %d 0 R>>" % drawn
    ticked = b"/V/Yes/AS/Yes/AP<</N<</Yes %d 0 R>>>>" % dot
    value = "/T(name)/V({})/DA(/F 10 Tf)"
    annotations = [
        link,
        made.annotation(b"FreeText", (60, 680, 300, 700), places["typed on the page"]),
        made.annotation(b"Text", (400, 700, 420, 720), places["sticky note"]),
        made.annotation(b"Highlight", (60, 720, 160, 734), places["comment of a highlight"]),
        made.annotation(b"Square", (300, 600, 340, 640), places["comment of a shape"]),
        made.field(
            b"Tx",
            (160, 560, 320, 576),
            value.format(places["field without a picture"]).encode(),
        ),
        made.field(
            b"Tx",
            (160, 530, 320, 546),
            value.format(places["field with a picture"]).encode() + appearance,
        ),
        made.field(
            b"Ch",
            (160, 500, 320, 516),
            b"/T(choice)/Ff 131072/Opt[(%s)(other)]/V(%s)/DA(/F 10 Tf)"
            % (places["choice"].encode(), places["choice"].encode()),
        ),
        made.field(
            b"Btn", (160, 470, 170, 480), b"/T(%s)%s" % (places["ticked box"].encode(), ticked)
        ),
        made.field(b"Btn", (190, 470, 200, 480), b"/T(emptybox)/V/Off/AS/Off"),
    ]
    made.page(
        line(places["link"], 60, 748)
        + line("Some words that a reader marked", 60, 722)
        + line("First name", 60, 564)
        + line("Last name", 60, 534)
        + line("One of two", 60, 504)
        + line("Agreed", 60, 472),
        annotations=annotations,
    )


def with_attachment() -> bytes:
    """A PDF with a file in it, as invoices have their XML."""
    made = File()
    made.page(line("An invoice with its data attached", 60, 700))
    data = made.stream(b"<invoice/>", b"/Type/EmbeddedFile")
    file = made.add(b"<</Type/Filespec/F(factur-x.xml)/UF(factur-x.xml)/EF<</F %d 0 R>>>>" % data)
    names = b"/Names<</EmbeddedFiles<</Names[(factur-x.xml)%d 0 R]>>>>" % file
    return made.bytes(catalogue=names)


def with_pinned_file() -> bytes:
    """A PDF with a file pinned to its page."""
    made = File()
    data = made.stream(b"a,b", b"/Type/EmbeddedFile")
    pinned = made.add(
        b"<</Type/Annot/Subtype/FileAttachment/F 4/Rect[60 600 80 620]/Contents(table.csv)"
        b"/FS<</Type/Filespec/F(table.csv)/EF<</F %d 0 R>>>>>>" % data
    )
    made.page(line("See the table", 60, 700), annotations=[pinned])
    return made.bytes()


def with_xfa() -> bytes:
    """A form as only Adobe's reader shows it; any other shows the page that says so."""
    made = File()
    made.page(line("Please wait... open this document in Adobe Reader.", 60, 700))
    template = made.stream(b"<template><field name='amount'/></template>")
    form = b"/AcroForm<</Fields[]/XFA[(template)%d 0 R]>>/NeedsRendering true" % template
    return made.bytes(catalogue=form)


def scanned(*, words: str = "") -> bytes:
    """A page that is one picture, with a few words of text if they are given."""
    made = File()
    image = made.stream(
        bytes(range(256)) * 16,
        b"/Type/XObject/Subtype/Image/Width 64/Height 64/ColorSpace/DeviceGray/BitsPerComponent 8",
    )
    made.page(
        b"q 595 0 0 842 0 0 cm /P Do Q\n" + (line(words, 60, 60) if words else b""),
        resources=b"/XObject<</P %d 0 R>>" % image,
    )
    return made.bytes()


def short(words: str, *, info: bytes = b"", catalogue: bytes = b"") -> bytes:
    """A page of one line."""
    made = File()
    made.page(line(words, 60, 700))
    return made.bytes(info=info, catalogue=catalogue)
