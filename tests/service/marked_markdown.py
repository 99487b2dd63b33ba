"""A Markdown document with a word in each place where one can be shown."""

from __future__ import annotations

from typing import Final

_DOCUMENT: Final = """---
title: fronttitle
---
# atxtitle

setexttitle
===========

setextheader
------------

## closedheader ##

Plain *emphasised* **strongword** ~~struckword~~ `codeword` with\\
hardbreak and &amp; entity&#x77;ord.

- bulletone
  continued
  - nestedbullet
    1. deepnumber
       - deepest

- looseitem

  secondparagraph

* [x] taskitem
+ plusitem

3. thirditem
4. fourthitem

> quotedword
> > doublequote

```python
fencedcode = "```"[0]
```

~~~
tildecode
~~~

    indentedcode

| headcell | righthead |
|:---------|----------:|
| bodycell | pipe\\|cell |

<div><p>htmlblock</p> <b>htmlbare</b></div>

Text with <span>inlinehtml</span> and <br> more.

<details><summary>summaryword</summary>

Markdown *insidehtml*.

</details>

[linkword](http://example.org/target "linktitle"), [refword][ref], <http://autolink.example>,
![imagealt](picture.png) and [shortref].

[ref]: http://example.org/refaddress
[shortref]: <http://example.org>

A note[^1] and another[^2].

[^1]: footnoteword
[^2]: footnote of severalwords

***

Escaped \\*starword\\* and lastword
<!-- hiddencomment -->
"""
_WORDS: Final = (
    "fronttitle atxtitle setexttitle setextheader closedheader emphasised strongword struckword "
    "codeword hardbreak entityword bulletone continued nestedbullet deepnumber deepest looseitem "
    "secondparagraph taskitem plusitem thirditem fourthitem quotedword doublequote fencedcode "
    "tildecode indentedcode headcell righthead bodycell pipe htmlblock htmlbare inlinehtml "
    "summaryword insidehtml linkword target linktitle refword refaddress autolink imagealt "
    "shortref footnoteword severalwords starword lastword"
).split()


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the document's bytes, and the word that stands in each place."""
    return _DOCUMENT.encode(), {word: word for word in _WORDS}
