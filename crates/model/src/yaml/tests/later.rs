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
        later("  regex: {pattern: x}\n"),
        ["GH2002 f.yaml:5:3 «regex» spec.regex: regex is not supported by this version"]
    );
    assert_eq!(
        later("  keyword: {words: [a]}\n").len(),
        1,
        "a misspelt kind of filter is one fault"
    );
    assert_eq!(
        later("  match: {servers: [], methods: [tools/list], tools: [x]}\n"),
        [
            "GH1003 f.yaml:4:1 «spec» spec.keywords is missing, and so is webhook: without one of them the filter does nothing",
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
            "GH2004 f.yaml:6:14 «[{}]» spec.approvers is for rules of effect approve: nobody is asked about others",
            "GH1003 f.yaml:6:15 «{}» spec.approvers[0] names nobody: give user or group",
            "GH1001 f.yaml:8:42 «label» spec.servers[1].label is not a field of AccessRule | did you mean `labels`? \
             | fields here: labels",
        ]
    );
}
