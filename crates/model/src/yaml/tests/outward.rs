//! What leads out of the installation: remote servers, receivers, and the secrets that they need.

use proto::v1 as pb;
use proto::v1::resource::Spec;

use super::{faults_of, filter};
use crate::yaml::{self, Source};

fn remote(runtime: &str, config: &str) -> String {
    format!(
        "apiVersion: gatehouse.dev/v1
kind: Server
metadata: {{name: crm}}
spec:
  runtime: {{{runtime}}}
  config:{config}
"
    )
}

fn is_good(text: &str) -> bool {
    let source = Source {
        file: "f.yaml".to_owned(),
        text: text.into(),
    };
    yaml::parse(&[source]).is_ok()
}

/// The paths of all faults, in order.
fn paths(text: &str) -> Vec<String> {
    let path = |fault: &String| {
        let after = fault.split("» ").nth(1).unwrap();
        after.split([':', ' ']).next().unwrap().to_owned()
    };
    faults_of(text).iter().map(path).collect()
}

#[test]
fn a_remote_server_has_a_url_headers_and_secrets() {
    let text = remote(
        "remote: {urlTemplate: \"https://${REGION}.example.com/${TENANT}/mcp\"}",
        "
    - {key: REGION, from: admin, value: eu, as: url}
    - {key: TENANT, from: secret, secretName: tenant, as: url}
    - {key: Authorization, from: secret, secretName: crm-token, required: true, as: header}
    - {key: X-Team, from: admin, value: platform, as: header}",
    );
    assert!(is_good(&text));
    assert!(is_good(&remote("external: {}", " []")));
}

#[test]
fn urls_that_two_readers_take_differently_are_refused_with_their_field() {
    for url in [
        "https://a@b/",
        "ftp://x/",
        "https://0x7f.1/",
        "https://x/../y",
    ] {
        let found = paths(&remote(&format!("remote: {{url: \"{url}\"}}"), " []"));
        assert_eq!(found, ["spec.runtime.remote.url"], "{url}");
    }
    let both = "remote: {url: \"https://x/\", urlTemplate: \"https://y/\"}";
    assert_eq!(faults_of(&remote(both, " []")).len(), 1);
}

#[test]
fn values_that_do_not_reach_the_server_are_refused() {
    let plain = "remote: {url: \"https://x/\"}";
    let config = |entries: &str| paths(&remote(plain, entries));
    assert_eq!(
        config("\n    - {key: A, from: admin, value: b, as: env}"),
        ["spec.config[0].as"]
    );
    for header in [
        "Host",
        "content-length",
        "Mcp-Session-Id",
        "X-Forwarded-For",
        "a b",
    ] {
        assert_eq!(
            config(&format!(
                "\n    - {{key: \"{header}\", from: admin, value: b, as: header}}"
            )),
            ["spec.config[0].key"],
            "{header}"
        );
    }
    let twice = "
    - {key: X-A, from: admin, value: b, as: header}
    - {key: x-a, from: secret, secretName: s, as: header}";
    assert_eq!(
        config(twice),
        ["spec.config[1].key"],
        "one header under two spellings"
    );
    assert_eq!(
        config("\n    - {key: A, from: secret, as: header}"),
        ["spec.config[0].secretName"]
    );
    assert_eq!(
        config("\n    - {key: A, from: admin, value: b, as: url}"),
        ["spec.runtime.remote.urlTemplate"],
        "a value without a place"
    );
    let template = "remote: {urlTemplate: \"https://${A}.x/\"}";
    assert_eq!(
        paths(&remote(template, " []")),
        ["spec.runtime.remote.urlTemplate"],
        "a place without a value"
    );
    let npx = "npx: {package: x, version: 1.0.0}";
    let header = "\n    - {key: A, from: admin, value: b, as: header}";
    assert_eq!(paths(&remote(npx, header)), ["spec.config[0].as"]);
}

#[test]
fn a_webhook_needs_a_url_and_a_secret_and_has_bounds() {
    let good = "  webhook: {url: \"https://hooks.example.com/mcp\", secretName: hook-key, timeout: 500ms, format: obot}
  mayChange: true
  onError: allow
";
    assert!(is_good(&filter(good)));
    assert_eq!(
        paths(&filter("  webhook: {}\n")),
        ["spec.webhook.url", "spec.webhook.secretName"]
    );
    let bad = "  webhook: {url: \"x\", secretName: A_B, timeout: 11s, format: soap}\n";
    assert_eq!(
        paths(&filter(bad)),
        [
            "spec.webhook.url",
            "spec.webhook.secretName",
            "spec.webhook.timeout",
            "spec.webhook.format"
        ]
    );
    let signed =
        "  webhook: {url: \"https://x\", secretName: k, format: obot, signedAnswer: true}\n";
    assert_eq!(paths(&filter(signed)), ["spec.webhook.signedAnswer"]);
    let words = "  keywords: {words: [a]}\n  mayChange: true\n";
    assert_eq!(paths(&filter(words)), ["spec.mayChange"]);
}

#[test]
fn a_secret_is_read_and_its_faults_say_nothing_of_it() {
    let text = "apiVersion: gatehouse.dev/v1
kind: Secret
metadata: {name: crm-token}
spec: {value: hunter2}
";
    let sources = [Source {
        file: "s.yaml".to_owned(),
        text: text.into(),
    }];
    let read = yaml::parse(&sources).unwrap().remove(0).resource;
    let Some(Spec::Secret(pb::SecretSpec { value, .. })) = &read.spec else {
        panic!("{read:?}");
    };
    assert_eq!(value, "hunter2");
    let empty = text.replace("hunter2", "\"\"");
    assert_eq!(paths(&empty), ["spec.value"]);
    for fault in faults_of(&text.replace("hunter2", "\"hun\\0ter2\"")) {
        let message = fault.split("» ").nth(1).unwrap();
        assert!(!message.contains("hun"), "{message}");
    }
}
