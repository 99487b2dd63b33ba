"""Read a chart's data as a table: a row for each category, a column for each series.

The numbers are those that the program that made the chart kept in it; the workbook behind it isn't
opened. A chart in a workbook leaves out the series that are written with its cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
_VALUES: Final = ("{*}val", "{*}yVal", "{*}bubbleSize")


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows: its titles and labels, and a table of its data.

    `rows` is empty if there are no data, and `trouble` says why.
    """

    words: Sequence[str]
    rows: Rows = field(default_factory=list)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Series:
    """A series of a chart.

    `named_by` and `sources` are the elements with its name and its values; one without values has
    its name for a source.
    """

    name: str
    named_by: Any
    sources: Sequence[Any]
    categories: Values
    columns: Sequence[Column]


def chart_of(root: Any, is_in_cells: Callable[[Any], bool] | None = None) -> Chart:
    """Return the chart of a chart part, of Office 2007's form or the extended one of 2016.

    `is_in_cells` tells whether what an element refers to is written with the cells of a workbook.
    """
    is_written = is_in_cells or (lambda _: False)
    words = [text for text in map(text_of, _of_name(root, "rich")) if text]
    words += _referred_titles(root, is_written)
    shown: list[_Series] = []
    is_left_out = False
    for series in (*_series(root), *_extended_series(root)):
        if not series.sources or not all(map(is_written, series.sources)):
            shown.append(series)
            continue
        is_left_out = True
        if series.name and not is_written(series.named_by):
            words.append(series.name)
    if is_left_out and not shown:
        return Chart(words)
    return _with_table(words, _columns(shown))


def _with_table(words: Sequence[str], columns: Sequence[Column]) -> Chart:
    points = sorted({point for _, values in columns for point in values})
    if not points:
        return Chart(words, trouble="its data are not in the document")
    if len(points) * len(columns) > MOST_PLACES:
        return Chart(words, trouble=f"its table has more than {MOST_PLACES >> 20} million places")
    head = [heading for heading, _ in columns]
    body = [[values.get(point, "") for _, values in columns] for point in points]
    return Chart(words, [head, *body])


def _columns(shown: Sequence[_Series]) -> list[Column]:
    """Return the columns of the table; series with the same categories share their column."""
    columns: list[Column] = []
    categories: Values = {}
    for series in shown:
        if series.categories and series.categories != categories:
            columns.append(("", series.categories))
            categories = series.categories
        columns += series.columns
    return columns


def _series(root: Any) -> Iterator[_Series]:
    for node in _of_name(root, "ser"):
        named_by = node.find("{*}tx")
        name = " ".join(_data(named_by).values()) or _first_text(node, "{*}tx/{*}v")
        found = node.find("{*}cat")
        categories = _data(node.find("{*}xVal") if found is None else found)
        sources = [one for one in map(node.find, _VALUES) if one is not None]
        headings = [name, *[""] * len(sources)]
        columns = [(heading, _data(one)) for heading, one in zip(headings, sources, strict=False)]
        if not sources:
            sources = [] if named_by is None else [named_by]
        yield _Series(name, named_by, sources, categories, columns or [(name, {})])


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


def _extended_series(root: Any) -> Iterator[_Series]:
    """Yield the series of a chart such as a waterfall."""
    names = {
        _attribute(node, "{*}dataId", "val"): node.find("{*}tx")
        for node in _of_name(root, "series")
    }
    for data in root.iterfind("{*}chartData/{*}data"):
        sources = list(data.iterfind("{*}numDim"))
        levels = [
            _points(level)
            for node in data.iterfind("{*}strDim")
            for level in node.iterfind("{*}lvl")
        ]
        values = [_points(level) for node in sources for level in node.iterfind("{*}lvl")]
        named_by = names.get(data.get("id", ""))
        name = "" if named_by is None else _first_text(named_by, "{*}txData/{*}v")
        columns = [(name, points) for points in values]
        yield _Series(name, named_by, sources, _joined(levels), columns)


def _referred_titles(root: Any, is_written: Callable[[Any], bool]) -> list[str]:
    """Return titles that are taken from a cell, and those of the extended form."""
    named = (title.find("{*}tx") for title in _of_name(root, "title"))
    titles = [node for node in named if node is not None and not is_written(node)]
    found = [" ".join(_data(node).values()) for node in titles]
    found += [_first_text(node, "{*}txData/{*}v") for node in titles]
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
