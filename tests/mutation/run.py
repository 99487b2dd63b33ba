"""Changes one thing at a time in the modules that decide and remember, and looks whether their
tests notice.

`pip install '.[test]' cosmic-ray==8.7.0`, then `python tests/mutation/run.py`. Nothing is written:
each change lives in a process of its own. Exit code 1 where a survivor isn't named in
`accepted.toml`, or more than a tenth survive.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.abc
import importlib.util
import math
import multiprocessing
import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
SURVIVORS_AT_MOST: Final = 0.1
# times what the tests take without a change; a loop without end is as good as red …
LONGER_AT_MOST: Final = 4.0
SECONDS_AT_LEAST: Final = 30.0  # … and a machine that is busy is not

# The tests that must notice a change: few and fast, for each change costs a run of them.
TESTS: Final[dict[str, list[str]]] = {
    "batcher/core/lifecycle.py": ["tests/core/test_lifecycle.py", "tests/core/test_transitions.py"],
    "batcher/reducto/error_rules.py": [
        "tests/core/test_retry_policy.py",
        "tests/reducto/test_error_rules.py",
    ],
    "batcher/core/retry_policy.py": [
        "tests/core/test_retry_policy.py",
        "tests/reducto/test_error_rules.py",
    ],
    "batcher/reducto/api_types.py": [
        "tests/reducto/test_api_types.py",
        "tests/reducto/test_error_rules.py",
        "tests/stages/test_job_list_scan.py",
    ],
    "batcher/core/inflight.py": ["tests/core/test_inflight.py"],
    "batcher/reducto/responses.py": [
        "tests/reducto/test_responses.py",
        "tests/reducto/test_refusals.py",
        "tests/reducto/test_results.py",
        "tests/reducto/test_client.py",
    ],
    "batcher/core/absence.py": ["tests/core/test_absence.py"],
    "batcher/core/sending.py": ["tests/core/test_sending.py"],
    "batcher/core/repayment.py": ["tests/core/test_repayment.py"],
    "batcher/core/submission_quota.py": ["tests/core/test_submission_quota.py"],
    "batcher/core/reservations.py": ["tests/core/test_reservations.py"],
    "batcher/stages/kept_room.py": ["tests/stages/test_kept_room.py"],
    "batcher/stages/recovery.py": [
        "tests/stages/test_recovery_times.py",
        "tests/stages/test_capability_checks.py",
        "tests/stages/test_recovery.py",
    ],
    "batcher/stages/job_list_scan.py": ["tests/stages/test_job_list_scan.py"],
    "batcher/stages/fetcher.py": [
        "tests/stages/test_fetcher.py",
        "tests/stages/test_room.py",
        "tests/stages/test_boundary.py",
        "tests/stages/test_crossed_answers.py",
    ],
    "batcher/stages/job_answers.py": [
        "tests/stages/test_fetcher.py",
        "tests/stages/test_crossed_answers.py",
        "tests/stages/test_room.py",
        "tests/stages/test_boundary.py",
    ],
    "batcher/stages/crossed_answers.py": ["tests/stages/test_crossed_answers.py"],
    "batcher/stages/job_outcomes.py": ["tests/stages/test_fetcher.py"],
    "batcher/stages/linked_results.py": ["tests/stages/test_fetcher.py"],
    "batcher/stages/boundary.py": ["tests/stages/test_boundary.py"],
    "batcher/reducto/result_links.py": [
        "tests/reducto/test_results.py",
        "tests/reducto/test_responses.py",
    ],
    "batcher/common/json_syntax.py": ["tests/common/test_json_syntax.py"],
    "batcher/ledger/event_writes.py": [
        "tests/ledger/test_event_writes.py",
        "tests/ledger/test_ledger.py",
        "tests/ledger/test_run_spend.py",
    ],
    "batcher/ledger/intake.py": ["tests/ledger/test_intake.py", "tests/ledger/test_ledger.py"],
    "batcher/ledger/claim.py": ["tests/ledger/test_claim.py"],
    "batcher/ledger/journal.py": ["tests/ledger/test_journal.py"],
}


@dataclass(frozen=True, slots=True)
class Change:
    module: str
    operator: str
    line: int
    was: str
    now: str
    source: str  # of the whole module, with the change

    def __str__(self) -> str:
        return f"{self.module}:{self.line} [{self.operator}]\n    - {self.was}\n    + {self.now}"


class Place(NamedTuple):
    """The so-many-th of those that an operator changes."""

    operator: str
    occurrence: int


def places(module: str) -> list[Place]:
    """Everything in it that an operator changes, in an order that's always the same."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from operators import operators

    nodes = list(ast_nodes(get_ast((ROOT / module).read_text())))
    counted = [
        (name, sum(len(list(operator.mutation_positions(n))) for n in nodes))
        for name, operator in operators()
    ]
    return [Place(name, occurrence) for name, number in counted for occurrence in range(number)]


def changes(module: str, at: Iterable[Place]) -> Iterator[Change]:
    """The change in each of these places, where it still is Python and not one that has been
    before.
    """
    from cosmic_ray.mutating import mutate_code
    from operators import operators

    source = (ROOT / module).read_text()
    by_name = dict(operators())
    told = {source}
    for name, occurrence in at:
        changed = mutate_code(source, by_name[name], occurrence)
        if changed is not None and changed not in told and _is_python(changed):
            told.add(changed)
            yield Change(module, name, *_difference(source, changed), changed)


def _is_python(source: str) -> bool:
    try:
        compile(source, "changed", "exec")
    except SyntaxError:
        return False
    return True


def _difference(source: str, changed: str) -> tuple[int, str, str]:
    """The first line that differs, and what stood and stands there."""
    before = source.splitlines()
    after = changed.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    blocks = [block for block in matcher.get_opcodes() if block[0] != "equal"]
    was = [line.strip() for _, first, last, _, _ in blocks for line in before[first:last]]
    now = [line.strip() for _, _, _, first, last in blocks for line in after[first:last]]
    return blocks[0][1] + 1, " ".join(was), " ".join(now)


# --- a change in force ----------------------------------------------------------------------------


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Has one module of batcher imported from another source than its file's."""

    def __init__(self, module: str, source: str) -> None:
        self._name = module.removesuffix(".py").replace("/", ".")
        self._path = ROOT / module
        self._source = source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == self._name:
            return importlib.util.spec_from_file_location(name, self._path, loader=self)
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self._source, self._path, "exec"), module.__dict__)


def test_in_this_process(change: Change, tests: Sequence[str]) -> None:
    """And end it, for it has batcher with the change in it.

    Exit code 0: the tests noticed nothing.
    """
    os.chdir(ROOT)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.path.insert(0, str(ROOT))
    sys.meta_path.insert(0, Planted(change.module, change.source))
    sys.exit(run_tests(tests))


def run_tests(tests: Iterable[str]) -> int:
    import pytest

    alone = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:schemathesis", "--tb=no"]
    return int(pytest.main([*alone, *tests]))


def importable() -> list[str]:
    """What is imported once, before the first change, to be there in each process; batcher itself
    never is.
    """
    return (
        "pytest pytest_asyncio pytest_timeout xdist hypothesis.stateful aiohttp msgspec "
        "sqlite_utils click"
    ).split()


def outcome_of(change: Change, tests: Sequence[str], *, within: float = math.inf) -> str:
    """`killed`, `survived` or `timeout`: the last only where it took longer than `within` seconds
    twice.
    """
    outcome = _run_apart(change, tests, within)
    return outcome if outcome != "timeout" else _run_apart(change, tests, within)


def _run_apart(change: Change, tests: Sequence[str], within: float) -> str:
    process = multiprocessing.get_context("fork").Process(
        target=test_in_this_process, args=(change, tests)
    )
    process.start()
    process.join(None if within == math.inf else within)
    if process.is_alive():
        process.kill()
        process.join()
        return "timeout"
    return "killed" if process.exitcode else "survived"


def unchanged(module: str) -> Change:
    """The module as it is: its tests must be green with it, or nothing is shown by their being
    red.
    """
    return Change(module, "none", 0, "", "", (ROOT / module).read_text())


# --- the whole ------------------------------------------------------------------------------------


def accepted() -> dict[tuple[str, str, str], str]:
    """Why a change may survive, by module and by what it was and is."""
    entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
    return {
        (e["module"], " ".join(e["was"].split()), " ".join(e["now"].split())): e["reason"]
        for e in entries
    }


def _key(change: Change) -> tuple[str, str, str]:
    return change.module, " ".join(change.was.split()), " ".join(change.now.split())


def main() -> int:
    options = _options()
    for name in importable():
        importlib.import_module(name)
    named = accepted()
    good = True
    for module in options.module or TESTS:
        good &= _run(module, options, named)
    return 0 if good else 1


def _run(module: str, options: argparse.Namespace, named: dict[tuple[str, str, str], str]) -> bool:
    began = time.monotonic()
    if outcome_of(unchanged(module), TESTS[module]) != "survived":
        print(f"{module}: its tests are red without any change, so they show nothing", flush=True)
        return False
    within = max(SECONDS_AT_LEAST, LONGER_AT_MOST * (time.monotonic() - began))
    everywhere = places(module)
    whole = options.all or options.sample >= len(everywhere)
    if not whole:
        random.Random(f"{options.seed} {module}").shuffle(everywhere)
    chosen = list(islice(changes(module, everywhere), None if whole else options.sample))
    began = time.monotonic()
    tally = Counter[str]()
    unnamed = 0
    for change in chosen:
        outcome = outcome_of(change, TESTS[module], within=within)
        is_named = _key(change) in named
        equivalent = is_named and named[_key(change)].startswith("equivalent")
        tally["equivalent" if outcome == "survived" and equivalent else outcome] += 1
        if outcome == "survived" and not is_named:
            unnamed += 1
            print(f"survived: {change}", flush=True)
        if options.verbose:
            print(f"{outcome}: {change}", flush=True)
    share = tally["survived"] / max(1, sum(tally.values()) - tally["equivalent"])
    print(
        f"{module}: {len(chosen)} changes, {len(everywhere)} places: {tally['killed']} killed,"
        f" {tally['timeout']} timeouts, {tally['survived']} survived ({share:.1%}), {unnamed} of "
        "them without a name,"
        f" {tally['equivalent']} equivalent; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    if whole:
        for stale in set(named) - {_key(change) for change in chosen}:
            if stale[0] == module:
                print(f"accepted.toml names what is no more: {module}: {stale[1]} → {stale[2]}")
    return share <= SURVIVORS_AT_MOST and not unnamed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--module", action="append", choices=TESTS, help="this one alone; may be repeated"
    )
    parser.add_argument(
        "--sample", type=int, default=25, help="changes of each module (default 25)"
    )
    parser.add_argument("--all", action="store_true", help="every change")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--verbose", action="store_true", help="tell each change")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
