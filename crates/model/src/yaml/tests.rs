#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Golden texts of bad files, and round trips of good ones.

use super::*;

mod annotations;
mod later;
mod outward;
mod round_trip;

fn source(file: &str, text: &str) -> Source {
    Source {
        file: file.to_owned(),
        text: text.into(),
    }
}

/// Every fault on one line: code, place, the text at that place, the sentence, label and fix.
fn faults(sources: &[Source]) -> Vec<String> {
    let faults = parse(sources).unwrap_err();
    faults
        .iter()
        .map(|f| {
            let text = &sources.iter().find(|s| s.file == f.file).unwrap().text;
            let mut line = format!(
                "{} {}:{}:{} «{}» {}",
                f.fault.code,
                f.file,
                f.line,
                f.column,
                &text[f.offset..f.offset + f.length],
                f.fault
            );
            for more in [&f.label, &f.fault.fix].into_iter().flatten() {
                line.push_str(" | ");
                line.push_str(more);
            }
            line
        })
        .collect()
}

fn faults_of(text: &str) -> Vec<String> {
    faults(&[source("f.yaml", text)])
}

const SERVER: &str = "apiVersion: gatehouse.dev/v1
kind: Server
metadata: {name: everything}
spec:
  runtime:
    npx: {package: \"@modelcontextprotocol/server-everything\", version: 2026.8.31, args: [stdio]}
";

fn rule(spec: &str) -> String {
    format!(
        "apiVersion: gatehouse.dev/v1\nkind: AccessRule\nmetadata: {{name: engineers}}\nspec:\n{spec}"
    )
}

fn filter(spec: &str) -> String {
    format!(
        "apiVersion: gatehouse.dev/v1\nkind: Filter\nmetadata: {{name: no-hacking}}\nspec:\n{spec}"
    )
}

#[test]
fn the_quickstart_form_is_read() {
    let text = format!(
        "# two documents\n---\n{SERVER}  config:\n  - {{key: REGION, from: admin, value: eu, as: env}}\n---\n{}",
        rule(
            "  effect: allow\n  subjects: [{group: engineering}]\n  servers: [everything, \"docs-*\"]\n  tools: [\"*\"]\n"
        )
    );
    let located = parse(&[source("a.yaml", &text)]).unwrap();
    assert_eq!(located.iter().map(|l| l.line).collect::<Vec<_>>(), [3, 12]);
    let names: Vec<String> = located
        .iter()
        .map(|l| crate::wire::key_of(&l.resource).unwrap().to_string())
        .collect();
    assert_eq!(names, ["Server/everything", "AccessRule/engineers"]);
    let key = ResourceKey::new("AccessRule", "engineers");
    let spot = locate(&located, &key, "spec.servers[1]").unwrap();
    assert_eq!((spot.file, spot.extent.line), ("a.yaml", 18));
    assert_eq!(
        &text[spot.extent.offset..spot.extent.offset + spot.extent.length],
        "\"docs-*\""
    );
    assert_eq!(locate(&located, &key, "spec.when").unwrap().extent.line, 15);
    assert_eq!(
        locate(&located, &ResourceKey::new("AccessRule", "x"), "spec"),
        None
    );
}

#[test]
fn a_misspelt_field_gets_the_nearest_name() {
    let text = format!("{SERVER}  limits: {{startup: 30s, idel: 15m}}\n");
    assert_eq!(
        faults_of(&text),
        [
            "GH1001 f.yaml:7:26 «idel» spec.limits.idel is not a field of Server | did you mean `idle`? \
          | fields here: memory, cpu, processes, idle, startup, call"
        ]
    );
}

#[test]
fn a_misspelt_field_is_not_also_missing() {
    let text = rule("  efect: allow\n  everyone: true\n  servers: [\"*\"]\n");
    assert_eq!(faults_of(&text).len(), 1, "{:?}", faults_of(&text));
}

#[test]
fn of_two_runtimes_one_is_to_be_kept() {
    let text = format!("{SERVER}    container: {{image: x, port: 80}}\n");
    assert_eq!(
        faults_of(&text),
        ["GH1004 f.yaml:7:5 «container» spec.runtime: npx and container: keep one"]
    );
}

#[test]
fn wrong_types_say_what_is_wanted() {
    let text = "apiVersion: gatehouse.dev/v1
kind: Server
metadata: {name: time}
spec:
  title: [a]
  runtime:
    uvx: {package: mcp-server-time, version: 1.10, args: stdio}
  limits: {call: 10x, startup: {}}
  config:
";
    assert_eq!(
        faults_of(text),
        [
            "GH1002 f.yaml:5:10 «[a]» spec.title: a list is not text",
            "GH1002 f.yaml:7:46 «1.10» spec.runtime.uvx.version: 1.10 (without quotes) is not text \
             | put it in quotes: \"1.10\"",
            "GH1002 f.yaml:7:58 «stdio» spec.runtime.uvx.args: \"stdio\" is not a list",
            "GH1002 f.yaml:8:18 «10x» spec.limits.call: \"10x\" is not a duration such as 500ms, 30s, 15m or 24h",
            "GH1002 f.yaml:8:32 «{}» spec.limits.startup: a mapping is not a duration such as 500ms, 30s, 15m or 24h",
            "GH1002 f.yaml:9:3 «config» spec.config is empty: leave it out or give it a value",
        ]
    );
}

#[test]
fn bad_globs_and_rules_that_cannot_match() {
    let text =
        rule("  effect: deny\n  everyone: true\n  servers: [\"docs-[ab]\", Docs]\n  tools: []\n");
    assert_eq!(
        faults_of(&text),
        [
            "GH2003 f.yaml:7:13 «\"docs-[ab]\"» spec.servers[0]: \"docs-[ab]\" is refused: '[' has no meaning in a glob: \
             only * (any run) and ? (one character) have",
            "GH2004 f.yaml:7:26 «Docs» spec.servers[1]: \"Docs\" can never match: names of servers are 1 to 40 of a-z, \
             0-9 and -",
            "GH2004 f.yaml:8:3 «tools» spec.tools is empty, and nothing else is given: the rule can never match",
        ]
    );
}

#[test]
fn one_resource_in_two_files_is_refused() {
    let sources = [
        source("a.yaml", SERVER),
        source("dir/b.yaml", &format!("# again\n{SERVER}")),
    ];
    assert_eq!(
        faults(&sources),
        [
            "GH1007 dir/b.yaml:4:18 «everything» metadata.name: Server everything is given twice, first in a.yaml:1"
        ]
    );
}

#[test]
fn all_faults_of_all_files_at_once() {
    let sources = [
        source(
            "a.yaml",
            &rule(
                "  effect: alow\n  subjects: [{group: g, users: [x]}, {user: \"\"}]\n  servers: \"*\"\n  when: 'a'\n",
            ),
        ),
        source(
            "b.yaml",
            "apiVersion: gatehouse.dev/v2\nkind: Servr\nmetadata: {name: A_b, name: c}\nspecs: {}\n",
        ),
        source("c.yaml", "kind: NodePool\n---\n[a]\n---\n: {\n"),
    ];
    assert_eq!(
        faults(&sources),
        [
            "GH1002 a.yaml:5:11 «alow» spec.effect: \"alow\" is not one of allow, deny, approve | did you mean `allow`?",
            "GH1001 a.yaml:6:25 «users» spec.subjects[0].users is not a field of AccessRule | did you mean `user`? \
             | fields here: user, group, client",
            "GH1002 a.yaml:6:45 «\"\"» spec.subjects[1].user is empty: leave it out or give it a value",
            "GH1002 a.yaml:7:12 «\"*\"» spec.servers: \"*\" is not a list",
            "GH1006 b.yaml:1:13 «gatehouse.dev/v2» apiVersion: \"gatehouse.dev/v2\" is not known, this version reads \
             gatehouse.dev/v1",
            "GH1006 b.yaml:2:7 «Servr» kind: \"Servr\" is not a kind | did you mean `Server`?",
            "GH1007 b.yaml:3:23 «name» metadata.name is given twice",
            "GH1001 b.yaml:4:1 «specs» specs is not a field of a resource | did you mean `spec`? \
             | fields here: apiVersion, kind, metadata, spec",
            "GH1003 c.yaml:1:1 «kind: NodePool» apiVersion is missing: gatehouse.dev/v1",
            "GH1003 c.yaml:1:1 «kind: NodePool» metadata is missing",
            "GH1003 c.yaml:1:1 «kind: NodePool» spec is missing",
            "GH2002 c.yaml:1:7 «NodePool» kind: NodePool is not supported by this version",
            "GH1002 c.yaml:3:1 «[a]» a resource is a mapping with apiVersion, kind, metadata and spec",
            "GH1005 c.yaml:6:1 «» cannot be read as YAML or JSON: while parsing a node, did not find expected node content",
        ]
    );
}

#[test]
fn versions_are_exact_and_programs_absolute() {
    let server = |runtime: &str| {
        let head = "apiVersion: gatehouse.dev/v1\nkind: Server\nmetadata: {name: a}\nspec:\n";
        faults_of(&format!("{head}  runtime: {runtime}\n"))
    };
    assert_eq!(
        server("{npx: {package: --yes, version: latest}}"),
        [
            "GH1002 f.yaml:5:28 «--yes» spec.runtime.npx.package: \"--yes\" is not an npm package: name or @scope/name",
            "GH1002 f.yaml:5:44 «latest» spec.runtime.npx.version: \"latest\" is not an exact version such as 1.2.3; \
             ranges and tags are refused",
        ]
    );
    assert_eq!(
        server("{command: {argv: [server, \"a\\0b\"]}}"),
        [
            "GH1002 f.yaml:5:30 «server» spec.runtime.command.argv[0]: \"server\" is not an absolute path",
            "GH1002 f.yaml:5:38 «\"a\\0b\"» spec.runtime.command.argv[1]: \"a\\0b\" holds a NUL character",
        ]
    );
    assert_eq!(
        server("{}"),
        [
            "GH1004 f.yaml:5:3 «runtime» spec.runtime: one of npx, uvx, command, remote, external is wanted"
        ]
    );
}

#[test]
fn anchors_aliases_tags_and_depth_are_refused() {
    assert_eq!(
        faults_of("a: &x [1]\nb: *x\nc: !!str d\n")
            .iter()
            .filter(|f| f.starts_with("GH1005"))
            .count(),
        3
    );
    let deep = faults_of(&format!("{}1{}", "[".repeat(100), "]".repeat(100)));
    assert_eq!(
        deep,
        ["GH1005 f.yaml:1:65 «[» nested deeper than 64 levels"]
    );
    let steps = faults_of(&"- ".repeat(5_000));
    assert_eq!(
        steps,
        ["GH1005 f.yaml:1:129 «-» nested deeper than 64 levels"]
    );
}

#[test]
fn places_are_right_behind_other_scripts_and_line_ends() {
    let text = "\u{feff}# größer\r\napiVersion: gatehouse.dev/v1\r\nkind: Server\r\nmetadata: {name: ä, labels: {ü: ö}, lables: {}}\r\nspec: {}\r\n";
    assert_eq!(
        faults_of(text)[..2],
        [
            "GH1002 f.yaml:4:18 «ä» metadata.name: \"ä\" is not a name: use 1 to 40 of a-z, 0-9 and -, with a letter or \
             digit first and last",
            "GH1001 f.yaml:4:37 «lables» metadata.lables is not a field of Server | did you mean `labels`? \
             | fields here: name, labels, revision, created, changed",
        ]
    );
}

#[test]
fn json_and_lists_of_resources_are_read() {
    let resource = &parse(&[source("a.yaml", SERVER)]).unwrap()[0].resource;
    let list = serde_json::json!({ "items": [to_json(resource)] });
    for text in [
        list.to_string(),
        serde_json::to_string_pretty(&list)
            .unwrap()
            .replace("  ", "\t"),
    ] {
        let read = parse(&[source("a.json", &text)]).unwrap();
        assert_eq!((read.len(), &read[0].resource), (1, resource));
    }
}

#[test]
fn nothing_is_read_from_nothing() {
    for text in ["", "\n", "# only this\n", "---\n---\n# x\n"] {
        assert_eq!(
            parse(&[source("a.yaml", text)]).unwrap().len(),
            0,
            "{text:?}"
        );
    }
}

#[test]
fn a_file_has_a_bound() {
    let text = format!("# {}\n", "x".repeat(FILE_BYTES_MAX));
    assert!(faults(&[source("big.yaml", &text)])[0].starts_with("GH1008 big.yaml:1:1 "));
}

#[test]
fn what_the_control_plane_makes_is_never_applied() {
    let text = "apiVersion: gatehouse.dev/v1\nkind: ApiKey\nmetadata: {name: k}\nspec: {user: x}\n";
    assert_eq!(
        faults_of(text),
        ["GH1006 f.yaml:2:7 «ApiKey» kind: ApiKey is made by the control plane and never applied"]
    );
}

#[test]
fn written_yaml_reads_well() {
    let text = format!(
        "{}  keywords: {{words: [hacking, \"no way\"], fold: true}}\n  order: -5\n",
        filter("  match: {servers: [\"*\"], direction: both}\n")
    );
    let mut resource = parse(&[source("a.yaml", &text)])
        .unwrap()
        .remove(0)
        .resource;
    let metadata = resource.metadata.as_mut().unwrap();
    metadata.revision = 7;
    metadata.created = "2026-11-22T10:00:00Z".to_owned();
    assert_eq!(
        to_yaml(&resource),
        "apiVersion: gatehouse.dev/v1
kind: Filter
metadata:
  name: no-hacking
  revision: 7
  created: \"2026-11-22T10:00:00Z\"
spec:
  match:
    servers: [\"*\"]
    direction: both
  keywords:
    words: [hacking, \"no way\"]
    fold: true
  order: -5
"
    );
}

#[test]
fn secrets_of_internal_kinds_are_not_shown() {
    let ring = pb::KeyRingSpec {
        api_key_pepper: vec![65; 32],
        purpose: "edge".to_owned(),
        ..Default::default()
    };
    let resource = pb::Resource {
        metadata: Some(pb::Metadata {
            name: "edge".to_owned(),
            ..Default::default()
        }),
        spec: Some(pb::resource::Spec::KeyRing(ring)),
    };
    assert_eq!(
        to_yaml(&resource),
        "apiVersion: gatehouse.dev/v1\nkind: KeyRing\nmetadata:\n  name: edge\n"
    );
}
