//! Each rule on a few lines: what it takes and what it leaves.

use super::*;

fn look(path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let source = Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    check(&source, &mut report);
    report
}

fn faults(path: &str, text: &str) -> Vec<String> {
    look(path, text).faults
}

#[test]
fn a_file_needs_a_head() {
    assert_eq!(faults("a/src/x.rs", "fn f() {}\n").len(), 1);
    assert!(faults("a/src/x.rs", "\n#![allow(dead_code)]\n//! Head.\n").is_empty());
}

#[test]
fn undone_work_is_a_fault_unless_it_is_only_spoken_of() {
    let undone = format!("//! Head.\nfn f() {{\n    {}\"x\")\n}}\n", UNDONE[0]);
    assert_eq!(
        faults("a/src/x.rs", &undone),
        [format!("a/src/x.rs:3: `{}…)` is not done", UNDONE[0])]
    );
    assert!(
        faults(
            "a/src/x.rs",
            &format!("//! Head.\n// never {}\n", UNDONE[0])
        )
        .is_empty()
    );
}

#[test]
fn an_ignored_test_needs_a_reason() {
    assert_eq!(faults("a/tests/x.rs", "//! Head.\n#[ignore]\n").len(), 1);
    assert!(faults("a/tests/x.rs", "//! Head.\n#[ignore = \"e2e: a minute\"]\n").is_empty());
}

#[test]
fn a_name_stays_in_its_room() {
    let text = "//! Head.\nuse etcd_client::Client;\n";
    assert!(faults("control-plane/src/store/etcd.rs", text).is_empty());
    assert!(faults("control-plane/src/store/etcd/watch.rs", text).is_empty());
    assert_eq!(faults("control-plane/src/catalog.rs", text).len(), 1);
    assert_eq!(
        faults(
            "control-plane/src/catalog.rs",
            "//! Head.\nuse etcd_client as etcd;\n"
        )
        .len(),
        1
    );
    // The harness is a test, too: it may ask the store behind the back of the services.
    assert!(faults("tests/src/etcd.rs", text).is_empty());
    assert!(faults("tests/tests/etcd.rs", text).is_empty());
}

#[test]
fn a_word_inside_another_is_not_the_name() {
    assert!(
        faults(
            "crates/model/src/server.rs",
            "//! Head.\nlet a = my_proto::b(self.proto);\n"
        )
        .is_empty()
    );
    assert!(
        faults(
            "crates/model/src/server.rs",
            "//! Head.\nlet a = crate::proto::b();\n"
        )
        .is_empty()
    );
    assert_eq!(
        faults(
            "crates/model/src/server.rs",
            "//! Head.\nlet a = proto::B {};\n"
        )
        .len(),
        1
    );
}

#[test]
fn pure_code_reads_no_clock_but_its_tests_may_read_files() {
    let clock = "//! Head.\nlet now = std::time::SystemTime::now();\n";
    assert_eq!(faults("crates/engine/src/limit.rs", clock).len(), 1);
    assert!(faults("crates/dataplane/src/call.rs", clock).is_empty());
    let test = "//! Head.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert!(faults("crates/mcp/src/envelope.rs", test).is_empty());
    assert!(
        faults(
            "crates/mcp/src/envelope/tests.rs",
            "//! Head.\nuse std::fs;\n"
        )
        .is_empty()
    );
}

#[test]
fn long_files_and_functions_are_noted_and_do_not_fail() {
    let long = format!(
        "//! Head.\nimpl A {{\n    pub async fn f() {{\n{}    }}\n}}\n",
        "        g();\n".repeat(FILE_LINES_MAX)
    );
    let report = look("a/src/x.rs", &long);
    assert!(report.faults.is_empty());
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    assert!(
        report.notes[1].starts_with("a/src/x.rs:3: a function of 452 lines"),
        "{:?}",
        report.notes
    );
}

#[test]
fn functions_without_a_body_do_not_swallow_what_follows() {
    let body = "    g();\n".repeat(FUNCTION_LINES_MAX);
    let text = format!(
        "    fn a(&self);\n    fn b(\n        &self,\n    ) -> u8;\n    fn c() {{}}\nstruct S;\nfn d() {{\n{body}}}\n"
    );
    assert_eq!(long_functions(&text), [(7, FUNCTION_LINES_MAX + 2)]);
}
