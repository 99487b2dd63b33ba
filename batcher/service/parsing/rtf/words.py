"""What the control words of RTF mean: which groups are shown, which characters they stand for."""

from __future__ import annotations

from typing import Final

# How a group is read. SHOWN: its text is. PARTS: only some groups within it are. FONTS, STYLES and
# CAPTURED: it says something of other text. NESTED: properties of a table within a cell. TAG: HTML.
SKIPPED, SHOWN, PARTS, FONTS, STYLES, CAPTURED, NESTED, TAG = range(8)

WITH_TEXT: Final = frozenset((SHOWN, FONTS, STYLES, CAPTURED, TAG))

SKIPPED_GROUPS: Final = frozenset(
    """
    colortbl info listtable listoverridetable rsidtbl generator revtbl filetbl stylerestrictions
    themedata colorschememapping datastore latentstyles xmlnstbl mmathPr userprops docvar
    ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn bkmkstart bkmkend xe tc tcn nonshppict shprslt
    nonesttables objdata objname objalias objsect datafield mmathPict atnicn atnid atntime
    atndate atnref atnparent atrfstart atrfend background template pgdsctbl pgptbl pn
    pnseclvl wgrffmtfilter panose falt fontemb fontfile keycode blipuid comment mhtmltag
    ffname ffdeftext ffformat ffhelptext ffstattext ffentrymcr ffexitmcr
    mailmerge protusertbl passwordhash xform docvars oldcprops oldpprops oldtprops oldsprops
    factoidname nextfile hlinkbase
    """.split()
)
# groups of which only some groups within are shown
PARTLY_SHOWN: Final = frozenset("shpinst do picprop upr sp mnaryPr".split())
# groups that are shown although a star says that they may be left out
SHOWN_THOUGH_STARRED: Final = frozenset("shppict moMathPara moMath".split())
ASIDES: Final = {
    "header": "Header",
    "headerl": "Header",
    "headerr": "Header",
    "headerf": "Header",
    "footer": "Footer",
    "footerl": "Footer",
    "footerr": "Footer",
    "footerf": "Footer",
    "footnote": "Text",
    "annotation": "Comment",
    "shptxt": "",
    "dptxbxtext": "",
}
CAPTURED_GROUPS: Final = frozenset(
    "fldinst sn sv objclass ffl atnauthor listtext pntext mchr".split()
)
CHARACTERS: Final = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "softline": "\n",
    "emdash": "—",
    "endash": "–",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "zwbo": "",
    "zwnbo": "",
}
SYMBOLS: Final = {"~": "\xa0", "_": "-", "\t": "\t", "{": "{", "}": "}", "\\": "\\"}
MATH: Final = {"mden": "/", "msup": "^", "msub": "_", "mdeg": " ", "me": " "}
BRACKETED: Final = {"mrad": ("√(", ")"), "md": ("(", ")"), "mf": ("(", ")")}
ENCODINGS: Final = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
# the names that Word has for the formats of notes' numbers
NUMBER_FORMATS: Final = {
    "ar": "decimal",
    "alc": "lowerLetter",
    "auc": "upperLetter",
    "rlc": "lowerRoman",
    "ruc": "upperRoman",
}
BODY_LEVEL: Final = 9  # \outlinelevel of text that is no heading
BREAKS_NO_PAGE: Final = frozenset(("none", "col"))
