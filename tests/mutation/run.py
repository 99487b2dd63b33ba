"""Changes one thing at a time in the modules that decide and remember, and looks whether their tests notice.

`pip install '.[test]' cosmic-ray==8.7.0`, then `python tests/mutation/run.py`. Nothing is written: each change lives in
a process of its own. Exit code 1 where a survivor isn't named in `accepted.toml`, or more than a tenth survive.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.abc
import importlib.util
import multiprocessing
import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
SURVIVORS_AT_MOST: Final = 0.1
SECONDS_AT_MOST: Final = 120.0  # for the tests of one change; a loop without end is as good as red

# The tests that must notice a change: few and fast, for each change costs a run of them.
TESTS: Final[dict[str, list[str]]] = {
    "batcher/core/lifecycle.py": ["tests/core/test_lifecycle.py", "tests/core/test_transitions.py"],
    "batcher/core/policy.py": ["tests/core/test_policy.py", "tests/core/test_error_classes.py"],
    "batcher/core/wire.py": ["tests/core/test_wire.py", "tests/core/test_error_classes.py"],
    "batcher/core/flight.py": ["tests/core/test_flight.py"],
    "batcher/core/replies.py": [
        "tests/core/test_refusals.py",
        "tests/core/test_results_read.py",
        "tests/edges/test_client.py",
    ],
    "batcher/stages/recovery.py": ["tests/stages/test_proofs.py", "tests/stages/test_recovery.py"],
    "batcher/stages/fetcher.py": ["tests/stages/test_room.py", "tests/stages/test_hard_times.py"],
    "batcher/ledger/effects.py": ["tests/ledger/test_effects.py", "tests/ledger/test_ledger.py"],
    "batcher/ledger/admission.py": ["tests/ledger/test_admission.py", "tests/ledger/test_ledger.py"],
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


def changes(module: str) -> list[Change]:
    """Every change of the module that still is Python, each once."""
    from cosmic_ray.mutating import mutate_code
    from operators import operators

    source = (ROOT / module).read_text()
    found: dict[str, Change] = {}
    for name, operator in operators():
        occurrence = 0
        while (changed := mutate_code(source, operator, occurrence)) is not None:
            occurrence += 1
            if changed != source and _is_python(changed):
                found.setdefault(changed, Change(module, name, *_difference(source, changed), changed))
    return sorted(found.values(), key=lambda change: (change.line, change.operator, change.now))


def _is_python(source: str) -> bool:
    try:
        compile(source, "changed", "exec")
    except SyntaxError:
        return False
    return True


def _difference(source: str, changed: str) -> tuple[int, str, str]:
    """The first line that differs, and what stood and stands there."""
    before, after = source.splitlines(), changed.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    blocks = [block for block in matcher.get_opcodes() if block[0] != "equal"]
    was = [line.strip() for _, first, last, _, _ in blocks for line in before[first:last]]
    now = [line.strip() for _, _, _, first, last in blocks for line in after[first:last]]
    return blocks[0][1] + 1, " ".join(was), " ".join(now)


# --- a change in force ----------------------------------------------------------------------------------------------


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
    """And end it, for it has batcher with the change in it. Exit code 0: the tests noticed nothing."""
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
    """What is imported once, before the first change, to be there in each process; batcher itself never is."""
    return "pytest pytest_asyncio pytest_timeout xdist hypothesis.stateful aiohttp msgspec sqlite_utils click".split()


def outcome_of(change: Change, tests: Sequence[str]) -> str:
    """`killed`, `survived` or `timeout`."""
    process = multiprocessing.get_context("fork").Process(target=test_in_this_process, args=(change, tests))
    process.start()
    process.join(SECONDS_AT_MOST)
    if process.is_alive():
        process.kill()
        process.join()
        return "timeout"
    return "killed" if process.exitcode else "survived"


def unchanged(module: str) -> Change:
    """The module as it is: its tests must be green with it, or nothing is shown by their being red."""
    return Change(module, "none", 0, "", "", (ROOT / module).read_text())


# --- the whole ------------------------------------------------------------------------------------------------------


def accepted() -> dict[tuple[str, str, str], str]:
    """Why a change may survive, by module and by what it was and is."""
    entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
    return {(e["module"], " ".join(e["was"].split()), " ".join(e["now"].split())): e["reason"] for e in entries}


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
    if outcome_of(unchanged(module), TESTS[module]) != "survived":
        print(f"{module}: its tests are red without any change, so they show nothing", flush=True)
        return False
    all_of_it = changes(module)
    rng = random.Random(f"{options.seed} {module}")
    whole = options.all or options.sample >= len(all_of_it)
    chosen = all_of_it if whole else rng.sample(all_of_it, options.sample)
    began, tally, unnamed = time.monotonic(), Counter[str](), 0
    for change in chosen:
        outcome = outcome_of(change, TESTS[module])
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
        f"{module}: {len(chosen)} of {len(all_of_it)} changes: {tally['killed']} killed, {tally['timeout']} timeouts,"
        f" {tally['survived']} survived ({share:.1%}), {unnamed} of them without a name,"
        f" {tally['equivalent']} equivalent; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    if whole:
        for stale in set(named) - {_key(change) for change in all_of_it}:
            if stale[0] == module:
                print(f"accepted.toml names what is no more: {module}: {stale[1]} → {stale[2]}")
    return share <= SURVIVORS_AT_MOST and not unnamed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", action="append", choices=TESTS, help="this one alone; may be repeated")
    parser.add_argument("--sample", type=int, default=25, help="changes of each module (default 25)")
    parser.add_argument("--all", action="store_true", help="every change")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--verbose", action="store_true", help="tell each change")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
