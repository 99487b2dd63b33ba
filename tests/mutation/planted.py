"""Defects that went unseen once: each is planted in turn, and the test that must notice it has to
go red.

`python tests/mutation/planted.py`; `--only WORDS` takes those whose name has the words. Exit code 1
where one isn't noticed, where its test is red without it, or where the place it was planted in is
no more: then find the new one.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import dataclass
from typing import Final

from run import ROOT, Change, importable, outcome_of, unchanged


@dataclass(frozen=True, slots=True)
class Defect:
    """`edits` are pairs of what stands in the module and what the defect makes of it; the first
    that fits is taken.
    """

    name: str
    module: str
    edits: tuple[tuple[str, str], ...]
    test: str

    def planted(self) -> Change | None:
        source = (ROOT / self.module).read_text()
        for was, now in self.edits:
            if source.count(was) == 1:
                return Change(self.module, "planted", 0, was, now, source.replace(was, now))
        return None


RECOVERY: Final = "batcher/stages/recovery.py"
ABSENCE: Final = "batcher/core/absence.py"
PROOFS: Final = "tests/stages/test_capability_checks.py"

DEFECTS: Final = (
    Defect(
        "an upload the service wouldn't delete counts as fenced",
        RECOVERY,
        (("self._unfenced.add(attempt.nonce)", "pass"),),
        f"{PROOFS}::test_an_upload_that_is_not_deleted_is_no_fence",
    ),
    Defect(
        "the fence is not proven",
        ABSENCE,
        (("not_proven = {LISTING, FENCE} - ", "not_proven = {LISTING} - "),),
        f"{PROOFS}::test_without_proof_that_deleting_works_nothing_is_absent",
    ),
    Defect(
        "an unknown status is taken for ended",
        "batcher/core/inflight.py",
        (
            (
                "if answer.status not in (JobStatus.FAILED, JobStatus.CANCELLED):",
                'if answer.status in ("Pending", "InProgress", "Completing", "Idle", "Completed"):',
            ),
        ),
        "tests/core/test_inflight.py::test_a_job_runs_until_one_of_three_words_is_said",
    ),
    Defect(
        "three 404s are enough, whoever else answers",
        "batcher/core/inflight.py",
        (("misses >= MISSES and others_answer and", "misses >= MISSES and"),),
        "tests/core/test_inflight.py::test_a_job_is_lost_when_three_404s_agree_and_others_are_known",
    ),
    Defect(
        "an adopted job's deadline counts from its adoption",
        RECOVERY,
        (
            (
                "deadline = attempt.sent_at + self._account.retention",
                "deadline = self._clock() + self._account.retention",
            ),
        ),
        f"{PROOFS}::test_an_adopted_job_expires_by_its_submission_not_by_its_adoption",
    ),
    Defect(
        "the journal is not synced",
        "batcher/ledger/journal.py",
        (("        os.fsync(self._fd)\n", ""),),
        "tests/ledger/test_journal.py::test_what_the_ledger_has_answered_for_outlives_a_power_cut",
    ),
    Defect(
        "a job is adopted by its nonce alone, its upload says nothing",
        "batcher/stages/job_list_scan.py",
        (("elif attempt.has_upload and names_upload(text, str(attempt.file_id)):", "elif False:"),),
        f"{PROOFS}::test_a_job_is_known_by_its_nonce_or_by_its_upload",
    ),
    Defect(
        "four proven absences for three",
        ABSENCE,
        (("ABSENCES_AT_MOST: Final = 3", "ABSENCES_AT_MOST: Final = 4"),),
        f"{PROOFS}::test_with_both_proofs_it_is_sent_anew_twice_and_then_given_up",
    ),
    Defect(
        "room is not given back where a result can't be read",
        "batcher/stages/fetcher.py",
        (
            (
                "            finally:\n                loan.give_back()\n",
                "            finally:\n                pass\n",
            ),
        ),
        "tests/stages/test_room.py::test_what_cannot_be_read_gives_back_its_room",
    ),
    # The single changes that no test had noticed either.
    Defect(
        "an error's name counts for nothing where a rule knows it",
        "batcher/core/retry_policy.py",
        (
            ("if refused.name in self.rules:", "if refused.name not in self.rules:"),
            ("refused.name in", "None in"),
        ),
        "tests/reducto/test_error_rules.py::test_a_name_says_more_than_its_status",
    ),
    Defect(
        "what may be the document's fault is paid for once",
        "batcher/reducto/error_rules.py",
        (("for name in _TRIED_TWICE.split()", 'for name in "".split()'),),
        "tests/reducto/test_error_rules.py::test_it_is_paid_for_as_often_as_it_is_worth",
    ),
    *(
        Defect(
            f"{status} is a refusal like any other",
            "batcher/reducto/responses.py",
            ((f"    {status}: Gone,\n", ""),),
            "tests/reducto/test_refusals.py::test_a_status_means_one_thing",
        )
        for status in (409, 410)
    ),
    Defect(
        "a job that was deleted isn't missed by the one that reads it",
        "batcher/reducto/error_rules.py",
        (("ErrorName.JOB_DELETED,", ""),),
        "tests/core/test_inflight.py::test_a_job_that_ends_for_want_of_its_input_counts_as_none",
    ),
    Defect(
        "what is begun again never comes after its upstream step",
        "batcher/core/lifecycle.py",
        (
            (
                "    Rejoined: State.DUPLICATE,\n    Follows: State.FOLLOWING,\n",
                "    Rejoined: State.DUPLICATE,\n",
            ),
        ),
        "tests/core/test_transitions.py::test_it_leads_where_it_should",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name has these words")
    wanted = parser.parse_args().only
    for name in importable():
        importlib.import_module(name)
    unseen = [
        defect.name for defect in DEFECTS if wanted in defect.name and not _is_noticed(defect)
    ]
    return 1 if unseen else 0


def _is_noticed(defect: Defect) -> bool:
    change = defect.planted()
    if change is None:
        word = f"no longer has its place in {defect.module}"
    elif not _is_green(unchanged(defect.module), defect.test):
        word = f"can't be judged: {defect.test} is red without it"
    elif _is_green(change, defect.test):
        word = f"is not noticed by {defect.test}"
    else:
        print(f"noticed: {defect.name}", flush=True)
        return True
    print(f"NOT NOTICED: {defect.name}: {word}", flush=True)
    return False


def _is_green(change: Change, test: str) -> bool:
    return outcome_of(change, [test]) == "survived"


if __name__ == "__main__":
    sys.exit(main())
