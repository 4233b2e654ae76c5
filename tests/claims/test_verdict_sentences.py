"""docs/verdicts.md, sentence by sentence: each claim of the page, and the test that holds it.

A claim is a list item of the page: the text behind a dash, to the next empty line or dash. The rest explains, and
claims nothing. What other files did not test is tested below the table.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconcile import failed_windows, window
from reconcile.due import plan
from reconcile.due.rounds import Round, run_due
from reconcile.reading import job_proof, jobs, reader, resume, scan
from reconcile.run import by_id, follow_up, runner
from rollbook.genesys.errors import ApiError, NotFound, PermissionRefused, Unavailable
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables import windows
from rollbook.store.tables.conversations import Read
from tests.helpers.liar import Answer, Liar, Scene, runs, scene_at
from tests.helpers.oracle import EXCUSES
from tests.helpers.organisation import START, WINDOW, page, record
from tests.helpers.paths import ROOT

TESTS: Final = ROOT / "tests"
PAGE: Final = ROOT / "docs" / "verdicts.md"
DAY: Final = 1440.0  # minutes

# A sentence of the page → the test that holds it.
HOLDS: Final[Mapping[str, str]] = {
    "**Claims** that the window goes on, or ended less than the lag ago (ten minutes).": (
        "reconcile/due/test_rounds.py::test_a_window_within_the_lag_waits"
    ),
    "**Rests on** the platform's time, where an answer has named it.": (
        "claims/test_capture.py::test_the_platforms_clock_decides_what_has_closed"
    ),
    "**Rests on** no reading: what is read within the lag is filed with its figures, and read again at its time.": (
        "claims/test_clocks.py::test_what_is_read_within_the_lag_is_still_due"
    ),
    "**Cannot see** what capture did not hear.": (
        "claims/test_verdict_sentences.py::test_a_window_that_waits_has_what_was_heard"
    ),
    "**Claims** that the window is over, and that nobody has read it since.": (
        "reconcile/due/test_rounds.py::test_the_ledger_shows_what_waits"
    ),
    "**Rests on** a plan that skips no time: from the beginning on, whatever is not proven is due, on its way, or"
    " tried again.": ("reconcile/due/test_plan.py::test_no_window_is_ever_skipped"),
    "**Cannot see** what capture did not hear, as `pending` cannot.": (
        "claims/test_verdict_sentences.py::test_a_window_that_waits_has_what_was_heard"
    ),
    "**Cannot see** what lies before the beginning, which is `since`, or the first start of capture.": (
        "reconcile/due/test_plan.py::test_from_the_first_start_of_capture_everything_is_due"
    ),
    "**Claims** that the store has every conversation of the window, and that some of them had not ended when "
    "they were last read.": ("reconcile/run/test_runner.py::test_open_is_followed_until_it_ends"),
    "**Rests on** a consistent reading (below), and on details without an end, whatever was heard of an end.": (
        "claims/test_follow.py::test_an_end_that_was_heard_before_the_first_read_closes_no_window"
    ),
    "**Cannot see** what happens to a conversation between two questions for it, which are some minutes apart.": (
        "reconcile/due/test_ledger.py::test_the_daemon_asks_for_what_goes_on_every_few_minutes_only"
    ),
    "**Claims** that the store has every conversation of the window that the platform had indexed when it was read.": (
        "reconcile/run/test_runner.py::test_a_proof_is_the_truth_of_membership"
    ),
    "**Claims** that the details of each have an end, or that it is `stuck` or `gone`.": (
        "claims/test_follow.py::test_an_end_that_is_only_heard_closes_no_window"
    ),
    "**Rests on** a consistent reading, also where there is nothing.": (
        "reconcile/run/test_runner.py::test_an_empty_window_is_complete"
    ),
    "**Cannot see** what the platform indexes later than the lag, until the settling reading.": (
        "claims/test_verdict_sentences.py::test_what_is_indexed_late_is_found_by_the_settling_reading"
    ),
    "**Claims** the same as `complete`, after the platform has rewritten what it rewrites at night.": (
        "claims/test_clocks.py::test_a_window_of_the_night_settles_after_its_reprocessing"
    ),
    "**Rests on** a second consistent reading, an hour after the first one at least, when `settle_after` (five "
    "days) has passed.": (
        "reconcile/run/test_runner.py::test_a_first_read_after_the_reprocessing_is_settled_by_a_second_one"
    ),
    "**Cannot see** what changes later still (an evaluation, a survey): whoever reads the window again gets it, "
    "and the store keeps both versions.": ("reconcile/run/test_runner.py::test_a_late_change_keeps_the_old_version"),
    "**Claims** nothing of what the store lacks: what was read is stored.": (
        "reconcile/run/test_runner.py::test_what_cannot_be_proven_fails_and_is_tried_again_later_and_later"
    ),
    "**Rests on** a reason, which the ledger keeps with the attempt.": (
        "trouble/test_rounds.py::test_one_window_that_cannot_be_read_stops_no_other"
    ),
    "**Cannot see** whether everything is there all the same, as where only the list lacks a conversation.": (
        "reconcile/run/test_runner.py::test_a_row_that_is_never_listed_again_is_kept"
    ),
    "A filtered window is proven for its filter only, and has a row of its own.": (
        "reconcile/run/test_runner.py::test_a_filter_is_proven_for_itself_only"
    ),
    "Windows of the grid that lie wholly inside a wider interval take over its proof, if theirs is worth less.": (
        "store/test_book.py::test_grid_windows_inherit_a_proof_and_keep_a_better_one"
    ),
    "Nothing takes over what was read within the lag.": (
        "claims/test_clocks.py::test_what_is_read_within_the_lag_is_inherited_by_nothing"
    ),
    "A wide window that waits hides no window inside it.": (
        "claims/test_ledger.py::test_only_what_was_read_covers_time"
    ),
    "A wide window that failed hides none either.": (
        "claims/test_ledger.py::test_a_failed_row_of_another_width_covers_no_time"
    ),
    "Nothing is deleted because an answer lacks it.": "reconcile/run/test_runner.py::test_a_row_that_is_gone_is_kept",
    "Rows are asked for ascending by `conversationStart`, a hundred a page, without a filter that nobody gave.": (
        "reconcile/reading/test_query.py::test_a_page_is_asked_for_as_the_contract_says"
    ),
    "Every page is read until an empty one; a short page ends nothing.": (
        "reconcile/reading/test_query.py::test_every_page_is_read_until_an_empty_one"
    ),
    "A reading in which `totalHits` moves proves nothing.": (
        "claims/test_verdict_sentences.py::test_a_total_that_moves_proves_nothing"
    ),
    "No id comes twice, no row is without an id, and as many ids come as `totalHits` says.": (
        "reconcile/reading/test_reader.py::test_what_can_not_be_counted_is_not_consistent"
    ),
    "What goes on and has no start that can be read lets no window be proven that lists it: nobody knows which one it holds open.": (
        "claims/test_members.py::test_what_goes_on_and_has_no_start_lets_no_window_be_complete"
    ),
    "An answer without rows is asked for again, two seconds later, before it is believed.": (
        "claims/test_reading.py::test_nothing_is_asked_for_twice"
    ),
    "Of a reading of two to six pages with rows, each page but the last is asked for again: a row that slid from "
    "one page to another shows there.": ("claims/test_proof.py::test_a_shift_of_pages_is_seen"),
    "Longer readings are not asked for again, because a proof costs at most a tenth more requests than its pages,"
    " and six.": (
        "reconcile/reading/test_reader.py::test_five_thousand_moving_conversations_within_the_bound_of_requests"
    ),
    "A body that is no page of details proves nothing, whatever its status (an error's body with 200).": (
        "trouble/test_answers.py::test_a_body_that_is_never_a_page_proves_nothing"
    ),
    "Pages that bring nothing new come to an end, and prove nothing.": (
        "trouble/test_bounds.py::test_a_query_whose_pages_stand_still_comes_to_an_end"
    ),
    "A record that cannot be decoded keeps its bytes, costs no other record, and its window is not proven without"
    " it.": ("trouble/test_answers.py::test_one_bad_record_costs_no_other"),
    "Bad bytes are mended where it is certain what they mean.": (
        "genesys/messages/test_details.py::test_a_record_with_bad_bytes_is_mended"
    ),
    "An empty answer from before the platform's retention proves nothing.": (
        "reconcile/due/test_ledger.py::test_an_empty_answer_from_before_the_retention_proves_nothing"
    ),
    "What moved is read again after a pause: that alone, in narrower intervals.": (
        "reconcile/reading/test_reader.py::test_only_what_moved_is_read_again_and_narrower"
    ),
    "After eight passes the window fails.": (
        "reconcile/reading/test_query.py::test_an_answer_that_never_agrees_with_itself_ends_after_its_tries"
    ),
    "Where a proof has several parts, their totals are asked for again at the end: what has entered a part since "
    "it was read shows there.": ("claims/test_proof.py::test_after_a_first_pass_every_part_is_asked_again_too"),
    "Where that would cost too much, totals of wider intervals are asked for, and no part is left out.": (
        "claims/test_proof.py::test_a_bound_on_cost_leaves_no_part_unasked"
    ),
    "What was read by direction must add up to the whole: there may be a direction that nobody knows.": (
        "claims/test_proof.py::test_the_parts_of_a_split_add_up_to_the_whole"
    ),
    "What went on when its page was read, passes ago, is asked for by id at the end.": (
        "reconcile/run/test_runner.py::test_what_ends_behind_its_page_is_asked_for_at_the_end"
    ),
    "The first window of a day also reads the last five minutes of the day before: a start may be corrected "
    "across midnight.": (
        "claims/test_clocks.py::test_a_start_that_is_corrected_across_midnight_is_in_one_of_the_windows"
    ),
    "What starts around midnight is looked at as the reading begins, too: what crosses midnight during it is asked for "
    "by id.": "claims/test_members.py::test_what_crosses_midnight_while_the_day_is_read_is_asked_for_by_id",
    "Where that was more than a page, and the five minutes show nothing, they are asked for once more.": (
        "claims/test_members.py::test_one_look_over_midnight_that_shows_nothing_is_repeated"
    ),
    "An answer whose rows do not overlap what was asked for is one of whole days, and is not cut up.": (
        "reconcile/reading/test_reader.py::test_whole_days_are_recognised_and_not_cut_up"
    ),
    "A row whose own times make no sense shows nothing of that.": (
        "claims/test_reading.py::test_one_odd_row_makes_no_whole_days"
    ),
    "A day that grows while it is read is judged by the rows that the window owns: two readings in a row must "
    "have found the same.": ("reconcile/run/test_runner.py::test_whole_days_are_judged_by_what_the_window_owns"),
    "Each of the two must have as many ids as its totals say.": (
        "claims/test_reading.py::test_whole_days_twice_alike_account_for_the_totals_too"
    ),
    "Where the window's rows are on a few pages, these are then asked for once more: what has come to the window since "
    "they were read shows there.": ("reconcile/reading/test_reader.py::test_it_converges_once_movement_stops"),
    "A day that has grown while its pages were asked for again is asked for again at its end, too, where the window's rows reach to there.": (
        "claims/test_members.py::test_a_row_that_comes_behind_a_day_that_is_only_growing_is_seen"
    ),
    "A day's windows are proven by one reading, each with a report of its own.": (
        "reconcile/due/test_rounds.py::test_windows_of_a_day_are_read_together_where_days_are_answered"
    ),
    "A day that is not over is read every four hours, not with each of its windows.": (
        "reconcile/due/test_ledger.py::test_a_day_that_is_answered_whole_is_not_read_with_each_of_its_windows"
    ),
    "A query that is refused as too much, or that a gateway cannot answer, is asked for in narrower intervals, "
    "whatever the error is called.": ("trouble/test_answers.py::test_a_query_that_is_too_wide_is_asked_in_pieces"),
    "Where narrower intervals do not help, pages become smaller: 25 rows, 5, 1.": (
        "trouble/test_answers.py::test_heavy_records_that_start_together_come_in_smaller_pages"
    ),
    "One record that no answer can hold fails its window, and no other.": (
        "trouble/test_answers.py::test_one_record_that_no_answer_can_hold_fails_its_window_alone"
    ),
    "More than 100,000 rows are read in narrower intervals, and by direction where time cannot cut any more.": (
        "reconcile/reading/test_reader.py::test_more_rows_than_can_be_paged_are_split"
    ),
    "What the query cannot bring is read by a job.": (
        "claims/test_verdict_sentences.py::test_what_the_query_cannot_bring_is_read_by_a_job"
    ),
    "What a job cannot bring is read by the query.": (
        "trouble/test_answers.py::test_a_job_whose_results_cannot_be_had_is_read_another_way"
    ),
    "Ids that cannot be answered together are asked for in halves, down to the one whose fault it is.": (
        "trouble/test_rounds.py::test_one_id_that_cannot_be_answered_hides_no_other"
    ),
    "Only the first question that a platform refuses like that is asked six times, over half a minute: in the rest of "
    "the round what can be made smaller is asked twice.": (
        "reconcile/test_patience.py::test_a_platform_that_refuses_what_is_too_much_is_waited_for_once_in_a_round"
    ),
    "An answer that trickles is given up, and fails its window alone.": (
        "trouble/test_bounds.py::test_a_query_that_trickles_is_given_up"
    ),
    "What any answer of the query shows is stored, whatever was asked: a total, a look over midnight, a page again.": (
        "claims/test_shown.py::test_what_is_shown_with_a_total_must_be_known_before_it_settles"
    ),
    "What was shown so, and started in the window that is read, must be in the answer that proves it.": (
        "claims/test_shown.py::test_a_window_is_not_proven_against_what_its_look_over_midnight_has_shown"
    ),
    "An answer by id with nothing that was asked for knows nothing.": (
        "claims/test_shown.py::test_an_answer_with_nothing_that_was_asked_for_knows_nothing"
    ),
    "An answer for one id that was cut, broken, too slow or a gateway's says nothing of that id: until the platform"
    " itself answers, the window of what was heard is `failed`.": (
        "claims/test_shown.py::test_an_answer_by_id_that_cannot_be_had_denies_nothing"
    ),
    "A refusal says nothing of an id where the platform refuses what it has listed as well, or the client lacks the "
    "permission to ask by id.": "claims/test_shown.py::test_a_refusal_of_every_id_denies_nothing",
    "What is first heard of after its window was proven takes that proof back.": (
        "claims/test_shown.py::test_what_is_heard_after_its_window_was_proven_takes_the_proof"
    ),
    "What capture heard, and an answer lacks, is asked for by id: what exists and started in the window sends the"
    " reader back.": ("claims/test_reading.py::test_what_capture_heard_is_held_against_an_empty_answer"),
    "With `--ended-only` that holds for what is known to have ended, the lag ago at least.": (
        "claims/test_members.py::test_finished_ones_that_are_known_must_be_in_the_answer"
    ),
    "While a conversation that exists is never listed, its window is `failed`.": (
        "trouble/test_answers.py::test_a_list_without_what_exists_proves_nothing"
    ),
    "What is found by id without a start exists, and began when it is known to have begun.": (
        "claims/test_members.py::test_a_conversation_that_is_found_without_its_start_exists"
    ),
    "What becomes known while the last questions of a reading are asked is held against it when it is filed.": (
        "claims/test_members.py::test_what_becomes_known_behind_the_reading_is_held_against_it"
    ),
    "What an earlier reading had is asked for as well, and until it is found or `gone` nothing is proven.": (
        "claims/test_follow.py::test_what_was_read_before_is_not_gone_because_one_answer_is_empty"
    ),
    "Where neither the list nor an answer by id has anything at all, what was heard keeps the window `failed`.": (
        "reconcile/run/test_runner.py::test_heard_and_an_answer_that_knows_nothing"
    ),
    "What was heard and is found nowhere, while others are found, is kept as a gap (`live_only`), and holds "
    "nothing up.": ("reconcile/run/test_runner.py::test_heard_live_and_never_listed"),
    "A check that a stop cut short counts as not made.": (
        "claims/test_follow.py::test_a_check_that_a_stop_cut_short_has_not_been_made"
    ),
    "A job counts only if the watermark was at or past the window's end before, after, and on every page.": (
        "reconcile/reading/test_jobs.py::test_the_watermark_must_hold_on_every_page_and_afterwards"
    ),
    "A window that ends after the watermark is not read by a job: exit status 1, and the ledger does not call it "
    "`failed`.": ("reconcile/run/test_runner.py::test_a_job_past_the_watermark_raises_and_writes_nothing"),
    "A page that does not name the watermark proves nothing and ends nothing: it is asked for four times, then "
    "the job is given up.": (
        "reconcile/reading/test_job_trouble.py::test_a_page_that_never_names_the_watermark_proves_nothing"
    ),
    "The query must count as many conversations (`totalHits`) as the job brought.": (
        "reconcile/reading/test_job_trouble.py::test_rows_that_no_job_brings_are_seen_in_the_total"
    ),
    "A total that differs is asked for three times before the job is not believed.": (
        "reconcile/reading/test_job_trouble.py::test_a_total_that_moves_is_asked_for_again"
    ),
    "A total of 100,000 or more, which is not counted further, is asked for by halves of the interval.": (
        "reconcile/reading/test_job_trouble.py::test_a_total_that_is_too_large_to_be_counted_is_asked_for_in_halves"
    ),
    "Where no total can be had, in halves either, the job proves nothing.": (
        "reconcile/reading/test_job_trouble.py::test_a_total_that_cannot_be_had_as_asked_is_asked_for_in_halves"
    ),
    "An interval of less than two hours is not halved: a total of 100,000 or more fits only as many rows.": (
        "reconcile/reading/test_job_trouble.py::test_more_than_can_be_counted_are_more_than_the_job_brought"
    ),
    "An answer that counts nothing is asked for three times as well.": (
        "reconcile/reading/test_job_trouble.py::test_one_answer_that_does_not_count_is_no_agreement"
    ),
    "An answer of no rows and no total must come twice in a row, where the job has brought nothing either.": (
        "claims/test_members.py::test_a_job_of_nothing_is_not_confirmed_by_one_answer_of_nothing"
    ),
    "Where nothing is counted there is nothing to compare, and the run's `passes` say so.": (
        "reconcile/reading/test_job_trouble.py::test_what_is_counted_nowhere_is_noted"
    ),
    "Then the job proves nothing if its data end within the lag after the window.": (
        "claims/test_shown.py::test_a_job_that_ends_within_the_lag_and_is_counted_by_nobody_proves_nothing"
    ),
    "A cursor that was followed before ends the results, and they are believed only if the query counts as many.": (
        "reconcile/reading/test_job_trouble.py::test_a_cursor_without_an_end_ends_within_a_few_pages"
    ),
    "A page that cannot be had is asked for in smaller ones (1000, 250, 50, 10 rows), from the first on.": (
        "reconcile/reading/test_job_trouble.py::test_a_page_that_cannot_be_had_is_asked_for_in_smaller_ones"
    ),
    "Then jobs are made over half of the interval, down to an hour.": (
        "reconcile/reading/test_job_trouble.py::test_a_job_over_too_much_is_made_over_half_of_it"
    ),
    "A job that ended otherwise is run once more.": (
        "reconcile/reading/test_job_trouble.py::test_a_job_that_ends_otherwise_is_run_once_more"
    ),
    "A state that nobody knows may be on the way: it is looked at for ten minutes.": (
        "reconcile/reading/test_job_trouble.py::test_a_state_that_nobody_knows_may_be_on_the_way"
    ),
    "Jobs that bring nothing are waited for two hours, all of a reading together.": (
        "reconcile/reading/test_job_trouble.py::test_jobs_that_take_long_to_fail_are_waited_for_no_longer_than_one_that_is_never_done"
    ),
    "Where the platform has too many jobs, a quarter of an hour is waited, and then the query is asked.": (
        "reconcile/reading/test_job_trouble.py::test_too_many_jobs_are_waited_for"
    ),
    "A conversation that exists and is not among the job's rows takes its proof, as it takes a query's.": (
        "trouble/test_answers.py::test_a_job_without_what_exists_proves_nothing"
    ),
    "What a job brings is as old as the oldest watermark that it named.": (
        "reconcile/reading/test_jobs.py::test_a_read_is_as_old_as_the_oldest_watermark"
    ),
    "An older read never overwrites a newer one.": "reconcile/run/test_runner.py::test_an_older_read_never_overwrites",
    "Every run keeps which divisions the client saw.": (
        "claims/test_eyes.py::test_each_proof_says_what_was_seen_when_it_was_made"
    ),
    "A reading during which they changed proves nothing.": (
        "claims/test_eyes.py::test_the_eyes_change_while_a_month_is_read"
    ),
    "A question for the divisions that failed is no answer: it is asked again.": (
        "claims/test_eyes.py::test_a_question_that_failed_is_no_answer"
    ),
    "A list of divisions that is empty, or counts more than it shows, is no answer either.": (
        "claims/test_members.py::test_a_list_of_divisions_that_shows_too_few_is_no_answer"
    ),
    "What changed and was changed back is noticed where another window of the round has looked meanwhile.": (
        "claims/test_members.py::test_a_division_that_is_given_back_is_noticed_where_somebody_looked_meanwhile"
    ),
    "Whoever sees less than the client that proved a window settles nothing of it.": (
        "claims/test_eyes.py::test_narrower_eyes_settle_nothing"
    ),
    "Whoever sees less calls nothing `gone`.": "claims/test_eyes.py::test_narrower_eyes_call_nothing_gone",
    "What the client cannot see by its divisions is not `gone`, though nobody has proven it.": (
        "claims/test_members.py::test_who_does_not_see_a_division_calls_nothing_of_it_gone"
    ),
    "No window takes over a proof of somebody who sees less.": (
        "claims/test_eyes.py::test_another_client_with_narrower_eyes_inherits_nothing"
    ),
    "A reading that was cut short is not continued by somebody who sees something else.": (
        "claims/test_eyes.py::test_a_reading_is_not_continued_with_wider_eyes"
    ),
    "Where it is not known what they see, no other OAuth client continues it.": (
        "claims/test_members.py::test_another_client_goes_on_with_nothing_where_nobody_may_say_what_it_sees"
    ),
    "A client that may not ask for its divisions proves a window, and the proof names none.": (
        "claims/test_verdict_sentences.py::test_a_client_that_may_not_ask_for_divisions_names_none"
    ),
    "Where another client has named its divisions, such a client proves nothing.": (
        "claims/test_verdict_sentences.py::test_who_may_not_ask_proves_nothing_after_somebody_who_may"
    ),
    "Time is the `Date` of the platform's answers and the seconds since: a lower bound, which never goes back.": (
        "genesys/api/test_platform_clock.py::test_the_time_is_a_lower_bound_that_never_goes_back"
    ),
    "Our own clock counts until the first answer.": (
        "genesys/api/test_platform_clock.py::test_before_an_answer_our_own_clock_serves"
    ),
    "Where our own clock agrees with that to two seconds, it is taken, because a `Date` has whole seconds.": (
        "genesys/api/test_platform_clock.py::test_our_own_time_serves_where_it_may_be_the_platforms"
    ),
    "Where our own clock is behind that by less than a minute, it is taken, too: a `Date` may be wrong by so much "
    "before anybody notices.": (
        "genesys/api/test_platform_clock.py::test_a_date_that_is_a_little_ahead_brings_no_time_forward"
    ),
    "A window that begins before the organisation's retention is not read: `--window` and `verify` are refused with"
    " exit status 2.": (
        "reconcile/due/test_platform_retention.py::test_a_window_that_begins_before_the_retention_is_refused_by_hand"
    ),
    "That holds where only its beginning is too old, and where it becomes too old while it is read.": (
        "reconcile/due/test_platform_retention.py::test_a_window_that_crosses_the_limit_while_it_is_read_is_not_proven"
    ),
    "What was proven before stays proven, and is not read again.": (
        "reconcile/due/test_platform_retention.py::test_what_is_proven_stays_proven_and_is_not_read_again"
    ),
    "What was not proven in time is `failed` for good, in one row of the ledger where nobody noted it before.": (
        "reconcile/due/test_platform_retention.py::test_what_nobody_can_prove_any_more_is_given_up_in_one_row"
    ),
    "An empty answer from the first day of the retention proves nothing: who deletes by the day may delete a day"
    " early.": (
        "reconcile/due/test_platform_retention.py::"
        "test_an_empty_answer_from_the_first_day_of_the_retention_proves_nothing"
    ),
    "Where the platform answers with whole days, only what the windows within the retention own is judged.": (
        "reconcile/due/test_platform_retention.py::test_the_first_day_may_be_read_where_answers_are_whole_days"
    ),
    "A longer retention brings nothing back: what two answers, ten minutes apart, have called too old stays so.": (
        "reconcile/due/test_platform_retention.py::test_a_longer_retention_does_not_bring_back_what_was_deleted"
    ),
    "A single answer takes nothing away for good, and a longer retention is believed when it is said again.": (
        "reconcile/due/test_platform_retention.py::test_a_single_answer_takes_nothing_away_for_good"
    ),
    "Where the retention cannot be asked, the last answer counts; if there never was one, nothing is refused, and a"
    " warning says so.": (
        "reconcile/due/test_platform_retention.py::test_a_retention_that_is_not_known_refuses_nothing_and_says_so"
    ),
    "What began before the retention is not `gone` because an answer by id lacks it.": (
        "reconcile/due/test_platform_retention.py::test_what_the_platform_deleted_for_its_age_is_not_gone"
    ),
    "**What an organisation has deleted whose retention is not known**: the client may not ask for it.": (
        "reconcile/due/test_platform_retention.py::test_a_retention_that_is_not_known_refuses_nothing_and_says_so"
    ),
    "A single strange `Date` changes nothing.": (
        "genesys/api/test_platform_clock.py::test_one_strange_date_changes_nothing"
    ),
    "Two in a row that say the same are believed.": (
        "genesys/api/test_platform_clock.py::test_two_strange_dates_in_a_row_are_believed"
    ),
    "What a clock that ran ahead has read is forgotten, and read again as if for the first time.": (
        "claims/test_clocks.py::test_what_a_wrong_clock_wrote_is_cleared"
    ),
    "A pause that such a clock has noted is not waited for.": (
        "claims/test_clocks.py::test_a_try_that_a_wrong_clock_put_off_is_made_in_time"
    ),
    "No answer is taken from a cache: every request says so.": (
        "genesys/api/test_client.py::test_no_answer_is_taken_from_a_cache"
    ),
    "`settle_after` is five days.": "claims/test_clocks.py::test_the_default_waits_for_the_second_night",
    "They count from the window's end, and from twelve hours before its last conversation ended, where that is "
    "later.": ("reconcile/due/test_ledger.py::test_a_window_settles_when_its_last_conversation_is_old_enough"),
    "A reading within an hour of the first one is no second witness.": (
        "reconcile/due/test_plan.py::test_two_witnesses_are_an_hour_apart"
    ),
    "A first reading that comes so late makes `complete`, and a total that agrees an hour later makes `settled`.": (
        "claims/test_clocks.py::test_a_first_read_at_that_age_settles_when_a_later_total_agrees"
    ),
    "What a total settles is as old as the reading that it confirms.": (
        "claims/test_verdict_sentences.py::test_what_a_total_settles_is_as_old_as_its_reading"
    ),
    "If that total does not agree, the window is read again.": (
        "claims/test_clocks.py::test_a_first_read_at_that_age_is_settled_by_a_second_witness"
    ),
    "A total of none is never enough: an empty window is read again.": (
        "claims/test_verdict_sentences.py::test_a_total_of_none_settles_nothing_by_itself"
    ),
    "Nor is one that was summed over parts, where it is not the number of ids.": (
        "claims/test_members.py::test_a_sum_of_parts_is_no_total_of_the_whole"
    ),
    "A contradiction that stays the same settles nothing, however often it is met.": (
        "claims/test_clocks.py::test_a_stable_contradiction_settles_nothing"
    ),
    "A window that took over the proof of a wider interval settles with it.": (
        "reconcile/due/test_plan.py::test_a_proof_taken_over_from_a_wider_interval_settles_with_it"
    ),
    "It settles in its own time if the wider one is held open.": (
        "claims/test_follow.py::test_a_child_settles_in_its_own_time"
    ),
    "With `--ended-only`, no window settles unless a query without the filter counts exactly as many.": (
        "claims/test_members.py::test_a_count_without_the_filter_that_says_less_settles_nothing"
    ),
    "More than a week settles by totals of its parts, or is read again.": (
        "claims/test_members.py::test_more_than_a_week_settles_too"
    ),
    "What goes on is asked for by id until its details have an end.": (
        "claims/test_follow.py::test_an_end_that_is_only_heard_closes_no_window"
    ),
    "Fewer rows than were asked for end nothing.": (
        "claims/test_follow.py::test_fewer_rows_than_asked_is_no_end_of_anything"
    ),
    "`gone` takes two answers, ten minutes apart, that knew something and lack it.": (
        "claims/test_follow.py::test_gone_takes_two_answers_apart_in_time"
    ),
    "An answer by id that has nothing at all knows nothing.": (
        "claims/test_follow.py::test_all_of_them_gone_at_once_is_no_answer_that_knew_something"
    ),
    "What is `gone` stays in the store and holds no window open.": (
        "reconcile/run/test_runner.py::test_one_that_is_gone_later_is_kept_and_not_asked_for_for_ever"
    ),
    "What has been open for 30 days is `stuck`, and holds no window open.": (
        "reconcile/run/test_runner.py::test_too_old_to_be_waited_for_is_stuck"
    ),
    "What is `gone` is asked for once a day, and may come back.": (
        "claims/test_follow.py::test_what_is_gone_is_asked_for_now_and_then"
    ),
    "What is `stuck` is asked for once a day too, and its end is found.": (
        "claims/test_follow.py::test_a_callback_a_month_ahead_is_found_to_have_ended"
    ),
    "What is heard, and lies in no window that will be read, is asked for by id.": (
        "claims/test_follow.py::test_what_is_heard_and_lies_in_no_window_is_asked_for_by_id"
    ),
    "What capture alone knows is asked for more and more seldom, and after 30 days no more.": (
        "claims/test_verdict_sentences.py::test_what_only_capture_knows_is_asked_for_for_a_month"
    ),
    "An event that is later than the last read asks for another look, in a settled window too.": (
        "trouble/test_rounds.py::test_a_settled_window_is_looked_at_again_too"
    ),
    "That note stays until a read is later than the event and the lag.": (
        "claims/test_follow.py::test_a_look_on_the_heels_of_an_event_proves_nothing_of_it"
    ),
    "It does not stay for ever.": "trouble/test_rounds.py::test_a_note_does_not_stay_for_ever",
    "An id that the platform refuses alone is set apart, and costs no other.": (
        "claims/test_follow.py::test_an_id_that_is_refused_alone_is_set_apart"
    ),
    "However many go on, each has its turn.": "claims/test_follow.py::test_nobody_is_behind_a_limit_for_ever",
    "A conversation that is found later, and started in a proven window, was not in the answer that proved it: "
    "the window is `failed`, and read again.": (
        "claims/test_reading.py::test_what_is_found_after_the_proof_calls_for_another_reading"
    ),
    "A wide interval whose proof is taken waits for a while, as long as it is wide.": (
        "claims/test_verdict_sentences.py::test_a_wide_interval_is_not_read_again_at_once"
    ),
    "A conversation that goes on again makes its window `open` again.": (
        "store/test_book.py::test_verdicts_follow_what_follow_up_found"
    ),
    "A second reading that is not consistent makes the window `failed`.": (
        "claims/test_verdict_sentences.py::test_a_second_reading_that_is_not_consistent_fails"
    ),
    "An answer that does not come takes no proof: the verdict stays, with one more attempt and its reason.": (
        "claims/test_verdict_sentences.py::test_an_answer_that_does_not_come_takes_no_proof"
    ),
    "`window_runs` keeps every run, whatever became of it.": "store/test_book.py::test_the_ledger_keeps_every_run",
    "A window that cannot be read fails alone: the others are read, and what is open is followed.": (
        "trouble/test_rounds.py::test_one_window_that_cannot_be_read_stops_no_other"
    ),
    "Trouble that nobody foresaw is that window's failure as well.": (
        "claims/test_ledger.py::test_trouble_that_nobody_foresaw_is_that_windows_failure"
    ),
    "Windows that could not be proven together are read one by one, and only the one whose trouble it is fails.": (
        "claims/test_verdict_sentences.py::test_windows_that_fail_together_are_read_alone"
    ),
    "It is tried again after ten minutes, then after twice as long, up to a day.": (
        "reconcile/due/test_plan.py::test_a_failed_window_is_tried_again_after_growing_pauses"
    ),
    "New windows come first, then those that failed, then those to settle.": (
        "reconcile/due/test_plan.py::test_failures_wait_for_their_time_and_settling_for_its_age"
    ),
    "A window that another run reads is left to it, and stays due.": (
        "reconcile/due/test_rounds.py::test_a_window_that_somebody_else_reads_is_noted_and_the_others_are_read"
    ),
    "What everybody would meet (no connection, no sign-in, a full disk) ends the round, and what was not read is "
    "still due.": ("reconcile/due/test_rounds.py::test_everybodys_trouble_ends_a_round_and_keeps_what_was_read"),
    "Three windows in a row that wait for answers in vain begin no other: the next round reads what is left first.": (
        "reconcile/test_patience.py::test_a_platform_that_is_slow_for_every_window_ends_the_round"
    ),
    "The exit status is the worst of the windows: 1 if one could not be read, 3 if one is `failed`.": (
        "reconcile/test_report.py::test_a_rounds_exit_status_is_the_worst_of_its_windows"
    ),
    "A run that was cut short is gone on with by the next one, and its figures are those of both.": (
        "reconcile/reading/test_resume.py::test_it_goes_on_where_it_was"
    ),
    "Its last page is asked for again: if rows have moved meanwhile, everything is read anew.": (
        "claims/test_proof.py::test_a_shift_while_nobody_reads_is_seen"
    ),
    "After twelve hours it is read anew, because a proof is as old as its oldest page.": (
        "reconcile/reading/test_resume.py::test_what_lies_too_long_is_read_anew"
    ),
    "Where its first page is of before the lag was over, it is provisional like any other.": (
        "claims/test_members.py::test_a_proof_whose_first_page_is_of_before_the_lag_waits_to_be_read_again"
    ),
    "A last page without a total shows no movement: then it is read anew, too.": (
        "claims/test_members.py::test_what_was_begun_within_the_lag_is_provisional_when_it_is_gone_on_with"
    ),
    "Another interval, filter or way is another reading.": (
        "reconcile/reading/test_resume.py::test_progress_is_kept_by_what_is_read_and_how"
    ),
    "Nothing is gone on with behind a write that failed.": (
        "reconcile/reading/test_resume.py::test_it_does_not_go_on_behind_a_write_that_failed"
    ),
    "A job whose cursor stood still is doubted after an interruption as before it.": (
        "reconcile/reading/test_job_trouble.py::test_a_reading_that_stood_still_is_gone_on_with_as_strictly"
    ),
    "A job whose results are there no more is begun again.": (
        "reconcile/reading/test_resume.py::test_a_job_that_is_no_more_is_begun_again"
    ),
    "Several windows are read at a time, and no more than asked for.": (
        "reconcile/due/test_ledger.py::test_windows_are_read_several_at_a_time"
    ),
    "With `--via auto`, six hours or more are read by one job, if they lie before the jobs' watermark by the lag "
    "at least.": ("reconcile/reading/test_jobs.py::test_the_better_way_is_a_job_only_where_its_data_is_there"),
    "What is longer than the platform takes (7 days, 31 with a filter) is asked for in parts and is one report.": (
        "reconcile/run/test_runner.py::test_more_than_a_week_is_one_run"
    ),
    "`rollbook verify` compares the platform's own counts by media type with those of the stored metrics.": (
        "store/test_commands.py::test_the_platforms_own_counts_are_the_same"
    ),
    "It compares every figure of `queue_intervals` too, by queue, medium and half hour, and names the conversations "
    "behind each difference ([views.md](views.md)).": (
        "reconcile/test_views_equal_the_platform.py::test_a_week_of_all_media_has_no_difference_but_what_is_spoilt"
    ),
    "A window of `--ended-only` is proven for what has ended, and for nothing else.": (
        "reconcile/run/test_runner.py::test_ended_only_asks_for_what_has_ended"
    ),
    "**One row leaving and one entering** (`slid`) while more than six pages are read may leave a third on "
    "neither page; the settling reading finds it.": (
        "claims/test_verdict_sentences.py::test_a_long_reading_may_lose_a_row_until_it_settles"
    ),
    "**What everybody denies** (`denied`): a conversation that the list, the totals and the answers by id lack "
    "alike, and that nobody heard of, is in no verdict.": (
        "claims/test_verdict_sentences.py::test_what_everybody_denies_is_in_no_verdict"
    ),
    "**What was heard, and is denied by the list and by id** (`unlisted`), is a gap of the kind `live_only`, and "
    "its window is proven without it.": ("reconcile/run/test_runner.py::test_heard_live_and_never_listed"),
    "**What two answers by id deny** (`denied by id`), ten minutes apart, is `gone` though it may be there; it is"
    " found when it is asked for again.": ("claims/test_follow.py::test_what_is_gone_is_asked_for_now_and_then"),
    "**An answer that is not true** in a field (`a lie`) is stored as it came, until a later read says something "
    "else.": ("claims/test_verdict_sentences.py::test_an_untrue_field_is_stored_until_a_later_read"),
    "**Bytes that are no JSON** (`odd bytes`) are stored as they could be mended, and cannot be compared.": (
        "genesys/messages/test_details.py::test_a_record_that_cannot_be_mended_keeps_its_bytes"
    ),
    "**What the client cannot see**: a window is proven for the divisions that `window_runs.divisions_json` names.": (
        "claims/test_verdict_sentences.py::test_a_window_is_proven_for_the_divisions_that_its_run_names"
    ),
    "**A division that was taken away and given back** between two questions for the divisions, with all pages of a reading between, hides what it has until the settling reading.": (
        "claims/test_members.py::test_a_division_that_is_given_back_unseen_hides_what_it_has"
    ),
    "**A division that was deleted for good** counts as one that this client no longer sees: a window that was "
    "proven with it keeps its verdict, and never settles.": (
        "claims/test_verdict_sentences.py::test_a_division_that_was_deleted_settles_no_window"
    ),
    "**A start exactly on the border of two windows** would be in neither, if the platform counted neither border"
    " in and nobody heard of it.": (
        "claims/test_verdict_sentences.py::test_a_start_on_a_border_that_belongs_to_nobody"
    ),
    "If capture heard of it, the window is `failed`.": (
        "claims/test_verdict_sentences.py::test_a_start_on_a_border_that_was_heard"
    ),
    "**The end of `settled`**: nobody looks at a settled window again unless an event tells of one of its "
    "conversations.": ("trouble/test_rounds.py::test_a_settled_window_is_looked_at_again_too"),
    "The cause follows from `coverage`: what could have carried the conversation, and why that was silent.": (
        "reconcile/test_causes.py::test_coverage_explains_a_loss"
    ),
    "`unknown` is for what was listened for all the time.": ("reconcile/test_causes.py::test_coverage_explains_a_loss"),
    "`topic rejected` comes before the transport.": (
        "reconcile/test_causes.py::test_a_refused_topic_is_named_before_the_transport"
    ),
    "A `changed` one is judged by its end.": (
        "reconcile/test_causes.py::test_a_changed_conversation_is_judged_by_its_end"
    ),
    "A conversation that was heard and is not listed (`live_only`) is asked for by id, and its gap is filled when"
    " it turns up.": ("store/test_book.py::test_live_only_is_filed_and_explained_when_it_turns_up"),
}


def claims(text: str) -> list[str]:
    """The page's list items, each in one line."""
    found: list[str] = []
    inside = open_item = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside, open_item = not inside, False
        elif not inside and line.startswith("- "):
            found.append(line[2:].strip())
            open_item = True
        elif open_item and line.startswith("  "):
            found[-1] += f" {line.strip()}"
        else:
            open_item = False
    return found


def existing() -> set[str]:
    """Every test of the project, as file::name; one that is always skipped is none."""
    names = set()
    for file in TESTS.rglob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                if not any(re.search(r"mark\.(skip|xfail)\b", mark) for mark in marks):
                    names.add(f"{file.relative_to(TESTS).as_posix()}::{node.name}")
    return names


def test_every_claim_of_the_page_is_in_the_table_and_every_line_of_the_table_in_the_page() -> None:
    """A sentence that is changed, added or taken away is changed here as well."""
    said = claims(PAGE.read_text())
    assert len(said) == len(set(said)), "a sentence stands twice in the page"
    assert [sentence for sentence in said if sentence not in HOLDS] == [], "no test is named for these"
    assert [sentence for sentence in HOLDS if sentence not in said] == [], "the page does not say these"


def test_every_test_that_is_named_exists() -> None:
    """By file and name: a test that is renamed or taken away is missed here."""
    there = existing()
    assert {sentence: test for sentence, test in HOLDS.items() if test not in there} == {}


def test_a_claim_is_one_sentence() -> None:
    """So that one test can hold it."""
    for sentence in claims(PAGE.read_text()):
        assert sentence.endswith("."), sentence
        assert not re.search(r"[.!?] +[A-Z*`]", sentence), sentence


def test_the_page_is_found_whole() -> None:
    """The rule by which claims are found: items with their continued lines, and neither prose nor what is fenced."""
    text = "Prose.\n- one\n  goes on.\n- two.\n\n  no item\n```\n- fenced\n```\n| - cell |\n"
    assert claims(text) == ["one goes on.", "two."]


# What the page says in numbers → the same in the code.
FIGURES: Final[Mapping[str, bool]] = {
    "the lag ago (ten minutes)": Settings().lag == timedelta(minutes=10),
    "`settle_after` is five days": Settings().settle_after == timedelta(days=5),
    "10, 20, 40 minutes …, once a day": (timedelta(minutes=10), timedelta(days=1))
    == (failed_windows.FIRST_RETRY, failed_windows.LONGEST_RETRY),
    "an hour after the first one": timedelta(hours=1) == window.SECOND_WITNESS,
    "from twelve hours before its last": timedelta(hours=12) == window.LATE_END,
    "a hundred a page": scan.PAGE_SIZE == 100,
    "again, two seconds later": reader.SECOND_LOOK == 2,
    "of two to six pages": scan.MOST_CHECKED == 6,
    "After eight passes": reader.MAX_PASSES == 8,
    "25 rows, 5, 1": list(reader._SMALLER.values()) == [25, 5, 1],
    "More than 100,000 rows": 99_000 < reader.MOST_ROWS < 100_000,
    "every four hours": timedelta(hours=4) == plan.DAY_AGAIN,
    "the last five minutes of the day before": timedelta(minutes=5) == runner._AROUND_MIDNIGHT,
    "(7 days, 31 with a filter)": (runner.LONGEST.days, runner.LONGEST_FILTERED.days) == (7, 31),
    "asked for four times": len(jobs.PAGE_PAUSES) == 3,
    "asked for three times": len(jobs.CHECK_PAUSES) == 2,
    "A total of 100,000 or more": job_proof.SATURATED == 100_000,
    "(1000, 250, 50, 10 rows)": job_proof.SIZES == (1000, 250, 50, 10),
    "down to an hour": timedelta(hours=1) == job_proof.NARROWEST,
    "looked at for ten minutes": timedelta(minutes=10) == jobs.UNFORESEEN,
    "waited for two hours": timedelta(hours=2) == jobs.PATIENCE,
    "a quarter of an hour is waited": timedelta(minutes=15) == jobs.CROWDED,
    "six hours or more": timedelta(hours=6) == jobs.WORTH_A_JOB,
    "two answers, ten minutes apart": timedelta(minutes=10) == by_id.APART,
    "open for 30 days": Settings().stuck_after == timedelta(days=30),
    "asked for once a day": timedelta(days=1) == follow_up.NOW_AND_THEN,
    "After twelve hours": timedelta(hours=12) == resume.KEPT,
}


@pytest.mark.parametrize("words", FIGURES)
def test_the_figures_of_the_page_are_those_of_the_code(words: str) -> None:
    """A number that is changed in the code is changed in the page."""
    assert words in " ".join(PAGE.read_text().split())
    assert FIGURES[words]


@pytest.mark.parametrize("excuse", EXCUSES)
def test_what_the_judge_of_random_worlds_excuses_is_in_the_page(excuse: str) -> None:
    """By its name, and among what the page does not show."""
    _, _, blind = PAGE.read_text().partition("## What it does not show")
    assert any(f"(`{excuse}`)" in sentence for sentence in claims(blind))


# What no other file tests


@pytest.mark.parametrize(("minute", "verdict"), [(39, "pending"), (41, "due")])
async def test_a_window_that_waits_has_what_was_heard(tmp_path: Path, minute: float, verdict: str) -> None:
    """Two of three were heard: nobody has read the window, and the third is not in the store."""
    with scene_at(tmp_path, record("a", 1), record("b", 2), record("c", 3), since=START) as scene:
        scene.hear("a", started=1)
        scene.hear("b", started=2)
        scene.clock.at = START + timedelta(minutes=minute)
        await scene.due(many=0)
        assert scene.verdict(WINDOW) == verdict
        assert scene.rows("SELECT conversation_id, details FROM conversations ORDER BY 1") == [("a", None), ("b", None)]


def test_a_total_that_moves_proves_nothing() -> None:
    """As many came as the last page says: but it was another number before."""
    for totals, words in (((2, 2), None), ((3, 2), "from 3 to 2"), ((1, 2), "from 1 to 2")):
        reading = scan.Scan(scan.Part(WINDOW), WINDOW, to_text(START))
        reading.take([scan.RowTimes(name, to_text(START), to_text(START)) for name in ("a", "b")], totals[0])
        reading.take([], totals[1])
        assert reading.done
        movement = reading.movement()
        assert movement is None if words is None else words in (movement or "")


async def test_what_is_indexed_late_is_found_by_the_settling_reading(tmp_path: Path) -> None:
    """It comes into the index after the window was read, and no event tells of it: lacking until the window settles."""
    with scene_at(tmp_path, *(record(f"c{number}", number) for number in range(5)), since=START) as scene:
        scene.org.unlisted = scene.org.unknown = {"c3"}
        await scene.rounds(41, judged=False)
        scene.org.unlisted = scene.org.unknown = set()
        await scene.rounds(45, 200, judged=False)
        assert (scene.verdict(WINDOW), "c3" in scene.stored()) == ("complete", False)
        await scene.rounds(5.1 * DAY, judged=False)
        assert (scene.verdict(WINDOW), "c3" in scene.stored()) == ("settled", True)


async def test_what_the_query_cannot_bring_is_read_by_a_job(tmp_path: Path) -> None:
    """Every page of rows is refused, in whatever size; a total is answered, and a job brings the rows: proven."""
    with scene_at(tmp_path, *(record(f"c{number}", number) for number in range(5))) as scene:

        def refuse(body: Mapping[str, Any], _query: int) -> None:
            if (body["interval"], body["paging"]["pageSize"]) != (WINDOW.text, 1):
                raise Unavailable("The request took too long", status=504)

        scene.org.refuse = refuse
        report = await scene.by_hand(WINDOW)
        assert (report.verdict, report.via, report.owned) == ("complete", "job", 5)
        assert scene.stored() == scene.org.truth


async def test_a_total_of_none_settles_nothing_by_itself(tmp_path: Path) -> None:
    """First read after five days: a window with rows is settled by its total, an empty one by another reading."""
    for rows, pages in (([record("c", 5)], [1]), ([], [100, 100])):
        path = tmp_path / str(len(rows))
        path.mkdir()
        with scene_at(path, *rows, since=START) as scene:
            scene.clock.at = START + timedelta(days=6)
            assert (await scene.by_hand(WINDOW)).verdict == "complete"
            asked = len(scene.org.bodies)
            scene.clock.at += timedelta(hours=2)
            await scene.settle(WINDOW)
            sizes = [body["paging"]["pageSize"] for body in scene.org.bodies[asked:]]
            assert (scene.verdict(WINDOW), sizes) == ("settled", pages)


async def test_what_a_total_settles_is_as_old_as_its_reading(tmp_path: Path) -> None:
    """A record is rewritten between the first late reading and the total: the ledger does not claim to have read it."""
    with scene_at(tmp_path, record("c", 5), since=START) as scene:
        scene.clock.at = START + timedelta(days=6)
        first = await scene.by_hand(WINDOW)
        scene.clock.at += timedelta(hours=2)
        scene.org.put(record("c", 5, mediaStatsMinConversationMos=1.0))
        await scene.settle(WINDOW)
        row = await scene.book.read(windows.find, to_text(WINDOW.start), to_text(WINDOW.end))
        assert row is not None
        assert (row.verdict, row.last_read_at) == ("settled", first.as_of)


@pytest.mark.parametrize("error", [PermissionRefused("no", status=403), NotFound("no", status=404)])
async def test_a_client_that_may_not_ask_for_divisions_names_none(tmp_path: Path, error: ApiError) -> None:
    """It is no failure: the window is proven, and whose eyes they were is not known."""
    with scene_at(tmp_path, record("c", 5)) as scene:
        scene.org.hides = dict.fromkeys(range(1, 100), error)
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        assert [run["divisions_json"] for run in runs(scene.path)] == [None]


async def test_who_may_not_ask_proves_nothing_after_somebody_who_may(tmp_path: Path) -> None:
    """It may see less, and nobody can tell: the proof of the other client stays, and the reason is noted."""
    with scene_at(tmp_path, record("c", 5)) as scene:
        await scene.by_hand(WINDOW)
        scene.org.hides = dict.fromkeys(range(1, 100), PermissionRefused("no", status=403))
        report = await scene.by_hand(WINDOW)
        assert report.verdict == "failed"
        assert "fewer divisions" in (report.reason or "")
        assert scene.verdict(WINDOW) == "complete"


async def test_what_only_capture_knows_is_asked_for_for_a_month(tmp_path: Path) -> None:
    """Heard, listed never and unknown by id: asked for often at first, once a day later, and after a month no more."""
    with scene_at(tmp_path, record("c", 5), since=START, width=timedelta(hours=12)) as scene:
        scene.hear("ghost", started=6, ended=9, minute=9)
        asked: dict[float, int] = {}
        for day in (0.1, 0.2, 0.3, 0.4, 0.5, 10.0, 10.1, 10.2, 10.3, 10.4, 34.0, 35.0, 36.0):
            before = scene.org.asked.count("ghost")
            await scene.rounds(day * DAY, judged=False)
            asked[day] = scene.org.asked.count("ghost") - before
        early, later, late = list(asked.values())[1:5], list(asked.values())[6:10], list(asked.values())[11:]
        assert all(early), "hours apart, in the first two days"
        assert sum(map(bool, later)) <= 1, "once a day"
        assert late == [0, 0]


async def test_a_second_reading_that_is_not_consistent_fails(tmp_path: Path) -> None:
    """Its total says more than there is, always: what was complete is failed, with the reason."""
    with scene_at(tmp_path, record("c", 5)) as scene:
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        scene.org.totals = lambda total, _: total + 1
        await scene.by_hand(WINDOW)
        assert scene.verdict(WINDOW) == "failed"
        row = await scene.book.read(windows.find, to_text(WINDOW.start), to_text(WINDOW.end))
        assert row is not None
        assert "totalHits" in (row.reason or "")


async def test_a_wide_interval_is_not_read_again_at_once(tmp_path: Path) -> None:
    """One is found by id that the proof of a day lacked: the day waits for nearly an hour, its half hour for nothing."""
    day = Interval(START - timedelta(hours=24), START)
    with scene_at(tmp_path, record("c", -100, -90)) as scene:
        await scene.by_hand(day)
        late = list(page([record("late", -100, -90)]).rows)
        at = to_text(scene.clock.now())
        read = Read(at, at, at, frozenset(), scene.book.lag)
        grid: dict[str, Any] = {"window": None, "width": timedelta(minutes=30), "cause": lambda _row, _kind: "unknown"}
        scene.book.write(windows.write_details, late, read, **grid).result(10)
        half = Interval(START - timedelta(minutes=120), START - timedelta(minutes=90))
        rows = [
            await scene.book.read(windows.find, to_text(interval.start), to_text(interval.end))
            for interval in (day, half)
        ]
        waits = []
        for row in rows:
            assert row is not None
            assert row.next_try_at is not None
            assert (row.verdict, row.proven_by) == ("failed", None)
            waits.append((from_text(row.next_try_at) - from_text(at)).total_seconds())
        assert waits == [pytest.approx(23 * 3600 / 24, abs=1), pytest.approx(0, abs=1)]


async def test_an_answer_that_does_not_come_takes_no_proof(tmp_path: Path) -> None:
    """The settling reading is never answered: still complete, one attempt more, the reason, and a time to try again."""
    with scene_at(tmp_path, record("c", 5), since=START) as scene:
        await scene.rounds(41)

        def refuse(body: Mapping[str, Any], _query: int) -> None:
            if body["interval"].startswith(to_text(START)[:13]):
                raise Unavailable("The service is down", status=500)

        scene.org.refuse = refuse
        scene.org.watermark = None
        await scene.rounds(5.1 * DAY, judged=False)
        row = await scene.book.read(windows.find, to_text(WINDOW.start), to_text(WINDOW.end))
        assert row is not None
        assert (row.verdict, row.attempts, row.settled_at) == ("complete", 2, None)
        assert "The service is down" in (row.reason or "")
        assert row.next_try_at is not None


async def test_windows_that_fail_together_are_read_alone(tmp_path: Path) -> None:
    """Four half hours by one job, and one has heard of a conversation that no list ever has: that one alone fails."""
    rows = [record(f"c{number}", 10 * number, 10 * number + 5) for number in range(12)]
    with scene_at(tmp_path, *rows, since=START) as scene:
        scene.hear("c7", started=70, minute=71)
        scene.org.unlisted = {"c7"}
        scene.clock.at = START + timedelta(minutes=131)
        how = Round(via="job", wait=0, sleep=scene.clock.sleep)
        await run_due(scene.book, scene.org, scene.settings, now=scene.clock.now, how=how)  # type: ignore[arg-type]
        assert scene.org.jobs_made >= 1
        verdicts = [
            scene.verdict(Interval(START + timedelta(minutes=at), START + timedelta(minutes=at + 30)))
            for at in (0, 30, 60, 90)
        ]
        assert verdicts == ["complete", "complete", "failed", "complete"]


# What it does not show: each of these ends with a verdict that is better than the truth, and says where that ends.


@pytest.mark.parametrize(("count", "seen"), [(550, True), (850, False)])
async def test_a_long_reading_may_lose_a_row_until_it_settles(tmp_path: Path, count: int, seen: bool) -> None:
    """One row leaves the first page, one enters the last: the row between two pages is lost, if there are more than six
    pages; of six it is seen, and nothing is proven for now. What settles is whole."""
    rows = [record(f"c{number:03}", number / 40 + 1, 28) for number in range(count)]
    with scene_at(tmp_path, *rows, size=100, since=START) as scene:

        def move(org: Liar) -> None:
            body = org.bodies[-1]
            if body["paging"]["pageNumber"] == 2 and body["interval"] == WINDOW.text and "c010" in org.truth:
                del org.truth["c010"]
                org.put(record("enters", 25, 28))

        scene.org.always = move  # type: ignore[assignment]
        await scene.rounds(41, judged=False)
        assert "enters" in scene.org.truth
        assert scene.verdict(WINDOW) == ("failed" if seen else "complete")
        assert ("c100" in scene.stored()) is seen
        await scene.rounds(*(day * DAY for day in (5.1, 5.2, 5.6, 6.8)), judged=False)
        assert scene.verdict(WINDOW) == "settled"
        assert scene.wrong() == []


async def test_what_everybody_denies_is_in_no_verdict(tmp_path: Path) -> None:
    """It exists, and neither list nor totals nor answers by id have it, days apart: settled without it. One event about
    it, and a look by id that finds it, take the proof away."""
    with scene_at(tmp_path, *(record(f"c{number}", number) for number in range(5)), since=START) as scene:
        scene.org.unlisted = scene.org.unknown = {"c3"}
        await scene.rounds(41, 5.1 * DAY, judged=False)
        assert (scene.verdict(WINDOW), "c3" in scene.stored()) == ("settled", False)
        scene.org.unknown = set()
        scene.hear("c3", started=3, minute=3, received=5.2 * DAY)
        await scene.rounds(5.3 * DAY, judged=False)
        assert "c3" in scene.stored()
        assert scene.verdict(WINDOW) == "failed"


async def test_an_untrue_field_is_stored_until_a_later_read(tmp_path: Path) -> None:
    """One answer says another MOS than the next ones: it is what the store has, until the window is read again."""
    with scene_at(tmp_path, record("c", 5, mediaStatsMinConversationMos=4.1), since=START) as scene:
        scene.org.each_page = lambda _body, honest: {
            **honest,
            "conversations": [{**row, "mediaStatsMinConversationMos": 1.0} for row in honest["conversations"]],
        }
        await scene.rounds(41, judged=False)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.rows("SELECT mos FROM conversations") == [(1.0,)]
        scene.org.each_page = lambda _body, _honest: None
        await scene.rounds(5.1 * DAY, judged=False)
        assert scene.verdict(WINDOW) == "settled"
        assert scene.rows("SELECT mos FROM conversations") == [(4.1,)]


async def test_a_window_is_proven_for_the_divisions_that_its_run_names(tmp_path: Path) -> None:
    """A client that sees one division of three: complete without the others, and the run says which it was."""
    rows = [record(f"c{number}", number, divisionIds=[f"d{number % 3 + 1}"]) for number in range(6)]
    with scene_at(tmp_path, *rows) as scene:
        scene.org.sees = frozenset({"d1"})
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        assert scene.stored().keys() == {"c0", "c3"}
        assert [run["divisions_json"] for run in runs(scene.path)] == ['["d1"]']


async def test_a_division_that_was_deleted_settles_no_window(tmp_path: Path) -> None:
    """Proven with three divisions, one of which is deleted for good: complete for ever, with the reason; windows that
    were first read afterwards settle."""
    noon = START + timedelta(hours=2)
    morning, evening = Interval(noon - timedelta(hours=12), noon), Interval(noon, noon + timedelta(hours=12))
    rows = [record("c", 5), record("d", 135, 140)]
    with scene_at(tmp_path, *rows, since=START, width=timedelta(hours=12)) as scene:
        await scene.rounds(131)
        scene.org.divisions_there = ("d1", "d2")
        await scene.rounds(*(day * DAY for day in (0.7, 5.2, 5.8, 7.3, 9.6, 20)))
        row = await scene.book.read(windows.find, to_text(morning.start), to_text(morning.end))
        assert row is not None
        assert (row.verdict, row.settled_at) == ("complete", None)
        assert "fewer divisions" in (row.reason or "")
        assert scene.verdict(evening) == "settled"


def _neither_border(body: Mapping[str, Any], honest: Answer) -> Answer:
    """The answer of a platform that leaves out what starts exactly where the interval does."""
    start = body["interval"].split("/")[0]
    rows = [row for row in honest["conversations"] if row["conversationStart"] != start]
    return {
        **honest,
        "conversations": rows,
        "totalHits": honest["totalHits"] - len(honest["conversations"]) + len(rows),
    }


@pytest.fixture
def borders(tmp_path: Path) -> Iterator[Scene]:
    """Windows of half an hour, a conversation that starts exactly at ten, and an organisation that counts no border."""
    with scene_at(tmp_path, record("border", 0, 0.001), since=START - timedelta(minutes=30)) as scene:
        scene.org.each_page = _neither_border
        yield scene


async def test_a_start_on_a_border_that_belongs_to_nobody(borders: Scene) -> None:
    """Nobody has heard of it, and no interval is answered with it: both windows are proven without it."""
    await borders.rounds(41, judged=False)
    assert borders.verdict(WINDOW) == "complete"
    assert borders.stored() == {}


async def test_a_start_on_a_border_that_was_heard(borders: Scene) -> None:
    """Capture has heard of it, and by id it is there: the window that owns it is not proven without it."""
    borders.hear("border", started=0, minute=1)
    await borders.rounds(41)
    assert borders.verdict(WINDOW) == "failed"
    assert "border" in borders.stored()
