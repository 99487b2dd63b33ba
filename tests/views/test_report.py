"""The report: one page that stands alone, right at any size, readable by everybody."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import time
import tracemalloc
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ledgers import ODD, make_ledger

from batcher.core.sample import Mark
from batcher.ledger.connection import reader
from batcher.ledger.statistics import Statistics, statistics
from batcher.maintenance.sample_file import Sample, SampledDocument, SampleGroup
from batcher.views.page import SCRIPT
from batcher.views.report import report_page
from batcher.views.sample_view import Checked

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
SIZES = (0, 1, 10, 1_000)


def found(path: Path) -> Statistics:
    return statistics(reader(path))


def page(path: Path) -> str:
    return report_page(found(path), made_at=1_790_300_000.0)


def test_a_checked_sample_is_in_the_report(tmp_path: Path) -> None:
    """The rate of errors with its interval, and how it was found; nothing without a sample."""
    path = make_ledger(tmp_path / "ledger.db", 10)
    documents = [
        SampledDocument(n, f"{n}.pdf", "parse", "x", 0, Mark.WRONG if n == 1 else Mark.RIGHT)
        for n in range(1, 11)
    ]
    groups = [SampleGroup("<b>pdf", 1.0)]
    sample = Sample("parse", 1.0, 5_000, 500, ["type"], groups, documents)
    html = report_page(found(path), made_at=0.0, checked=Checked(sample, frozenset({10})))
    assert "About 11% of the results are wrong; with 95% confidence between 2.0% and 43%" in html
    assert "10 documents drawn from 5,000 results" in html
    assert "&lt;b&gt;pdf" in html and "<b>pdf" not in html
    assert "Checked by a sample" not in page(path)


class Outline(HTMLParser):
    """Tags left open, headings, what is loaded, and what has no name."""

    VOID = frozenset({"meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("documents", SIZES)
def test_it_is_whole_and_loads_nothing(documents: int, tmp_path: Path) -> None:
    """Every tag is closed; no script but its own, no address, whatever a file is called."""
    html = page(make_ledger(tmp_path / "ledger.db", documents))
    outline = Outline(html)
    assert outline.open == []
    assert html.count("<script") == html.count(f"<script>{SCRIPT}</script>") == 1
    assert not {"link", "img", "iframe", "object"} & set(outline.tags)
    assert not [
        a for a in outline.attributes if a[1] in ("src", "href", "action") or a[1].startswith("on")
    ]
    assert "url(" not in html and "http:" not in html and "https:" not in html
    assert ODD not in html


def test_nothing_in_it_can_be_run(tmp_path: Path) -> None:
    """Its policy stands before all that could be, and lets in its own style and script alone."""
    html = page(make_ledger(tmp_path / "ledger.db", 10))
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', html)
    assert policy is not None and policy.start() < html.index("<title>") < html.index("<style>")
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert set(rules) == {
        "default-src",
        "base-uri",
        "form-action",
        "script-src",
        "style-src",
        "img-src",
    }
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:" and rules["style-src"].startswith("'sha256-")
    assert "style=" not in html


def test_commands_look_like_commands(tmp_path: Path) -> None:
    """Whoever copies one must not copy what stands around it."""
    html = page(make_ledger(tmp_path / "ledger.db", 1_000)).replace(SCRIPT, "")
    assert "<code>batcher retry OUT --only document</code>" in html and "`" not in html


def test_who_cannot_see_it_can_read_it(tmp_path: Path) -> None:
    """Headings in steps, a name for every picture, a caption or a heading for every table, the
    numbers in text.
    """
    outline = Outline(page(make_ledger(tmp_path / "ledger.db", 1_000)))
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(
        after <= before + 1
        for before, after in zip(outline.headings, outline.headings[1:], strict=False)
    )
    pictures = [
        value for tag, name, value in outline.attributes if (tag, name) == ("svg", "aria-label")
    ]
    drawn = [tag for tag, name, _ in outline.attributes if (tag, name) == ("svg", "aria-hidden")]
    assert len(pictures) == outline.tags["svg"] - len(drawn) and all(
        ": " in name for name in pictures
    )
    assert outline.tags["details"] == outline.tags["figure"] == outline.tags["figcaption"]
    assert outline.tags["caption"] + outline.tags["details"] == outline.tags["table"]


def test_its_numbers_are_those_of_the_ledger(tmp_path: Path) -> None:
    """Documents, credits, failures, folders, days, waits and margins, each counted another way."""
    path = make_ledger(tmp_path / "ledger.db", 1_000)
    db = sqlite3.connect(path)
    seen = found(path)
    assert {count.name: count.number for count in seen.states} == {"saved": 980, "failed": 20}
    paid = db.execute("SELECT sum(credits) FROM attempts WHERE outcome = 'saved'").fetchone()[0]
    assert (
        seen.credits
        == paid
        == sum(c.amount for c in seen.folders)
        == sum(c.amount for c in seen.days)
    )
    assert sum(run.saved for run in seen.runs) == sum(c.number for c in seen.to_disk) == 980
    assert sum(c.number for c in seen.margins) == 980
    assert sum(bucket.saved for bucket in seen.throughput) == seen.runs[-1].saved
    assert sum(c.number for c in seen.errors) == 20
    # each 40th, but for those that failed: each 200th
    assert sum(c.number for c in seen.overcome) == 20
    details = [
        json.loads(row[0]) for row in db.execute("SELECT detail FROM events WHERE event = 'Ended'")
    ]
    worked = sorted(detail["duration"] for detail in details)
    assert dict(seen.phases)["processing"] == (worked[490], worked[882], worked[970])
    assert dict(seen.phases)["waits at the service, and for us to notice"][0] < worked[-1]
    assert (
        seen.largest[0].size
        == db.execute("SELECT max(size) FROM documents WHERE state = 'saved'").fetchone()[0]
    )


def test_a_copy_counts_as_a_result_of_its_run(tmp_path: Path) -> None:
    """Nobody waited for it at the service, so it has no part in how long that took."""
    path = make_ledger(tmp_path / "ledger.db", 10)
    before = found(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM attempts WHERE document = 5")
    after = found(path)
    assert [run.saved for run in after.runs] == [run.saved for run in before.runs]
    assert after.throughput == before.throughput
    assert sum(c.number for c in after.to_disk) == sum(c.number for c in before.to_disk) - 1


def test_documents_that_stand_out_name_their_step_in_a_chain_alone(tmp_path: Path) -> None:
    """The same path twice in a table would say nothing."""
    path = make_ledger(tmp_path / "ledger.db", 10)
    assert {row.job for row in found(path).slowest} == {""}
    with sqlite3.connect(path) as db:
        db.execute("UPDATE documents SET job = 'extract' WHERE id % 2")
    assert {row.job for row in found(path).slowest} == {"parse", "extract"}
    html = page(path)
    assert all(
        f"{row.source} {row.job}" in html for row in found(path).slowest if row.source != ODD
    )


def test_only_the_last_run_may_still_go_on(tmp_path: Path) -> None:
    """Of those before it, one without an end was cut off: two never hold one ledger."""
    path = make_ledger(tmp_path / "ledger.db", 10)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET ended_at = NULL WHERE id <> 2")
    assert re.findall(r">(goes on, or was cut off|cut off)<", page(path)) == [
        "goes on, or was cut off",
        "cut off",
    ]


def test_many_documents_take_seconds_and_little_memory(tmp_path: Path) -> None:
    """And a page no longer than that of a thousand, but for the failed ones it lists; 100,000 took
    1.7 s and 25 kB when they were looked at.
    """
    few = make_ledger(tmp_path / "few.db", 1_000)
    many = make_ledger(tmp_path / "many.db", 8_000)
    began = time.process_time()
    html = page(many)
    assert time.process_time() - began < 10
    rows = 140 * 180  # 160 failed against 20, and bytes of a row
    assert len(html) < 1.2 * len(page(few)) + rows
    tracemalloc.start(1)
    try:
        page(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


PROBE = (
    "<script>document.title=[document.documentElement.scrollWidth<=innerWidth,"
    "[...document.querySelectorAll('svg text')].every(t=>{const b=t.getBBox();return "
    "b.x>=0&&b.x+b.width<=561})"
    "].join()</script></body>"
)


OWN_SCRIPT = re.compile(r"script-src '[^']+'")
ANY_SCRIPT = "script-src 'unsafe-inline'"  # the probe is one


@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium; the parser has read it"
)
@pytest.mark.parametrize("width", [500, 1280])  # Chromium's window is no narrower
@pytest.mark.parametrize("documents", [10, 1_000])
def test_a_browser_finds_nothing_wrong_with_it(width: int, documents: int, tmp_path: Path) -> None:
    """No word on its console, nothing wider than the window, no label cut off."""
    path = tmp_path / "report.html"
    html = page(make_ledger(tmp_path / "ledger.db", documents)).replace("</body>", PROBE)
    path.write_text(OWN_SCRIPT.sub(ANY_SCRIPT, html), "utf-8")
    said = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert "CONSOLE" not in said.stderr
    title = re.search(r"<title>(.*?)</title>", said.stdout)
    assert title is not None and title[1] == "true,true"
