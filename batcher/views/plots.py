"""Plots as SVG, and tables with bars: no script, font or URL. Every number is also in the text.

Colours are variables of the page, so that dark, light and paper each have their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, NamedTuple

WIDTH = 560
HEIGHT = 200
LEFT = 52
BOTTOM = 34
TOP = 14
WIDEST: Final = 64  # of a bar, in units of the SVG
LONG: Final = 24  # characters of a cell beyond which it may be broken over lines
ROOM: Final = WIDTH - LEFT - 8
NARROW: Final = 1.34  # how much larger letters are on a narrow screen; see look.css


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar; `label` is below it if there is room.

    `said` is in its tooltip and in the table of numbers.
    """

    label: str
    value: float
    said: str


class Part(NamedTuple):
    """A share of a whole; `tone` is its class in the styles."""

    words: str
    value: float
    tone: str


def figure(
    title: str, caption: str, bars: Sequence[Bar], *, unit: str, head: tuple[str, str]
) -> str:
    """Return a plot of upright bars; `head` names the columns of the table of its numbers."""
    return _figure(title, caption, bars, unit, head, draw=_uprights)


def curve(
    title: str, caption: str, points: Sequence[Bar], *, unit: str, head: tuple[str, str]
) -> str:
    """Return a plot of a line with the area below it, for what has a value at each moment."""
    return _figure(title, caption, points, unit, head, draw=_line)


def _figure(
    title: str,
    caption: str,
    bars: Sequence[Bar],
    unit: str,
    head: tuple[str, str],
    *,
    draw: Callable[[Sequence[Bar], float], str],
) -> str:
    """Return a plot with its words and numbers; `draw` gets the bars and the top of the axis."""
    if not bars:
        return _frame(title, caption, '<p class="none">Nothing yet.</p>')
    top = _nice(max(bar.value for bar in bars))
    name = f"{title}: {summary(bars, unit)}"
    below = numbers(head, [(bar.label, bar.said) for bar in bars])
    return _frame(title, caption, _plot(name, draw(bars, top), bars, top) + below)


def stacked(parts: Sequence[Part], name: str) -> str:
    """Return a bar made of `parts`, each as long as its share; those of 0 are left out."""
    whole = sum(part.value for part in parts) or 1
    drawn = []
    so_far = 0.0
    for part in parts:
        share = part.value / whole * 100
        if part.value:
            tip = f"<title>{escape(part.words)}: {part.value:,.0f}</title>"
            place = f'x="{so_far:.3f}%" width="{share:.3f}%" height="100%"'
            drawn.append(f'<rect class="{part.tone}" {place}>{tip}</rect>')
        so_far += share
    said = ", ".join(f"{part.value:,.0f} {part.words}" for part in parts if part.value)
    label = escape(f"{name}: {said or 'nothing yet'}", quote=True)
    return f'<svg class="stacked" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _plot(name: str, drawn: str, bars: Sequence[Bar], top: float) -> str:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    inner = _grid(top) + drawn + _labels(bars)
    label = escape(name, quote=True)
    return f'<svg class="plot" {box} role="img" aria-label="{label}">{inner}</svg>'


def _line(points: Sequence[Bar], top: float) -> str:
    step = ROOM / len(points)
    floor = HEIGHT - BOTTOM
    places = [
        (LEFT + (n + 0.5) * step, floor - (floor - TOP) * point.value / top)
        for n, point in enumerate(points)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    first, _ = places[0]
    last, _ = places[-1]
    area = f"{first:.1f},{floor} {line} {last:.1f},{floor}"
    return f'<polygon class="area" points="{area}"/><polyline class="line" points="{line}"/>'


def summary(bars: Sequence[Bar], unit: str) -> str:
    """Return what a plot shows, in one sentence."""
    most = max(bars, key=lambda bar: bar.value)
    return f"{len(bars)} bars; the highest is {most.said} {unit} at {most.label}"


def numbers(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a folded table, for people who can't see the plot or want exact numbers."""
    return f"<details><summary>The numbers</summary>{table('', head, rows)}</details>"


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    shares: Sequence[float] = (),
) -> str:
    """Return a table whose first column heads its rows; all others hold numbers.

    With `shares` (0 to 1) each row has a bar.
    """
    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(_row(row, shares[n] if shares else None) for n, row in enumerate(rows))
    lines = lines or f'<tr><td class="none" colspan="{len(head)}">Nothing yet.</td></tr>'
    table = f"<table>{top}<thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _row(row: Sequence[str], share: float | None) -> str:
    first, *rest = row
    bar = "" if share is None else share_bar(share)
    cells = "".join(
        f"<td{' class=long' if len(cell) > LONG else ''}>{escape(cell)}</td>" for cell in rest
    )
    return f'<tr><th scope="row">{escape(first)}{bar}</th>{cells}</tr>'


def share_bar(share: float) -> str:
    """Return a bar of which the part `share`, 0 to 1, is filled; the text beside it says it too."""
    width = f"{share * 100:.1f}%"
    return (
        '<svg class="bar" aria-hidden="true" focusable="false">'
        f'<rect class="b" width="{width}" height="100%"/></svg>'
    )


def _frame(title: str, caption: str, inside: str) -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure><h3>{escape(title)}</h3>{inside}{below}</figure>"


def _uprights(bars: Sequence[Bar], top: float) -> str:
    return "".join(_upright(bar, n, len(bars), top) for n, bar in enumerate(bars))


def _upright(bar: Bar, number: int, of: int, top: float) -> str:
    step = ROOM / of
    width = min(step * 0.8, WIDEST)
    height = (HEIGHT - BOTTOM - TOP) * bar.value / top
    x = LEFT + (number + 0.5) * step - width / 2
    y = HEIGHT - BOTTOM - height
    tip = f"<title>{escape(bar.label)}: {escape(bar.said)}</title>"
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="b" {place}>{tip}</rect>'


def _grid(top: float) -> str:
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part
        lines.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(top * part)}</text>'
        )
    return "".join(lines)


def _labels(bars: Sequence[Bar]) -> str:
    """Return as many labels as there is room for: the first, and about every n-th."""
    widest = max(len(bar.label) for bar in bars) * 7 + 10
    room = widest * NARROW
    every = max(1, -(-len(bars) * widest // ROOM))
    step = ROOM / len(bars)
    texts = []
    for number in range(0, len(bars), every):
        x = LEFT + number * step
        anchor = "start"
        if room <= step:
            x = x + step / 2
            anchor = "middle"
        elif x + room > WIDTH:
            break
        place = f'x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}"'
        texts.append(f"<text {place}>{escape(bars[number].label)}</text>")
    return f'<g class="labels">{"".join(texts)}</g>'


def _nice(most: float) -> float:
    """Return a round number not below `most`, for the top of an axis."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{most:.0f}") - 1) if most >= 1 else 0.1
    return next(power * step for step in (1, 2, 4, 5, 6, 8, 10, 20) if power * step >= most)


def short(number: float) -> str:
    """Return a number with few digits, as on an axis."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"
