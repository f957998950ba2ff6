//! What each process tells a monitoring system, and that all of it is written down.

use std::collections::BTreeSet;

use serde_json::json;
use tests::http::Request;
use tests::mesh::Part;
use tests::place;
use tests::rpc::Modern;
use tests::wait;

use crate::stage;

/// The metrics of one part, from the address that its settings name.
pub(crate) fn metrics(part: &Part) -> String {
    let config = part.words.iter().position(|word| word == "--config");
    let config = config
        .and_then(|at| part.words.get(at + 1))
        .expect("parts are told their settings by file");
    let settings: toml::Table = std::fs::read_to_string(config)
        .expect("the file is there")
        .parse()
        .expect("it is TOML");
    let section = settings.values().next().expect("it has a section");
    let address = section["admin_listen"]
        .as_str()
        .expect("an address is text");
    Request::get(&format!("http://{address}/metrics"))
        .send()
        .expect_status(200)
        .text()
}

/// The value of a series, by the beginning of its line.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series));
    let value = line
        .and_then(|line| line.rsplit_once(' '))
        .map(|(_, value)| value);
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {series}:\n{text}"))
}

#[test]
fn every_process_tells_of_calls_pushes_records_and_queues() {
    let mesh = stage::workshop();
    let client = Modern::new(&mesh.url(0, "slow"), &stage::ana(&mesh));
    for _ in 0..3 {
        client
            .call("sleep", json!({"seconds": 0.01}))
            .expect_status(200);
    }
    assert_eq!(client.call("cancelled", json!({})).status, 200);
    let edges = mesh.parts("edge");
    let sidecars = mesh.parts("sidecar");
    let control = mesh.parts("control-plane");
    let texts: Vec<String> = edges
        .iter()
        .chain(&sidecars)
        .chain(&control)
        .map(metrics)
        .collect();
    let total = |series: &str| -> f64 {
        let lines = texts.iter().flat_map(|text| text.lines());
        let found = lines.filter(|line| line.starts_with(series));
        found
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    };
    let allowed = r#"gatehouse_calls_total{server="slow",decision="allow",reason=""}"#;
    let denied = r#"gatehouse_calls_total{server="slow",decision="deny",reason="rule"}"#;
    assert!(total(allowed) >= 6.0, "at both hops: {}", total(allowed));
    assert!(total(denied) >= 1.0, "{}", total(denied));
    let durations = r#"gatehouse_call_duration_seconds_count{server="slow",method="tools/call"}"#;
    assert!(total(durations) >= 7.0);
    let edge = metrics(&edges[0]);
    assert!(value(&edge, "gatehouse_config_revision") >= 1.0);
    assert!(value(&edge, r#"gatehouse_config_pushes_total{result="ack"}"#) >= 1.0);
    assert_eq!(value(&edge, "gatehouse_control_plane_connected"), 1.0);
    assert!(value(&edge, "gatehouse_endpoints") >= 4.0);
    let control = metrics(&control[0]);
    assert!(value(&control, "gatehouse_node_behind_seconds_count") >= 1.0);
    assert!(value(&control, r#"gatehouse_nodes{state="current"}"#) >= 1.0);
    let backlog = "gatehouse_audit_backlog_records";
    wait::until(
        "all records to be stored",
        std::time::Duration::from_secs(30),
        || {
            let left = value(&metrics(&edges[0]), backlog);
            if left == 0.0 {
                Ok(())
            } else {
                Err(format!("{left} are left"))
            }
        },
    );
}

#[test]
fn every_metric_is_written_down_with_its_meaning() {
    let mesh = stage::workshop();
    let page = std::fs::read_to_string(place::file("docs/metrics.md")).expect("the page is there");
    let kinds = ["edge", "sidecar", "control-plane"];
    let texts: Vec<String> = kinds
        .iter()
        .flat_map(|kind| mesh.parts(kind))
        .map(|part| metrics(&part))
        .collect();
    let help = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("# HELP "));
    let told: BTreeSet<(&str, &str)> = help.filter_map(|line| line.split_once(' ')).collect();
    assert!(told.len() > 20, "{told:?}");
    for (name, meaning) in told {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/metrics.md does not tell of {name}"
        );
        assert!(
            page.contains(meaning),
            "docs/metrics.md says something else of {name} than: {meaning}"
        );
    }
}
