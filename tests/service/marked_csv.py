"""Tables of lines with a word in each place, in the ways that programs write them."""

from __future__ import annotations

from typing import Final

_TABLE: Final = '''\ufefftitleline

nameheader;remarkheader;priceheader
O'Neil first;"quoted; delimiter";1,50
'tis second;"two
lines third";2,50
ragged
D'Arcy fourth;"says ""fifth""";3,50;extracell
rock 'n' roll sixth;['list', 'seventh'];-4,50
lastline
'''
_WORDS: Final = (
    "titleline nameheader remarkheader priceheader first delimiter third fourth fifth extracell "
    "sixth seventh ragged lastline"
).split()


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the file's bytes, and the word that stands in each place."""
    return _TABLE.encode(), {word: word for word in _WORDS}
