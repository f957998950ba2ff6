//! Certificates live hours, connections live on: nodes renew at half of theirs, with a new key, while calls go on.

use std::time::{Duration, Instant};

use loadtest::{Era, Load, Scenario, Target};
use serde_json::json;
use tests::catalog;
use tests::mesh::Mesh;
use tests::wait;

/// How long certificates last here, and for how long calls are made: two renewals and the end of the first certificate.
const LASTS: Duration = Duration::from_secs(10);
const LOAD: Duration = Duration::from_secs(14);

#[test]
fn certificates_are_renewed_at_half_of_their_life_and_no_call_fails() {
    let resources = [
        catalog::everything(),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mesh = Mesh::new()
        .with(&resources)
        .setting(
            "GATEHOUSE_CONTROL_PLANE__TLS__CERTIFICATE_LASTS_S",
            &LASTS.as_secs().to_string(),
        )
        .start();
    mesh.server_in("everything", "ready");
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let target = |era| {
        let target = Target::new([mesh.url(0, "everything")]).expect("it is a URL");
        target.with_key(&key).expect("it is a key").speaking(era)
    };
    let began = Instant::now();
    let load = |era| {
        Load::at_rate(25.0, target(era))
            .calling(Scenario::tool("echo", json!({"message": "a"})).expecting("Echo: a"))
            .giving_up_after(Duration::from_secs(5))
            .start()
            .expect("a load can be made")
    };
    let loads = [load(Era::Modern), load(Era::Legacy)];
    let renewed = || {
        let nodes = mesh
            .gatehouse(&["nodes", "-o", "json"])
            .ended_with(0)
            .json();
        let ends = nodes["items"].as_array().cloned().unwrap_or_default();
        let ends = ends.iter().map(|node| {
            node["certificate_ends"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        ends.collect::<Vec<_>>()
    };
    let first = renewed();
    assert_eq!(first.len(), 2, "an edge and a sidecar");
    wait::until(
        "certificates of all nodes to be new, twice over",
        LOAD * 2,
        || {
            let now = renewed();
            let all_new = now.iter().all(|end| !first.contains(end));
            if all_new && began.elapsed() > LOAD {
                Ok(())
            } else {
                Err(format!("{first:?}, then {now:?}"))
            }
        },
    );
    for load in loads {
        let report = load.stop();
        assert!(
            report.failures.is_empty() && report.answered > 300,
            "{report}"
        );
    }
    let nodes = mesh.gatehouse(&["nodes"]).ended_with(0);
    assert_eq!(nodes.stdout.matches("current").count(), 2, "{nodes}");
}
