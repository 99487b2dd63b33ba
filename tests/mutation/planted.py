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
KEPT_ROOM: Final = "batcher/stages/kept_room.py"
ROOM: Final = "tests/stages/test_kept_room.py"
RUN_SPEND: Final = "batcher/ledger/run_spend.py"
SPENDING: Final = "tests/ledger/test_run_spend.py"
CLAIM: Final = "batcher/ledger/claim.py"
CLAIMS: Final = "tests/ledger/test_claim.py"
IDENTITY: Final = "tests/stages/test_identity.py"
GUARD: Final = "batcher/stages/repay_guard.py"
CONSENT: Final = "tests/stages/test_repay_guard.py"
REPAIR: Final = "batcher/ledger/queries/repair.py"
AGAIN: Final = "tests/stages/test_done_again.py"
REBUILD: Final = "batcher/maintenance/rebuild.py"
REPLAY: Final = "tests/maintenance/test_replay.py"

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
    # Room for later steps.
    Defect(
        "later steps count for nothing where the first one is begun",
        "batcher/core/reservations.py",
        (("    for one in later:\n", "    for one in ():\n"),),
        "tests/stages/test_caps.py::test_a_document_whose_steps_together_exceed_the_cap_is_not_begun",
    ),
    Defect(
        "no room is kept once the first step is sent",
        "batcher/ledger/event_writes.py",
        (("        run_spend.keep(connection, step.document, one)\n", "        pass\n"),),
        f"{SPENDING}::test_room_is_kept_for_later_steps_as_long_as_the_first_one_may_be_followed",
    ),
    Defect(
        "room is kept though the first step has come to nothing",
        RUN_SPEND,
        (("AND EXISTS (SELECT 1 FROM kept)", "AND 0"),),
        f"{SPENDING}::test_room_is_kept_for_later_steps_as_long_as_the_first_one_may_be_followed",
    ),
    Defect(
        "later steps wait for one another's room",
        "batcher/ledger/event_writes.py",
        (
            (
                "or (not has_room and run_spend.keeps_room(connection))",
                "or run_spend.keeps_room(connection)",
            ),
        ),
        f"{SPENDING}::test_later_steps_do_not_wait_for_one_another_s_room",
    ),
    Defect(
        "the submitter waits for later steps that never come",
        KEPT_ROOM,
        (("change.before in OUT and change.after not in FOLLOWED", "False"),),
        f"{ROOM}::test_a_first_step_that_ends_or_is_sent_again_frees_what_follows_it",
    ),
    Defect(
        "other documents are begun in the room of later steps",
        KEPT_ROOM,
        (("if self.limit or (self._may_shrink and self._before):", "if False:"),),
        f"{ROOM}::test_near_a_limit_only_what_is_begun_and_its_later_steps_are_sent",
    ),
    Defect(
        "later steps stand in line behind documents that aren't begun",
        KEPT_ROOM,
        (("self._released.add(document)", "pass"),),
        f"{ROOM}::test_what_room_is_kept_for_is_sent_first",
    ),
    Defect(
        "the ledger keeps room for what the submitter has given up",
        KEPT_ROOM,
        (("await self._ledger.free_room(step)", "pass"),),
        f"{ROOM}::test_what_does_not_fit_has_no_room_in_the_ledger_either",
    ),
    # The claim.
    Defect(
        "an older copy is believed",
        CLAIM,
        (("return own.generation >= claim.generation", "return True"),),
        f"{CLAIMS}::test_an_older_copy_is_refused_with_how_far_it_is_behind",
    ),
    Defect(
        "another ledger's output is taken",
        CLAIM,
        (("own.ledger == claim.ledger and _is_ahead(own, claim)", "_is_ahead(own, claim)"),),
        f"{CLAIMS}::test_results_of_another_ledger_are_not_taken",
    ),
    Defect(
        "a new ledger takes any output",
        CLAIM,
        (
            (
                "(own is not None and own.ledger == claim.ledger and _is_ahead(own, claim))",
                "own is None or (own.ledger == claim.ledger and _is_ahead(own, claim))",
            ),
        ),
        f"{CLAIMS}::test_results_of_another_ledger_are_not_taken",
    ),
    Defect(
        "a crash between ledger and claim locks its owner out",
        CLAIM,
        (("own.generation >= claim.generation", "own.generation == claim.generation"),),
        f"{CLAIMS}::test_a_ledger_that_is_level_or_ahead_is_believed",
    ),
    Defect(
        "runs leave a ledger where it was",
        CLAIM,
        (("    connection.execute(_ADVANCE)\n", ""),),
        f"{CLAIMS}::test_a_ledger_has_an_id_from_its_first_run_on_and_grows_by_one",
    ),
    # What an audit has settled, and whose a result is.
    Defect(
        "jobs that an audit has settled wait for another look",
        "batcher/ledger/queries/tracking.py",
        (('f" AND a.rowid > {AUDITED} ORDER BY a.number"', '" ORDER BY a.number"'),),
        "tests/ledger/test_ledger.py"
        "::test_a_job_whose_audit_is_done_may_be_deleted_without_another_look",
    ),
    Defect(
        "a copy is made from an exchanged result",
        "batcher/ledger/queries/fragments.py",
        (
            (
                """f" AND (coalesce({row}.superseded_from, 'saved') = 'saved' OR {unsent})))\"""",
                '"))"',
            ),
        ),
        "tests/ledger/test_ledger.py"
        "::test_a_result_that_is_to_be_replaced_is_not_found_again_by_its_content",
    ),
    Defect(
        "a copy is made from a result whose own job has failed since",
        "batcher/ledger/queries/fragments.py",
        (("= 'saved' OR {unsent})))", "IN ('saved', 'queued', 'uploaded'))))"),),
        "tests/ledger/test_intake.py::test_a_result_whose_job_has_failed_since_is_nobody_s",
    ),
    # Documents of one name, copies, and what is done again.
    Defect(
        "of documents of one name the last one alone waits for consent",
        GUARD,
        (
            (
                "held = self._held.setdefault((version.folder, version.source), [])",
                'held = self._held[("", version.source)] = []',
            ),
        ),
        f"{IDENTITY}::test_any_number_of_sources_may_have_the_same_names",
    ),
    Defect(
        "addresses in another listing count as moved",
        "batcher/manifest/model.py",
        (("(self.folder, str(self.listing))", "(self.folder,)"),),
        f"{IDENTITY}::test_an_address_in_two_listings_with_other_options_is_two_documents",
    ),
    Defect(
        "all rows of a listing count as those of the first one's folder",
        "batcher/stages/scanner.py",
        (
            (
                "others = sorted(folders - {folder})",
                "others = sorted(folders - {group[0].folder})",
            ),
        ),
        f"{IDENTITY}::test_a_listing_may_have_addresses_and_paths",
    ),
    Defect(
        "of many results of the same bytes only the latest are looked for",
        "batcher/stages/copier.py",
        (("some = self._ledger.sharing.results_like(copy, below=below)", "some = []"),),
        "tests/stages/test_copies.py::test_of_many_results_the_one_that_is_still_there_is_found",
    ),
    Defect(
        "a retry doesn't know what has been replaced",
        REPAIR,
        (("OR ?2 AND o.state = 'superseded'", "OR 0 AND o.state = 'superseded'"),),
        f"{AGAIN}::test_a_document_that_failed_takes_the_result_that_its_twin_had_before_it_was_edited",
    ),
    Defect(
        "a repair knows the document's own jobs alone",
        REPAIR,
        (
            (
                "WHERE d.id = ? AND a.cleaned_at IS NULL",
                "WHERE d.id = ? AND a.document = d.id AND a.cleaned_at IS NULL",
            ),
        ),
        f"{AGAIN}::test_a_copy_is_fetched_again_where_the_service_still_has_its_payers_job",
    ),
    Defect(
        "what waits for consent outlives another walk",
        GUARD,
        (("self._holds -= len(self._held.pop(place, ()))", "pass"),),
        f"{CONSENT}::test_what_waits_is_what_the_last_walk_found",
    ),
    Defect(
        "a change that fits by itself lifts the limit",
        GUARD,
        (
            (
                "            self._unasked = NO_LIMIT\n        for job,",
                "            pass\n        self._unasked = NO_LIMIT\n        for job,",
            ),
        ),
        f"{CONSENT}::test_a_change_that_fits_by_itself_lifts_no_limit",
    ),
    Defect(
        "one old document makes way for two new ones",
        "batcher/ledger/intake.py",
        (("if version.replaces is not None and not _is_current", "if False and not _is_current"),),
        f"{CONSENT}::test_one_old_document_makes_way_for_one_new_one",
    ),
    Defect(
        "what a twin has got is out of reach for a document that failed",
        "batcher/stages/second_tries.py",
        (("dict(ledger.sharing.failed_beside_a_result(ledger.scan))", "{}"),),
        "tests/stages/test_second_tries.py::test_what_a_twin_has_got_meanwhile_is_copied",
    ),
    Defect(
        "a held document that joins another leaves its submission open",
        "batcher/ledger/event_writes.py",
        (("(State.HELD, e.Rejoined): _closed", "(State.SAVED, e.Rejoined): _closed"),),
        "tests/ledger/test_ledger.py::test_what_is_in_doubt_is_decided_for_itself",
    ),
    Defect(
        "a held document joins a result that was replaced",
        REPAIR,
        (("replaced and candidate.state not in _IN_DOUBT", "replaced"),),
        "tests/ledger/test_ledger.py::test_what_is_in_doubt_is_decided_for_itself",
    ),
    Defect(
        "the journal doesn't tell of copies",
        "batcher/ledger/journal.py",
        (("isinstance(event, e.Saved) and _is_copy(connection, event.document)", "False"),),
        f"{REPLAY}::test_a_copy_is_known_where_it_lies",
    ),
    Defect(
        "a renamed folder's documents stand beside those of the old one",
        REBUILD,
        (("row = row or asked.current_at(", "row = row and asked.current_at("),),
        f"{REPLAY}::test_a_folder_that_was_renamed_holds_the_same_documents",
    ),
    Defect(
        "bytes that came back are the version that they were before",
        REBUILD,
        (("if all(old == known or", "if True or all(old == known or"),),
        f"{REPLAY}::test_the_same_bytes_that_came_back_are_a_version_of_their_own",
    ),
    Defect(
        "what made way for something unsent stays in the way",
        REBUILD,
        (("intake.stand_down(self._connection, other, at, intake.Moved())", "pass"),),
        f"{REPLAY}::test_a_stuck_document_that_something_unsent_replaced_is_in_nobody_s_way",
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
