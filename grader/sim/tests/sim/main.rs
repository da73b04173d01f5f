//! The simulator, proven: a correct toy passes everything, each planted mistake is caught and named, and the same
//! world runs the same in one process and behind a pipe.

mod bugs;
mod chaos;
mod directed;
mod isolation;
mod linear;
mod monitors;
mod program;
mod replay;
mod toy;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A list of trials: `trials!(module: name, name)`.
macro_rules! trials {
    ($module:ident: $($name:ident),+ $(,)?) => {
        vec![$(Trial::test(concat!(stringify!($module), "::", stringify!($name)), || { $module::$name(); Ok(()) })),+]
    };
}

fn main() -> ExitCode {
    // As a subject behind a pipe, and as the test program of a small suite that fails.
    if matches!(std::env::args().nth(1).as_deref(), Some("subject" | "grade" | "tests")) {
        return sim::harness::run_tests(program::suite(), toy::Toy::default);
    }
    let mut trials = trials!(chaos:
        a_calm_cluster_passes,
        chaos_passes_and_bites,
        crash_sweep_passes,
        stores_without_a_log_writer_pass,
        a_virtual_minute_is_cheap,
    );
    trials.extend(bugs::trials());
    trials.extend(trials!(directed:
        a_test_drives_a_world_by_hand,
        a_definite_answer_leaves_no_trace_in_the_history,
    ));
    trials.extend(trials!(isolation:
        serial_transactions_pass,
        write_skew_passes,
        numbers_are_no_lists,
        a_lost_update,
        a_torn_snapshot,
        a_long_fork,
        a_stale_read,
        writes_and_information_in_a_circle,
        an_aborted_read,
        the_middle_of_a_transaction,
        a_transaction_that_contradicts_itself,
        values_from_nowhere_and_twice,
        an_open_transaction_may_have_happened_or_not,
        a_small_budget_says_unknown,
        agrees_with_brute_force,
    ));
    trials.extend(trials!(linear:
        the_newer_value_is_named,
        a_value_that_nobody_wrote,
        a_refused_write_that_happened,
        an_open_write_may_come_late_or_never,
        compare_and_swap,
        appends,
        scans_by_key_and_as_a_whole,
        a_small_budget_says_unknown,
        agrees_with_brute_force,
    ));
    trials.extend(trials!(monitors:
        election_safety,
        leader_append_only,
        log_matching_by_content_and_by_predecessor,
        leader_completeness,
        state_machine_safety_of_entries_and_of_data,
        commit_needs_a_majority_on_disk,
        indexes_never_fall,
        one_peer_is_sane,
        a_vote_is_given_once_even_over_a_crash,
        acknowledged_and_durable_entries_survive,
        the_dead_stay_dead,
        snapshots_and_compactions_are_no_violations,
        regions_do_not_overlap_and_leave_no_gap,
    ));
    trials.extend(trials!(replay:
        the_same_seed_is_the_same_run,
        a_pipe_changes_nothing,
        a_nondeterministic_store_is_told,
        a_failing_plan_is_made_shorter,
        the_trace_reads_back,
    ));
    trials.extend(trials!(program:
        a_failing_seed_is_shown_with_its_plan_and_its_trace,
        a_second_run_that_differs_is_a_warning,
        brief_is_brief,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
