//! What is part of the format and not yet acted on: refused as such, each once.

use super::{faults_of, filter, rule};

#[test]
fn what_later_versions_do_is_refused_as_such() {
    let text = "apiVersion: gatehouse.dev/v1
kind: Server
metadata: {name: crm}
spec:
  tenancy: per-user
  runtime: {remote: {url: \"https://mcp.example.com/mcp\"}}
  config:
    - {key: API_TOKEN, title: Token, from: user, secret: true, required: true, as: header}
    - {key: L, from: user, as: file}
  upstreamAuth: {oauth: {}}
  limits: {memory: 512Mi, cpu: \"0.5\", processes: 64, idle: 15m}
  egress: [api.example.com]
  tools: {overrides: [{name: echo, rename: say}]}
";
    let faults = faults_of(text);
    assert!(
        faults.iter().all(|f| f.starts_with("GH2002 ")),
        "{faults:#?}"
    );
    let paths: Vec<&str> = faults
        .iter()
        .map(|f| f.split("» ").nth(1).unwrap().split(':').next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "spec.config[0].from",
            "spec.config[1].from",
            "spec.config[1].as",
            "spec.upstreamAuth",
            "spec.limits.memory",
            "spec.limits.cpu",
            "spec.limits.processes",
            "spec.limits.idle",
            "spec.egress",
            "spec.tools.overrides",
        ]
    );
}

#[test]
fn filters_of_later_versions_are_refused_once() {
    let later = |spec: &str| faults_of(&filter(spec));
    assert_eq!(
        later("  schema: {arguments: true}\n"),
        [
            "GH1001 f.yaml:5:12 «arguments» spec.schema.arguments is not a field of Filter | there are no fields here"
        ]
    );
    assert_eq!(
        later("  keyword: {words: [a]}\n").len(),
        1,
        "a misspelt kind of filter is one fault"
    );
    assert_eq!(
        later("  match: {servers: [], methods: [tools/list], tools: [x]}\n"),
        [
            "GH1003 f.yaml:4:1 «spec» spec.keywords is missing, and so is every other kind: without one of them the filter does nothing",
            "GH1002 f.yaml:5:20 «[]» spec.match.servers is empty: leave it out to mean all",
            "GH2004 f.yaml:5:47 «tools» spec.match.tools: the filter can never match: tools are called by tools/call, \
             which methods leave out",
        ]
    );
}

#[test]
fn approvers_of_nothing_are_refused() {
    let text = rule(
        "  effect: deny\n  approvers: [{}]\n  everyone: true\n  servers: [{labels: {team: platform}}, {label: {}}]\n",
    );
    assert_eq!(
        faults_of(&text),
        [
            "GH2004 f.yaml:6:3 «approvers» spec.approvers is for rules of effect approve: nobody is asked about others",
            "GH1003 f.yaml:6:15 «{}» spec.approvers[0]: names nobody: give user or group",
            "GH1001 f.yaml:8:42 «label» spec.servers[1].label is not a field of AccessRule | did you mean `labels`? \
             | fields here: labels",
        ]
    );
}

#[test]
fn settings_of_built_in_filters_are_checked() {
    let faults = |spec: &str| -> Vec<String> {
        let faults = faults_of(&filter(spec));
        faults
            .iter()
            .map(|fault| fault.split("» ").nth(1).unwrap_or(fault).to_owned())
            .collect()
    };
    for good in [
        "  regex: {patterns: [{name: p, pattern: x}], action: redact}\n  mayChange: true\n",
        "  pii: {}\n",
        "  pii: {detect: [email, iban], action: tokenise, secretName: k}\n  mayChange: true\n",
        "  size: {bytes: 1Mi, depth: 8}\n",
        "  injection: {}\n",
        "  schema: {}\n",
        "  match: {methods: [\"tools/*\"], tools: [\"a*\"], direction: response}\n  schema: {}\n  mode: observe\n",
        "  hidden: {action: strip}\n  mayChange: true\n",
    ] {
        let read = crate::yaml::parse(&[super::source("f.yaml", &filter(good))]);
        assert!(read.is_ok(), "{good}: {read:?}");
    }
    for (bad, path) in [
        ("  regex: {patterns: []}\n", "spec.regex.patterns "),
        (
            "  regex: {patterns: [{name: P, pattern: x}]}\n",
            "spec.regex.patterns[0].name:",
        ),
        (
            "  regex: {patterns: [{name: p, pattern: x}, {name: p, pattern: y}]}\n",
            "spec.regex.patterns[1].name:",
        ),
        ("  pii: {detect: [mail]}\n", "spec.pii.detect[0]:"),
        (
            "  pii: {action: tokenise}\n  mayChange: true\n",
            "spec.pii.secretName ",
        ),
        ("  pii: {secretName: k}\n", "spec.pii.secretName "),
        ("  pii: {action: redact}\n", "spec.mayChange"),
        ("  size: {}\n", "spec.size"),
        ("  size: {depth: 3}\n  mayChange: true\n", "spec.mayChange"),
        ("  schema: {}\n  mayChange: true\n", "spec.mayChange"),
        (
            "  match: {methods: [tools/list, \"resources/*\"]}\n  schema: {}\n",
            "spec.match.methods: the filter can never match",
        ),
        (
            "  match: {methods: [tools/list], tools: [a]}\n  schema: {}\n",
            "spec.match.tools: the filter can never match",
        ),
        (
            "  injection: {threshold: 101}\n",
            "spec.injection.threshold:",
        ),
        ("  hidden: {action: redact}\n", "spec.hidden.action"),
    ] {
        let told = faults(bad);
        assert!(
            told.len() == 1 && told[0].contains(path.trim()),
            "{bad}: {told:?}"
        );
    }
}
