use super::super::slice::{Cost, Slice};
use super::*;
use crate::load::Pace;
use crate::process::Usage;

fn row(candidate: &str, pace: Pace, slice: Slice) -> Row {
    let slices = vec![slice];
    Row {
        candidate: candidate.to_owned(),
        pace,
        figures: Figures::of(&slices),
        slices,
    }
}

fn measured() -> Slice {
    let cost = |name: &str, role, cpu_us| Cost {
        name: name.to_owned(),
        role,
        cpu_us,
        memory: Usage {
            rss_bytes: 10 << 20,
            rss_peak_bytes: 12 << 20,
            ..Usage::default()
        },
    };
    Slice {
        calls_per_s: 1234.4,
        answered: 10,
        at_rest: true,
        costs: vec![
            cost("edge", Role::Between, 61.23),
            cost("sidecar", Role::Between, 70.0),
            cost("server", Role::Server, 5.0),
        ],
        generator_us: Some(9.0),
        interrupts_us: Some(1.5),
        generator_busy: Some(0.5),
        others_busy: Some(0.02),
        ..Slice::default()
    }
}

#[test]
fn each_figure_stands_in_its_place() {
    let text = tables(
        &[row("edge and sidecar", Pace::Clients(16), measured())],
        &[],
    );
    let lines: Vec<_> = text.lines().collect();
    let found = |words: &str| {
        let same = |line: &&&str| line.split_whitespace().collect::<Vec<_>>().join(" ") == words;
        assert!(lines.iter().any(|line| same(&line)), "{words}\nin\n{text}");
    };
    found("edge and sidecar 16 clients 1234 1234..1234 0.00 us 0.00 us 0 2 %");
    found("edge and sidecar 16 clients 131.2 5.0 9.0 1.5 edge 61.2 + sidecar 70.0");
    found("edge and sidecar 16 clients sidecar 10.0 12.0");
    assert!(lines.iter().all(|line| line.trim_end() == *line), "{text}");
}

#[test]
fn what_makes_a_figure_doubtful_is_said() {
    let doubtful = Slice {
        at_rest: false,
        failed: 3,
        generator_busy: Some(0.97),
        others_busy: Some(0.23),
        ..measured()
    };
    let gone = Slice {
        fault: Some("edge is gone".to_owned()),
        ..Slice::default()
    };
    let rows = [
        row("a", Pace::Clients(1), doubtful),
        row("b", Pace::Clients(1), gone),
    ];
    let text = tables(&rows, &[("c".to_owned(), "no nginx here".to_owned())]);
    for words in [
        "a, 1 client: still at work after 1 of 1 rounds",
        "a, 1 client: calls failed",
        "a, 1 client: the generator worked 97 %",
        "in 1 of 2 rows others had more than 5 % of the machine",
        "b, 1 client: a round was not measured: edge is gone",
        "not started: c: no nginx here",
    ] {
        assert!(text.contains(words), "{words}\nin\n{text}");
    }
}
