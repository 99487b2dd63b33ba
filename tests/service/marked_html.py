"""An HTML page with a marker word in each place where a browser shows text, or doesn't."""

from __future__ import annotations

import html
from typing import Final

# Each place with what stands there; {} is the marker.
SHOWN: Final = {
    "loose in body": "{}",
    "div": "<div>{}</div>",
    "div beside p": "<div>{}<p>x</p></div>",
    "after p in div": "<div><p>x</p>{}</div>",
    "span": "<span>{}</span>",
    "header": "<header>{}</header>",
    "footer": "<footer>{}</footer>",
    "nav": "<nav><a href='#'>{}</a></nav>",
    "section": "<section>{}</section>",
    "main": "<main>{}</main>",
    "h1": "<h1>{}</h1>",
    "h6": "<h6>{}</h6>",
    "heading in link": "<a href='x'><h2>{}</h2></a>",
    "hgroup": "<hgroup><h2>x</h2><p>{}</p></hgroup>",
    "label": "<label>{} <input></label>",
    "summary": "<details><summary>{}</summary>x</details>",
    "closed details": "<details><summary>x</summary>{}</details>",
    "open dialog": "<dialog open>{}</dialog>",
    "address": "<address>{}</address>",
    "button": "<button>{}</button>",
    "option": "<select><option>x<option>{}</select>",
    "group of options": "<select><optgroup label='{}'><option>x</optgroup></select>",
    "label of an option": "<select><option label='{}'>unseen</option></select>",
    "text area": "<textarea>{}</textarea>",
    "input": "<input value='{}'>",
    "place holder": "<input type=search placeholder='{}'>",
    "submit": "<input type=submit value='{}'>",
    "picture of a button": "<input type=image alt='{}'>",
    "legend": "<fieldset><legend>{}</legend></fieldset>",
    "output": "<output>{}</output>",
    "dt": "<dl><dt>{}<dd>x</dl>",
    "dd": "<dl><dt>x<dd>{}</dl>",
    "figcaption": "<figure><figcaption>{}</figcaption></figure>",
    "alternative text": "<p>before <img src='a.png' alt='{}'> after</p>",
    "alternative text in a link": "<a href='x'><img alt='{}'></a>",
    "alternative text in a table": "<table><tr><th>x<td><img alt='{}'></table>",
    "item": "<ul><li>{}</ul>",
    "item of a nested list": "<ul><li>x<ul><li>y<ol><li>{}</ol></ul></ul>",
    "after a nested list": "<ul><li>x<ul><li>y</ul>{}</ul>",
    "paragraph in an item": "<ol><li><p>x</p><p>{}</p></li></ol>",
    "list outside of items": "<ul>{}<li>x</ul>",
    "caption": "<table><caption>{}</caption><tr><th>x<td>y</table>",
    "th": "<table><tr><th>{}<th>x</table>",
    "td": "<table><tr><td>{}<td>x</table>",
    "tfoot": "<table><tfoot><tr><th>{}<td>x</tfoot></table>",
    "text beside cells": "<table>{}<tr><td>x</table>",
    "paragraph in a cell": "<table><tr><th>x<td><p>y</p><p>{}</p></table>",
    "list in a cell": "<table><tr><th>x<td><ul><li>{}</ul></table>",
    "nested table": "<table border=1><tr><td>x<table><tr><td>{}<td>y</table></table>",
    "around a nested table": "<table border=1><tr><td>{}<table><tr><td>x<td>y</table></table>",
    "layout table": "<table><tr><td><table><tr><td>x<td>y</table>{}</table>",
    "pre": "<pre>\n  x\n    {}\n</pre>",
    "code": "<p>x <code>{}</code></p>",
    "after br": "<p>x<br>{}</p>",
    "after two br": "x<br><br>{}",
    "after hr": "x<hr>{}",
    "sup": "<p>x <sup>{}</sup></p>",
    "sub": "<p>x <sub>{}</sub></p>",
    "del": "<p><del>{}</del></p>",
    "quotation": "<p><q>{}</q></p>",
    "block quotation": "<blockquote>{}</blockquote>",
    "quoted reply": "<p>x</p><blockquote><p>{}</p></blockquote>",
    "ruby": "<ruby>{}<rp>(</rp><rt>x</rt><rp>)</rp></ruby>",
    "reading of a ruby": "<ruby>x<rp>(</rp><rt>{}</rt><rp>)</rp></ruby>",
    "svg": "<svg><g><text>{}</text></g></svg>",
    "span in svg": "<svg><text>x <tspan>{}</tspan></text></svg>",
    "title of svg": "<svg><title>{}</title></svg>",
    "HTML in svg": "<svg><foreignObject><p>{}</p></foreignObject></svg>",
    "equation": "<math><mi>{}</mi><mo>=</mo><mn>1</mn></math>",
    "fraction": "<math><mfrac><mi>x</mi><mi>{}</mi></mfrac></math>",
    "exponent": "<math><msup><mi>x</mi><mi>{}</mi></msup></math>",
    "root": "<math><msqrt><mi>{}</mi></msqrt></math>",
    "document in a frame": '<iframe srcdoc="&lt;p&gt;{}&lt;/p&gt;"></iframe>',
    "object": "<object data='x.pdf'>{}</object>",
    "aria-hidden": "<p aria-hidden=true>{}</p>",
    "unknown element": "<my-card>{}</my-card>",
    "Word's element": "<p class=MsoNormal>x <o:p>{}</o:p></p>",
    "Word's list": "<p><![if !supportLists]><span>x </span><![endif]>{}</p>",
    "center": "<center>{}</center>",
    "font": "<font color=red>{}</font>",
    "marquee": "<marquee>{}</marquee>",
    "p within p": "<p>x<p>{}",
    "block in span": "<span>x<div>{}</div></span>",
    "unclosed": "<div><b>{}",
    "stray end": "</p></div>{}",
    "progress": "<progress max=9 value=4>{}</progress>",
    "visible in what is hidden": "<div style='visibility:hidden'><p><b style='visibility: visible'>"
    "{}</b></p></div>",
    "visible after what is hidden": "<p><i style='visibility:hidden'>x</i>{}</p>",
    "visible by the last word": "<p style='visibility:hidden; visibility:visible'>{}</p>",
    "back hidden": "<p style='backface-visibility:hidden'>{}</p>",
    "a word in parts": "<p><b>{}</b></p>",
}
HIDDEN: Final = {
    "script": "<script>{}</script>",
    "style": "<style>.{} {{}}</style>",
    "template": "<template><p>{}</p></template>",
    "noscript": "<noscript>{}</noscript>",
    "comment": "<!-- {} -->",
    "Word's comment": "<!--[if mso]><p>{}</p><![endif]-->",
    "hidden": "<p hidden>{}</p>",
    "display none": "<div style='DISPLAY : none'><p>{}</p></div>",
    "visibility": "<div style='visibility:hidden'>{}</div>",
    "visibility within": "<p style='visibility:hidden'><b>{}</b></p>",
    "visibility collapse": "<table><tr><th>x<th>y<tr style='visibility:collapse'><td>{}</table>",
    "visibility of a caption": "<table><caption style='visibility:hidden'>{}</caption><tr><th>x"
    "</table>",
    "visibility of a picture": "<p style='visibility:hidden'><img alt='{}'><img src='a.png'></p>",
    "visibility of a drawing": "<svg style='visibility:hidden'><title>{}</title></svg>",
    "visibility of a field": "<input style='visibility:hidden' value='{}'>",
    "visibility of a list": "<ol style='visibility:hidden'><li>{}</ol>",
    "visible in what isn't displayed": "<div style='display:none'><p style='visibility:visible'>{}"
    "</p></div>",
    "content visibility": "<div style='content-visibility:hidden'>{}</div>",
    "hidden input": "<input type=hidden value='{}'>",
    "password": "<input type=password value='{}'>",
    "check box": "<input type=checkbox value='{}'>",
    "data list": "<datalist><option>{}</datalist>",
    "closed dialog": "<dialog>{}</dialog>",
    "popover": "<div popover>{}</div>",
    "tool tip": "<p title='{}'>x</p>",
    "annotation": "<math><semantics><mi>x</mi><annotation>{}</annotation></semantics></math>",
    "tool tip in svg": "<svg><g><title>{}</title></g></svg>",
    "definition in svg": "<svg><defs><text>{}</text></defs></svg>",
    "fallback of a frame": "<iframe src='x.html'>{}</iframe>",
    "fallback of a video": "<video>{}</video>",
    "hidden cell": "<table><tr><th>x<td style='display:none'>{}</table>",
    "brackets of a ruby": "<ruby>x<rp>{}</rp></ruby>",
}


def marker(number: int) -> str:
    return f"marker{number:03d}"


def hidden() -> dict[str, str]:
    """Return the marker words that no browser shows, by place."""
    return {place: marker(500 + number) for number, place in enumerate(HIDDEN)}


def body() -> tuple[str, dict[str, str]]:
    """Return the page's body and the marker of each place that is shown."""
    markers = {place: marker(number) for number, place in enumerate(SHOWN)}
    unseen = hidden()
    parts = [SHOWN[place].format(html.escape(word)) for place, word in markers.items()]
    parts += [HIDDEN[place].format(word) for place, word in unseen.items()]
    # Each place is closed, so that what one leaves open doesn't hold the next.
    return "\n".join(f"<article>{part}</article>" for part in parts), markers


def marked() -> tuple[bytes, dict[str, str]]:
    """Return a page, and the marker that stands in each place, once."""
    content, markers = body()
    head = "<!doctype html><html><head><meta charset=utf-8><title>kept out</title></head>"
    return f"{head}<body>{content}</body></html>".encode(), markers
