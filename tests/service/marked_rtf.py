"""An RTF document with a marker word in each place that Word, LibreOffice or Outlook may fill.

`marked()` returns the bytes of the document, and for each place its marker, which stands there
once.
"""

from __future__ import annotations

from typing import Final

PLACES: Final = """
paragraph heading title style-heading bold-run hex-word unicode-word cyrillic-word
double-byte-word emoji-word simple-list-item numbered-list-item nested-list-item old-list-item
cell wide-cell tall-cell cell-second-paragraph nested-cell cell-list-item after-table
field-result link-text form-list form-text equation-field inserted footnote second-footnote
footnote-in-cell endnote comment comment-author header first-header footer text-box
text-box-in-cell old-text-box shape-in-group word-art alt-text shape-alt-text math-numerator
math-denominator math-exponent object-result unicode-alternative quoted tab-separated
line-break section page-break column after-picture after-binary header-of-section tight-group
table-in-text-box table-in-footnote smart-tag
""".split()
# what is in the file and isn't shown; none of it may come out
UNSEEN: Final = """
deleted hidden instruction bookmark index-entry info-title style-name font-name list-template
shape-result nonshown-picture comment-initials revision-author drop-down-other legacy-ansi
user-property
""".split()


def marker(place: str) -> str:
    return "q" + place.replace("-", "") + "q"


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the document, and the marker of each place that is shown."""
    words = {place: marker(place) for place in PLACES}
    said = {place.replace("-", "_"): word for place, word in words.items()}
    said |= {place.replace("-", "_"): marker(place) for place in UNSEEN}
    text = DOCUMENT.replace("<note_in_cell>", _NOTE_IN_CELL).replace("<box>", _BOX_IN_CELL)
    for name in sorted(said, key=len, reverse=True):
        text = text.replace(f"<{name}>", said[name])
    text = text.replace("<hex>", "".join(f"\\'{ord(c):02x}" for c in said["hex_word"]))
    text = text.replace("<unicode>", "".join(f"\\u{ord(c)}?" for c in said["unicode_word"]))
    return text.encode("latin-1").replace(b"<binary>", bytes(range(256))), words


def _row(*cells: str, edges: tuple[int, ...]) -> str:
    said = "".join(f"\\pard\\intbl {cell}\\cell " for cell in cells)
    row = "\\trowd\\trgaph108\\trleft-108" + "".join(f"\\cellx{edge}" for edge in edges)
    return f"{row}{said}{{{row}\\row}}\n"


_NESTED: Final = (
    r"outer \par\pard\intbl\itap2 <nested_cell>\nestcell{\nonesttables\par}"
    r"\pard\intbl\itap2 side\nestcell{\nonesttables\par}"
    r"{\*\nesttableprops\trowd\cellx1000\cellx2000\nestrow}{\nonesttables\par}\pard\intbl\itap1 "
)
_BOX: Final = (
    r"{\shp{\*\shpinst\shpleft0{\sp{\sn shapeType}{\sv 202}}"
    r"{\sp{\sn wzDescription}{\sv <shape_alt_text>}}{\shptxt \pard\plain <text_box>\par}}"
    r"{\shprslt{\*\do\dptxbx{\dptxbxtext\pard <shape_result>\par}}}}"
)
_ART: Final = (
    r"{\shpgrp{\*\shpinst{\sp{\sn groupLeft}{\sv 1}}{\shp{\*\shpinst{\sp{\sn gtextUNICODE}"
    r"{\sv <word_art>}}}}{\shp{\*\shpinst{\shptxt\pard <shape_in_group>\par}}}}}"
)
_PICTURE: Final = (
    r"{\*\shppict{\pict{\*\picprop\shplid1{\sp{\sn wzDescription}{\sv <alt_text>}}}\pngblip"
    "\\picw10\\pich10{\\*\\blipuid 0011}\n89504e470d0a\n1a0a}}{\\nonshppict{\\pict\\wmetafile8 "
    r"{\*\picprop{\sp{\sn wzDescription}{\sv <nonshown_picture>}}}00}}"
)
_MATH: Final = (
    r"{\mmath{\*\moMathPara{\*\moMath{\mf{\mfPr{\mctrlPr}}{\mnum{\mr <math_numerator>}}"
    r"{\mden{\mr <math_denominator>}}}{\msSup{\msSupPr}{\me{\mr x}}{\msup{\mr <math_exponent>}}}}}"
    r"{\*\mmathPict{\pict 00}}}"
)
_NOTE_IN_CELL: Final = r"x{\super\chftn{\footnote{\super\chftn} <footnote_in_cell>}}"
_BOX_IN_CELL: Final = r"{\shp{\*\shpinst{\shptxt\pard <text_box_in_cell>\par}}}"
DOCUMENT: Final = "\n".join(
    (
        r"{\rtf1\ansi\ansicpg1252\deff0\uc1{\fonttbl{\f0\fnil\fcharset0 <font_name>;}",
        r"{\f1\fnil\fcharset204{\*\falt x}Arial;}{\f2\fnil\fcharset128 Gothic;}",
        r"{\f3\ftech\fcharset2 Symbol;}}{\colortbl;\red0\green0\blue0;}",
        r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0\sbasedon0 <style_name>;}{\s5 Title;}}",
        r"{\*\listtable{\list{\listlevel{\leveltext\'02\'00.;}}{\listname <list_template>;}}}",
        r"{\*\revtbl{Unknown;}{<revision_author>;}}{\info{\title <info_title>}}",
        r"{\*\userprops{\propname x}{\staticval <user_property>}}\ftnnar\aftnnrlc",
        r"{\header\pard\plain <header>\par}{\headerf\pard <first_header>\par}",
        r"{\footer\pard <footer> {\field{\*\fldinst PAGE}{\fldrslt 1}}\par}",
        r"\pard\s5 <title>\par\pard\outlinelevel0 <heading>\par\pard\s1 <style_heading>\par",
        r"\pard\plain <paragraph> {\b <bold_run>} <hex> <unicode>\par",
        r"{\f1 \'f4 <cyrillic_word>}{\f2 \'93\'fa\'96\'7b<double_byte_word>",
        r"\u-10179?\u-8704? <emoji_word>}\par",
        r"{\pard{\listtext\f3 \'b7\tab}\ls1 <simple_list_item>\par}",
        r"{\pard{\listtext\pard\plain 1.\tab}\ls2 <numbered_list_item>\par}",
        r"{\pard{\listtext\pard\plain 1.1\tab}\ls2\ilvl1 <nested_list_item>\par}",
        r"{\pard{\pntext 2)\tab}{\*\pn\pnlvlbody{\pntxta )}}<old_list_item>\par}",
        _row("<cell>", "<wide_cell>", edges=(1000, 3000)),
        _row("<tall_cell>\\par <cell_second_paragraph>", "b", "c", edges=(1005, 2000, 3000)),
        _row(_NESTED, "<note_in_cell>", "<box>", edges=(1000, 2000, 3000)),
        _row(r"{\listtext 3.\tab}<cell_list_item>", "e", "f", edges=(1000, 2000, 3000)),
        r"\pard <after_table>\par",
        r"{\field{\*\fldinst {HYPERLINK <instruction>}}{\fldrslt {\ul <link_text>}}} ",
        r"{\field\flddirty{\*\fldinst DATE}{\fldrslt <field_result>}}",
        r"{\field{\*\fldinst FORMDROPDOWN{\*\formfield{\fftype2\ffres1{\*\ffname x}",
        r"{\*\ffl <drop_down_other>}{\*\ffl <form_list>}}}}{\fldrslt }}",
        r"{\field{\*\fldinst FORMTEXT{\*\formfield{\fftype0{\*\ffname y}}}}{\fldrslt <form_text>}}",
        r"{\field{\*\fldinst EQ \\f(<equation_field>,2)}{\fldrslt }}\par",
        r"The price {\revised\revauth1 <inserted>}{\deleted\revauthdel1 <deleted>}{\v <hidden>} is",
        r"{\*\bkmkstart <bookmark>}{\*\bkmkend <bookmark>}{\xe{\v <index_entry>}}.\par",
        r"A note{\super\chftn{\footnote\pard\plain{\super\chftn} <footnote>\par}} and",
        r"{\super\chftn{\*\footnote{\super\chftn} <second_footnote>}}",
        r"{\super\chftn{\footnote\ftnalt{\super\chftn} <endnote>}}",
        r"{\*\atrfstart 1}words{\*\atrfend 1}{\*\atnid <comment_initials>}",
        r"{\*\atnauthor <comment_author>}\chatn{\*\annotation{\*\atnref 1}{\*\atndate 5}<comment>}",
        r"\par",
        _BOX + _ART,
        r"{\*\do\dobxpage\dptxbx{\dptxbxtext\pard <old_text_box>\par}\dpx1}\par",
        _PICTURE + r"<after_picture>\par",
        _MATH + r"\par",
        r"{\object\objemb{\*\objclass Excel.Sheet.8}{\*\objdata 0105}{\result <object_result>}}",
        r"{\upr{<legacy_ansi>}{\*\ud{<unicode_alternative>}}} {\pict\bin256 <binary>}",
        r"<after_binary> \ldblquote <quoted>\rdblquote\tab <tab_separated>\line <line_break>\par",
        r"{\shp{\*\shpinst{\shptxt\trowd\cellx900\pard\intbl <table_in_text_box>\cell\row\pard}}}",
        r"x{\super\chftn{\footnote\trowd\cellx900\pard\intbl <table_in_footnote>\cell\row\pard}}",
        r"{\*\xmlopen\xmlns1{\factoidname place}}<smart_tag>{\*\xmlclose}\column <column>\par",
        r"\page <page_break>\par\sect\sectd{\header\pard <header_of_section>\par}",
        r"\pard <section>\par{\pard{\b{\i{<tight_group>}}}}\par}",
    )
)
