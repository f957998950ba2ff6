//! Complete mediation: every method, at every route, over every transport, by whoever asks and about what is open, hidden
//! or not there, is decided as the rules say. The cells are generated; what is expected of each is said here once, by
//! words and without the engine, and what must not reach a server is looked for at the server.

mod cells;
pub(crate) mod vault;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::Listener;
use tests::mesh::{Mesh, Running};

use cells::{About, Cell, Expected, METHODS, Role, Route, Transport};
use vault::Speaks;

/// Fewer would leave something out (SECURITY-RELIABILITY, bar 18).
const CELLS_MIN: usize = 2_000;

const SERVERS: [(&str, Speaks); 3] = [
    ("both", Speaks::Both),
    ("legacy", Speaks::Legacy),
    ("modern", Speaks::Modern),
];

fn rules() -> Vec<Value> {
    let rule = |name: &str, spec: Value| catalog::resource("AccessRule", name, &spec);
    let group = |name: &str| json!([{ "group": name }]);
    let all = json!(["*"]);
    vec![
        rule(
            "admins",
            json!({"effect": "allow", "subjects": group("admins"), "servers": all}),
        ),
        rule(
            "readers",
            json!({"effect": "allow", "subjects": group("readers"), "servers": all,
                "tools": ["open"], "prompts": ["open"], "resources": ["test://open"],
                "methods": ["completion/complete", "subscriptions/listen"]}),
        ),
        rule(
            "insiders",
            json!({"effect": "allow", "subjects": group("insiders"), "servers": all}),
        ),
        rule(
            "insiders-not-hidden",
            json!({"effect": "deny", "subjects": group("insiders"), "servers": all,
                "tools": ["hidden"], "prompts": ["hidden"], "resources": ["test://hidden"]}),
        ),
        rule(
            "banned",
            json!({"effect": "deny", "subjects": group("banned"), "servers": all}),
        ),
        rule(
            "elsewhere",
            json!({"effect": "allow", "subjects": group("others"), "servers": ["elsewhere"]}),
        ),
    ]
}

/// Everything that a cell needs.
struct Stage {
    mesh: Running,
    servers: BTreeMap<&'static str, Listener>,
    keys: BTreeMap<Role, String>,
}

impl Stage {
    fn start() -> Self {
        let servers = SERVERS.map(|(name, speaks)| (name, vault::start(speaks)));
        let mut resources = rules();
        for (name, listener) in &servers {
            resources.push(catalog::remote(name, &listener.url("/mcp")));
            resources.push(catalog::virtual_server(
                &format!("v-{name}"),
                &[(name, "p_")],
            ));
        }
        resources.push(catalog::remote("elsewhere", &servers[0].1.url("/mcp")));
        let mesh = Mesh::new().with(&resources).edges(2).start();
        let keys = Role::ALL.map(|role| (role, key(&mesh, role)));
        Self {
            mesh,
            servers: servers.into(),
            keys: keys.into(),
        }
    }
}

fn key(mesh: &Running, role: Role) -> String {
    let of = |user: &str, groups: &[&str]| mesh.key(user, groups);
    match role {
        Role::Nobody => String::new(),
        Role::Forged => format!("gh_{}", "A".repeat(43)),
        Role::Revoked => {
            let key = of("rea@example.com", &["admins"]);
            mesh.gatehouse(&["key", "revoke", &key.id]).good();
            key.text
        }
        Role::OfAnotherServer => {
            let flags = [
                "--user",
                "oda@example.com",
                "--group",
                "admins",
                "--server",
                "elsewhere",
            ];
            mesh.key_with(&flags).text
        }
        Role::Outsider => of("sam@example.com", &["others"]).text,
        Role::Banned => of("bad@example.com", &["admins", "banned"]).text,
        Role::Reader => of("rea@example.com", &["readers"]).text,
        Role::Insider => of("ina@example.com", &["insiders"]).text,
        Role::Admin => of("ada@example.com", &["admins"]).text,
    }
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "how many there were is worth to be seen"
)]
fn every_cell_of_method_route_transport_role_and_target_is_decided_as_the_rules_say() {
    let stage = Stage::start();
    let (mut count, mut wrong) = (0, Vec::new());
    for server in SERVERS.map(|(name, _)| name) {
        let listener = &stage.servers[server];
        for (route, transport) in cells::ways() {
            let mut way = cells::Way::open(&stage.mesh, server, route, transport, &stage.keys);
            for role in Role::ALL {
                way.enter(role);
                for method in METHODS.iter().filter(|method| method.is_in(transport)) {
                    for &about in method.about {
                        let cell = Cell {
                            server,
                            route,
                            transport,
                            role,
                            method: method.name,
                            about,
                        };
                        count += 1;
                        listener.take();
                        let outcome = way.ask(&cell);
                        let reached = reached(listener, &cell);
                        if let Some(why) = cell.fault(&outcome, reached) {
                            wrong.push(format!("{cell}: {why}"));
                        }
                    }
                }
            }
        }
    }
    eprintln!("authorization matrix: {count} cells, {} wrong", wrong.len());
    assert!(count >= CELLS_MIN, "only {count} cells");
    let shown = wrong
        .iter()
        .take(40)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {count} cells are wrong:\n{shown}",
        wrong.len()
    );
}

/// Whether the request itself reached the server.
fn reached(listener: &Listener, cell: &Cell) -> bool {
    listener.take().iter().any(|heard| {
        let message = heard.json();
        let params = &message["params"];
        let names = [&params["name"], &params["uri"], &params["ref"]["name"]];
        let target = match cell.about {
            About::Nothing => return message["method"] == cell.method,
            about => about.name(),
        };
        let is_it = |name: &&Value| name.as_str().is_some_and(|name| name.ends_with(target));
        let listens = params["notifications"].to_string().contains(target);
        message["method"] == cell.method && (listens || names.iter().any(is_it))
    })
}

#[test]
fn what_is_expected_is_not_all_the_same() {
    // The oracle itself: of the cells of one way, each outcome is expected somewhere.
    let expected = |role, method, about| {
        Cell {
            server: "both",
            route: Route::Server,
            transport: Transport::Legacy,
            role,
            method,
            about,
        }
        .expected()
    };
    assert_eq!(
        expected(Role::Nobody, "tools/call", About::Open),
        Expected::Status(401)
    );
    assert_eq!(
        expected(Role::Outsider, "tools/call", About::Open),
        Expected::Status(404)
    );
    assert_eq!(
        expected(Role::Reader, "tools/call", About::Hidden),
        Expected::Unknown
    );
    assert_eq!(
        expected(Role::Admin, "tools/call", About::Hidden),
        Expected::Served
    );
}
