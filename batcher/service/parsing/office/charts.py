"""Read a chart's data as a table: a row for each category, a column for each series.

The numbers are those that the program that made the chart kept in it; the workbook behind it isn't
opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.service.parsing.flow import MOST_PLACES
from batcher.service.parsing.office.package import descend, local
from batcher.service.parsing.pages import Rows
from batcher.service.parsing.slides.text import text_of

Values = Mapping[int, str]  # by the number of the point
Column = tuple[str, Values]  # heading and values

_PERCENT: Final = re.compile(r"0?(?:\.(0+))?%")
_CACHES: Final = frozenset({"strCache", "numCache", "strLit", "numLit", "multiLvlStrCache"})
# what a series' values are called in bar and line, in scatter, and in bubble charts
_VALUES: Final = ("val", "yVal", "bubbleSize")


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows: its titles and labels, and a table of its data.

    `rows` is empty if there are no data, and `trouble` says why.
    """

    words: Sequence[str]
    rows: Rows = field(default_factory=list)
    trouble: str = ""


def chart_of(root: Any) -> Chart:
    """Return the chart of a chart part, of Office 2007's form or the extended one of 2016."""
    words = [text for text in map(text_of, _of_name(root, "rich")) if text]
    words += _referred_titles(root)
    columns = _columns([*_series(root), *_extended_series(root)])
    points = sorted({point for _, values in columns for point in values})
    if not points:
        return Chart(words, trouble="its data are not in the document")
    if len(points) * len(columns) > MOST_PLACES:
        return Chart(words, trouble=f"its table has more than {MOST_PLACES >> 20} million places")
    head = [heading for heading, _ in columns]
    body = [[values.get(point, "") for _, values in columns] for point in points]
    return Chart(words, [head, *body])


def _columns(series: Sequence[tuple[Values, Sequence[Column]]]) -> list[Column]:
    """Return the columns of the table; series with the same categories share their column."""
    columns: list[Column] = []
    shown: Values = {}
    for categories, values in series:
        if categories and categories != shown:
            columns.append(("", categories))
            shown = categories
        columns += values
    return columns


def _series(root: Any) -> Iterator[tuple[Values, list[Column]]]:
    """Yield the categories and the columns of each series."""
    for node in _of_name(root, "ser"):
        name = " ".join(_data(node.find("{*}tx")).values()) or _first_text(node, "{*}tx/{*}v")
        found = node.find("{*}cat")
        categories = _data(node.find("{*}xVal") if found is None else found)
        kinds = [kind for kind in _VALUES if node.find(f"{{*}}{kind}") is not None]
        columns = [(name, _data(node.find(f"{{*}}{kind}"))) for kind in kinds[:1]]
        columns += [("", _data(node.find(f"{{*}}{kind}"))) for kind in kinds[1:]]
        yield categories, columns or [(name, {})]


def _data(node: Any) -> Values:
    """Return the values below a reference to cells, or those that are given instead of one."""
    for cache in () if node is None else descend(node):
        if local(cache) in _CACHES:
            levels = [_points(level) for level in cache.iterfind("{*}lvl")]
            return _joined(levels or [_points(cache)])
    return {}


def _joined(levels: Sequence[Values]) -> Values:
    """Join the levels of categories, the innermost of which comes first in the document."""
    points: dict[int, str] = {}
    for level in reversed(levels):
        for point, text in level.items():
            points[point] = f"{points[point]} {text}" if point in points else text
    return points


def _points(cache: Any) -> Values:
    code = _first_text(cache, "{*}formatCode") or cache.get("formatCode", "")
    return {
        number: _shown(_text(point), point.get("formatCode") or code)
        for point in cache.iterfind("{*}pt")
        if (number := _number(point.get("idx", ""))) is not None
    }


def _text(point: Any) -> str:
    """Return a point's value; the extended form has no element around it."""
    return _first_text(point, "{*}v") or (point.text or "").strip()


def _shown(value: str, code: str) -> str:
    """Return a number with 15 digits, as spreadsheets keep, or as a percentage by its format."""
    if not code:
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    percent = _PERCENT.search(code)
    if percent is not None:
        return f"{number:.{len(percent[1] or '')}%}"
    return f"{number:.15g}"


# --- the extended form ----------------------------------------------------------------------------


def _extended_series(root: Any) -> Iterator[tuple[Values, list[Column]]]:
    """Yield the categories and the columns of each series of a chart such as a waterfall."""
    names = {
        _attribute(node, "{*}dataId", "val"): _first_text(node, "{*}tx/{*}txData/{*}v")
        for node in _of_name(root, "series")
    }
    for data in root.iterfind("{*}chartData/{*}data"):
        dimensions = list(data.iterfind("{*}strDim"))
        levels = [_points(level) for node in dimensions for level in node.iterfind("{*}lvl")]
        values = [
            _points(level)
            for node in data.iterfind("{*}numDim")
            for level in node.iterfind("{*}lvl")
        ]
        name = names.get(data.get("id", ""), "")
        yield _joined(levels), [(name, points) for points in values]


def _referred_titles(root: Any) -> list[str]:
    """Return titles that are taken from a cell, and those of the extended form."""
    titles = list(_of_name(root, "title"))
    found = [" ".join(_data(title.find("{*}tx")).values()) for title in titles]
    found += [_first_text(title, "{*}tx/{*}txData/{*}v") for title in titles]
    return [text for text in found if text]


# --- elements -------------------------------------------------------------------------------------


def _of_name(root: Any, name: str) -> Iterator[Any]:
    return (node for node in descend(root) if local(node) == name)


def _first_text(node: Any, path: str) -> str:
    return (node.findtext(path) or "").strip()


def _attribute(node: Any, path: str, name: str) -> str:
    found = node.find(path)
    return "" if found is None else found.get(name, "")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
