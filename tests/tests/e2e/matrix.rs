//! Real clients with real servers, through Gatehouse (`tests/matrix`).

use std::env;

use tests::matrix::{self, killed, table};
use tests::scenes;

/// Only servers whose name holds this, and no look at the page.
const ONLY: &str = "GATEHOUSE_MATRIX";
/// Set: the page is written instead of compared.
const WRITE: &str = "GATEHOUSE_WRITE_DOCS";

#[test]
#[ignore = "make e2e: more than two hundred runs of real clients"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings, and whoever runs it by hand says what they want here"
)]
fn clients_do_with_servers_through_gatehouse_whatever_a_server_offers_and_no_clause_excludes() {
    let only = env::var(ONLY).unwrap_or_default();
    let matrix = matrix::run(&only);
    let table = matrix.table();
    scenes::tell(&table);
    let faults = matrix.faults();
    if only.is_empty() && env::var_os(WRITE).is_some() {
        table::write(&table);
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(
        !only.is_empty() || table::written() == table,
        "docs/compatibility.md says otherwise: run this test again with {WRITE}=1"
    );
}

#[test]
#[ignore = "make e2e: some seventy runs of real clients"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings, and whoever runs it by hand says what they want here"
)]
fn the_matrix_of_legacy_clients_passes_behind_two_edges_without_stickiness() {
    let matrix = matrix::run_between_two_edges(&env::var(ONLY).unwrap_or_default());
    scenes::tell(&matrix.table());
    let faults = matrix.faults();
    assert!(faults.is_empty(), "{faults}");
}

#[test]
#[ignore = "make e2e: it kills edges under real clients"]
fn clients_whose_edge_is_killed_end_with_the_right_answer_or_an_error_and_never_with_anothers() {
    let killed = killed::run();
    scenes::tell(&killed.table());
    let faults = killed.faults();
    assert!(faults.is_empty(), "{faults}");
}
