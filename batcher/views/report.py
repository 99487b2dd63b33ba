"""A batch on one page: what it did, how fast, what it cost, what failed.

The page is one file that loads nothing; it needs no script to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from batcher.common.formatting import format_bytes, format_duration, pluralize
from batcher.common.secrets import redact_urls
from batcher.common.shell_words import typed
from batcher.core.lifecycle import OPEN, VERDICTS, State
from batcher.core.summary import FailureGroup, NotServed
from batcher.ledger.queries.failed_documents import FailedDocument
from batcher.ledger.statistics import QUANTILES, Count, RunRow, Slow, Statistics
from batcher.views.failures import advice_for, spent_words
from batcher.views.page import page
from batcher.views.plots import Bar, figure, table
from batcher.views.sample_view import Checked, checked_section
from batcher.views.status import plain

SHOWN: Final = 12  # rows of a table; the rest is summed up in one more


def report_page(
    found: Statistics,
    *,
    made_at: float,
    what: Path = Path("OUT"),
    checked: Checked | None = None,
) -> str:
    """Return the page as HTML; `made_at` is a Unix time.

    `what` is how commands that the page names call the batch. `checked` is the sample of results
    that somebody has judged, if there is one.
    """
    sections = report_sections(found, what)
    if checked is not None:
        sections.insert(1, sample_section(checked))
    moment = f"{datetime.fromtimestamp(made_at):%Y-%m-%d %H:%M}"
    return page(
        title=f"{plain(found.batch)}: a report",
        heading=plain(found.batch),
        note=f"as of {moment}",
        body="".join(sections),
    )


def report_sections(found: Statistics, what: Path) -> list[str]:
    """Return the parts of the page as HTML, in the look of `look.css`."""
    return [
        _section("Progress", _standing(found)),
        _section("How fast it went, and how close to expiry", _speed(found)),
        _section("What went wrong", _errors(found)),
        _section("Failed documents", _failed(found, what)),
        _section("What it cost", _costs(found)),
        _section("Documents that stand out", _outstanding(found)),
    ]


def sample_section(checked: Checked) -> str:
    """Return what somebody's judgement of a sample says, as a further part of the page."""
    return _section("Checked by a sample", checked_section(checked))


def _section(title: str, parts: Iterator[str]) -> str:
    name = title.lower().replace(",", "").replace(" ", "-")
    head = f'<h2 id="{name}">{escape(title)}</h2>'
    return f'<section aria-labelledby="{name}">{head}{"".join(parts)}</section>'


# --- how far --------------------------------------------------------------------------------------


def _standing(found: Statistics) -> Iterator[str]:
    total = sum(count.number for count in found.states)
    by_state = {count.name: count.number for count in found.states}
    saved = by_state.get(State.SAVED, 0)
    still = sum(by_state.get(state, 0) for state in OPEN)
    failed = sum(by_state.get(state, 0) for state in VERDICTS)
    yield _tiles(
        ("documents", f"{total:,}", format_bytes(found.bytes)),
        ("results on disk", f"{saved:,}", f"{saved / total:.1%} of all" if total else ""),
        ("not saved", f"{failed:,}", f"{failed / total:.1%} of all" if total else ""),
        ("still to be done", f"{still:,}", "run the batch again" if still else "nothing"),
        ("pages", f"{found.pages:,}", ""),
        (
            "credits",
            f"{found.credits:,.1f}",
            _dollars(found.credits, found, "about ${:,.2f}") or "counted, not billed",
        ),
    )
    if found.left_out:
        yield f"<p class='wide'>{escape(_shown(found.left_out))}</p>"
    if found.runs:
        last = found.runs[-1]
        rows = [
            (change.what.replace("_", " "), f"{change.number:,}", _shown(change.example))
            for change in found.changes
        ]
        caption = f"What changed in the last run (number {last.number}, {_when(last.started_at)})"
        yield table(
            caption, ("documents now", "number", "for example"), rows or [("nothing", "0", "")]
        )
        yield table(
            "Runs" + (f", the last {len(found.runs)}" if found.runs[0].number > 1 else ""),
            ("run", "began", "lasted", "results saved", "credits", "exit code"),
            [
                (
                    str(run.number),
                    _when(run.started_at),
                    _lasted(run, found.runs[-1]),
                    f"{run.saved:,}",
                    f"{run.credits:,.1f}",
                    "" if run.exit_code is None else str(run.exit_code),
                )
                for run in reversed(found.runs)
            ],
        )


def _lasted(run: RunRow, last: RunRow) -> str:
    """Return how long a run lasted.

    A run without an end was cut off, or is the last one and may still be running.
    """
    if run.ended_at:
        return format_duration(run.ended_at - run.started_at)
    return "goes on, or was cut off" if run is last else "cut off"


def _tiles(*tiles: tuple[str, str, str]) -> str:
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
            for name, value, more in tiles
        )
        + "</dl>"
    )


# --- how fast -------------------------------------------------------------------------------------


def _speed(found: Statistics) -> Iterator[str]:
    bars = []
    for bucket in found.throughput:
        rate = bucket.saved / bucket.width * 60
        seconds = (
            f"{datetime.fromtimestamp(bucket.at):%H:%M:%S}"
            if bucket.width < 60
            else _clock(bucket.at)
        )
        bars.append(Bar(seconds, rate, f"{rate:,.1f}"))
    width = format_duration(found.throughput[0].width) if found.throughput else ""
    yield figure(
        "Results saved per minute",
        f"In the last run that saved any; each bar is {width}."
        if width
        else "No run has saved a result yet.",
        bars,
        unit="a minute",
        head=("from", "results a minute"),
    )
    yield figure(
        "From acceptance to disk",
        "Documents by the time between the service's acceptance and a durable file.",
        [_bar(count) for count in found.to_disk],
        unit="documents",
        head=("time", "documents"),
    )
    names = [f"{quantile:.0%} within" for quantile in QUANTILES]
    longest = max((phase.values[1] for phase in found.phases), default=0.0) or 1.0
    yield table(
        "Where the time goes: waiting, here and in the service's queue, against the service's own "
        "work",
        ("part of the way", *names),
        [(phase.name, *map(format_duration, phase.values)) for phase in found.phases],
        shares=[phase.values[1] / longest for phase in found.phases],
    )
    if found.cluster:
        yield _cluster(found.cluster)
    yield figure(
        "Time left when a result was on disk",
        "Hours until the service would have deleted it. Bars at the left were close.",
        [_bar(count) for count in found.margins],
        unit="documents",
        head=("time left", "documents"),
    )


def _cluster(values: Mapping[str, Any]) -> str:
    """Return the table of what each node of the cluster has done in the latest run."""
    if values.get("for_files"):
        return _moved(values)
    rows = [
        (
            plain(node["address"]),
            f"{node['documents']:,}",
            f"{node['pages']:,}",
            f"{node['pages_per_second']:,.1f}",
        )
        for node in values["nodes"]
    ]
    return table(
        f"What the nodes of the cluster read in the last run; lost: {_lost(values)}",
        ("node", "documents", "pages", "pages a second"),
        rows or [("none", "0", "0", "0")],
    )


def _moved(values: Mapping[str, Any]) -> str:
    rows = [
        (
            plain(node["address"]),
            f"{node['hashed']:,}",
            f"{node['uploaded']:,}",
            format_bytes(node["bytes"]),
        )
        for node in values["nodes"]
    ]
    return table(
        f"What the nodes of the cluster did in the last run; lost: {_lost(values)}",
        ("node", "files hashed", "files uploaded", "size"),
        rows or [("none", "0", "0", "0")],
    )


def _lost(values: Mapping[str, Any]) -> str:
    return f"{pluralize(values['lost_hands'], 'hand')}, {pluralize(values['lost_nodes'], 'node')}"


def _bar(count: Count) -> Bar:
    return Bar(count.name, count.number, f"{count.number:,}")


# --- what failed, what it cost, what stands out ---------------------------------------------------


def _errors(found: Statistics) -> Iterator[str]:
    yield _pareto("Documents without a result, by reason, the most frequent first", found.errors)
    if found.overcome:
        yield _pareto(
            "Attempts that failed, of documents that were saved in the end", found.overcome
        )
    if found.not_served.documents:
        yield _not_served(found.not_served)


def _not_served(found: NotServed) -> str:
    """Return the table of what was left out of saved results; a document may stand in more rows."""
    shown = found.reasons[:SHOWN]
    rows = [(_shown(g.reason), f"{g.documents:,}", _shown(g.example)) for g in shown]
    if more := len(found.reasons) - len(shown):
        rows.append((f"{more} others", "", ""))
    caption = f"Saved with parts not read or not served: {pluralize(found.documents, 'document')}"
    return table(caption, ("what", "documents", "for example"), rows)


def _failed(found: Statistics, what: Path) -> Iterator[str]:
    """Yield a table for each group of failures, with as many of its documents as there are."""
    shown = [(group, documents) for group, documents in found.failed if documents]
    if not shown:
        yield "<p class='none'>No document has failed.</p>"
        return
    yield (
        "<p class='wide' data-search>The browser's search (Ctrl+F, or ⌘F) finds a document by its "
        "path, reason or error.</p>"
    )
    with_step = len({one.step for _, documents in shown for one in documents}) > 1
    for group, documents in shown:
        yield f"<div class='wide list'>{_failed_table(group, documents, what, with_step)}</div>"
    if more := len(found.failed) - len(shown):
        all_of_them = _command(f"batcher failures {typed(what)} --all")
        yield f"<p class='wide'>… and {pluralize(more, 'more group')}: {all_of_them}</p>"


def _failed_table(
    group: FailureGroup, documents: Sequence[FailedDocument], what: Path, with_step: bool
) -> str:
    rows = [_failed_row(one, group, with_step) for one in documents]
    state = group.state.replace("_", " ")
    caption = f"{group.documents:,} {state}: {group.reason or 'no reason is on record'}"
    list_ = table(_shown(caption), ("document", "failed", "attempts", "error"), rows)
    advice = advice_for(group, what)
    next_ = f"<p>What to do: {_with_commands(advice)}</p>" if advice else ""
    more = group.documents - len(documents)
    rest = _command(f"batcher failures {typed(what)} --all")
    return f"{list_}{next_}{f'<p>… and {more:,} more: {rest}</p>' if more else ''}"


def _failed_row(document: FailedDocument, group: FailureGroup, with_step: bool) -> tuple[str, ...]:
    name = f"{document.path} {document.step}" if with_step else document.path
    moment = "" if document.failed_at is None else _when(document.failed_at)
    own = document.reason if document.reason != group.reason else document.error_name
    return _shown(name), moment, spent_words(document), _shown(own or "")


def _command(words: str) -> str:
    return f"<code>{escape(_shown(words))}</code>"


def _with_commands(words: str) -> str:
    """Return words as HTML in which commands, between backticks, look like commands."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(_shown(words)))


def _shown(words: str) -> str:
    """Return words of a file or a service without signed links, secrets and odd characters."""
    return plain(redact_urls(words))


def _pareto(caption: str, counts: Sequence[Count]) -> str:
    if not counts:
        return "<p class='none'>No document has failed.</p>"
    total = sum(count.number for count in counts)
    shown = _folded(counts)
    sums = accumulate(count.number for count in shown)
    rows = [
        (_shown(c.name), f"{c.number:,}", f"{so_far / total:.0%}")
        for c, so_far in zip(shown, sums, strict=True)
    ]
    head = ("reason", "number", "cumulative")
    return table(caption, head, rows, shares=_shares([count.number for count in shown]))


def _costs(found: Statistics) -> Iterator[str]:
    yield figure(
        "Credits by day",
        "Days of submission, by the local clock.",
        [Bar(count.name[5:], count.amount, f"{count.amount:,.1f}") for count in found.days[-60:]],
        unit="credits",
        head=("day", "credits"),
    )
    shown = _folded(found.folders)
    yield table(
        "Credits by folder, the most expensive first",
        ("folder", "documents", "credits", "about"),
        [
            (
                _shown(c.name),
                f"{c.number:,}",
                f"{c.amount:,.1f}",
                _dollars(c.amount, found, "${:,.2f}"),
            )
            for c in shown
        ],
        shares=_shares([count.amount for count in shown]),
    )


def _dollars(credits: float, found: Statistics, form: str) -> str:
    """Return what the credits cost; nothing where none are billed."""
    price = found.dollars_per_credit
    return form.format(credits * price) if price else ""


def _folded(counts: Sequence[Count]) -> list[Count]:
    """Return the first few counts, and one for all the others."""
    if len(counts) <= SHOWN:
        return list(counts)
    rest = counts[SHOWN:]
    others = Count(f"{len(rest)} others", sum(c.number for c in rest), sum(c.amount for c in rest))
    return [*counts[:SHOWN], others]


def _shares(values: Sequence[float]) -> list[float]:
    most = max(values, default=0.0) or 1.0
    return [value / most for value in values]


def _outstanding(found: Statistics) -> Iterator[str]:
    for caption, rows in (
        ("The slowest, from acceptance to disk", found.slowest),
        ("The largest", found.largest),
    ):
        yield table(caption, ("document", "time", "pages", "size"), [_slow(row) for row in rows])


def _slow(row: Slow) -> tuple[str, ...]:
    pages = "" if row.pages is None else f"{row.pages:,}"
    return (
        _shown(f"{row.source} {row.job}".rstrip()),
        format_duration(max(row.seconds, 0.0)),
        pages,
        format_bytes(row.size),
    )


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment):%Y-%m-%d %H:%M}"


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment):%H:%M}"
