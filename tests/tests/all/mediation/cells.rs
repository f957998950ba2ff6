//! The cells of the matrix: what they are made of, how each is asked, and what is expected of it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use tests::http::{Open, Request, Response};
use tests::mesh::Running;
use tests::rpc::{LEGACY, Modern, Session};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Nobody,
    Forged,
    Revoked,
    OfAnotherServer,
    Outsider,
    Banned,
    Reader,
    Insider,
    Admin,
}

impl Role {
    pub(super) const ALL: [Self; 9] = [
        Self::Nobody,
        Self::Forged,
        Self::Revoked,
        Self::OfAnotherServer,
        Self::Outsider,
        Self::Banned,
        Self::Reader,
        Self::Insider,
        Self::Admin,
    ];

    fn is_known(self) -> bool {
        !matches!(
            self,
            Self::Nobody | Self::Forged | Self::Revoked | Self::OfAnotherServer
        )
    }

    fn may_use(self) -> bool {
        matches!(self, Self::Reader | Self::Insider | Self::Admin)
    }
}

/// By which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `/mcp/{server}`
    Server,
    /// `/mcp/{virtual server}`
    Virtual,
    /// `/mcp`
    All,
    /// `/sse/{server}`
    Sse,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Modern,
    Legacy,
    /// 2025-03-26, as a batch of one.
    Batch,
    /// HTTP+SSE of 2024-11-05.
    Old,
}

/// All ways to a server.
pub(super) fn ways() -> Vec<(Route, Transport)> {
    let routes = [Route::Server, Route::Virtual, Route::All];
    let transports = [Transport::Modern, Transport::Legacy, Transport::Batch];
    let mut ways: Vec<_> = routes
        .iter()
        .flat_map(|&route| transports.map(|transport| (route, transport)))
        .collect();
    ways.push((Route::Sse, Transport::Old));
    ways
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Nothing,
    Open,
    Hidden,
    /// What no server has.
    Absent,
}

impl About {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Open => "open",
            Self::Hidden => "hidden",
            Self::Absent => "absent",
        }
    }
}

/// A method, and what it is asked about.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) about: &'static [About],
    eras: &'static [Transport],
}

impl Method {
    pub(super) fn is_in(&self, transport: Transport) -> bool {
        self.eras.contains(&transport)
    }
}

const NAMED: &[About] = &[About::Open, About::Hidden, About::Absent];
const WHOLE: &[About] = &[About::Nothing];
const LEGACIES: &[Transport] = &[Transport::Legacy, Transport::Batch, Transport::Old];
const MODERNS: &[Transport] = &[Transport::Modern];
const ALL: &[Transport] = &[
    Transport::Modern,
    Transport::Legacy,
    Transport::Batch,
    Transport::Old,
];

const fn method(name: &'static str, about: &'static [About], eras: &'static [Transport]) -> Method {
    Method { name, about, eras }
}

pub(super) static METHODS: &[Method] = &[
    method("tools/list", WHOLE, ALL),
    method("tools/call", NAMED, ALL),
    method("prompts/list", WHOLE, ALL),
    method("prompts/get", NAMED, ALL),
    method("resources/list", WHOLE, ALL),
    method("resources/templates/list", WHOLE, ALL),
    method("resources/read", NAMED, ALL),
    method("completion/complete", NAMED, ALL),
    method(
        "resources/subscribe",
        &[About::Open, About::Hidden],
        LEGACIES,
    ),
    method("subscriptions/listen", &[About::Hidden], MODERNS),
    method("acme/unheard-of", WHOLE, ALL),
];

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            route,
            transport,
            role,
            method,
            about,
        } = self;
        write!(
            f,
            "{method} {about:?} of {server} by {route:?} {transport:?} as {role:?}"
        )
    }
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// An HTTP status, before anything else.
    Status(u16),
    /// A result.
    Served,
    /// A list with these of `open` and `hidden`.
    List(bool, bool),
    /// As what is not there: -32602 (or, of a resource, the code of its revision).
    Unknown,
    /// -32601.
    NoMethod,
}

/// One cell.
pub(super) struct Cell {
    pub(super) server: &'static str,
    pub(super) route: Route,
    pub(super) transport: Transport,
    pub(super) role: Role,
    pub(super) method: &'static str,
    pub(super) about: About,
}

impl Cell {
    /// What the rules say, in words of their own.
    pub(super) fn expected(&self) -> Expected {
        if !self.role.is_known() {
            return Expected::Status(401);
        }
        if !self.role.may_use() {
            return match (self.route, self.role, self.about) {
                // There is one server for them at this address, and it is another one.
                (Route::All, Role::Outsider, _) => self.expected_elsewhere(),
                _ => Expected::Status(404),
            };
        }
        let sees_hidden = self.role == Role::Admin;
        match (self.method, self.about) {
            ("acme/unheard-of", _) => Expected::NoMethod,
            ("resources/templates/list", _) => Expected::Served,
            (_, About::Nothing) => Expected::List(true, sees_hidden),
            (_, About::Open) => Expected::Served,
            (_, About::Hidden) if sees_hidden => Expected::Served,
            // The server serves whatever it is asked for: where nobody stands before it, that is seen.
            (_, About::Absent) if self.role != Role::Reader => Expected::Served,
            (_, About::Hidden | About::Absent) => Expected::Unknown,
        }
    }

    /// … of one who may use another server by this address.
    fn expected_elsewhere(&self) -> Expected {
        match (self.method, self.about) {
            ("acme/unheard-of", _) => Expected::NoMethod,
            ("resources/templates/list", _) => Expected::Served,
            (_, About::Nothing) => Expected::List(false, false),
            _ => Expected::Unknown,
        }
    }

    /// What is wrong with what came, where something is.
    pub(super) fn fault(&self, outcome: &Outcome, reached: bool) -> Option<String> {
        let expected = self.expected();
        let is_right = match (&expected, outcome) {
            (Expected::Status(status), Outcome::Status(is)) => status == is,
            (Expected::Served, Outcome::Result(_)) => true,
            (Expected::List(open, hidden), Outcome::List(is_open, is_hidden)) => {
                (open, hidden) == (is_open, is_hidden)
            }
            (Expected::Unknown, Outcome::Error(code, _)) => [-32602, -32002].contains(code),
            (Expected::NoMethod, Outcome::Error(code, _)) => *code == -32601,
            _ => false,
        };
        if !is_right {
            return Some(format!(
                "{expected:?} was expected, and this came: {outcome}"
            ));
        }
        let may_reach = matches!(expected, Expected::Served | Expected::List(..));
        (reached && !may_reach).then(|| "the server was asked all the same".to_owned())
    }
}

/// What came.
#[derive(Debug)]
pub(super) enum Outcome {
    Status(u16),
    Result(Value),
    /// Which of `open` and `hidden` a list names.
    List(bool, bool),
    Error(i64, String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Result(result) => write!(f, "{result}"),
            Self::List(open, hidden) => write!(f, "a list, open {open}, hidden {hidden}"),
            Self::Error(code, message) => write!(f, "error {code} {message}"),
        }
    }
}

fn outcome(response: &Response) -> Outcome {
    let messages = response.try_messages().ok();
    let last = messages.and_then(|messages| messages.last().cloned());
    match (response.status, last.map(of_message)) {
        // An unknown method is 404 in the modern era; its error tells it from a server that is not there.
        (404, Some(Outcome::Error(code, why))) if code == -32601 => Outcome::Error(code, why),
        (200 | 400, Some(outcome)) => outcome,
        (status, _) => Outcome::Status(status),
    }
}

fn of_message(message: Value) -> Outcome {
    let message = match message {
        Value::Array(mut batch) if batch.len() == 1 => batch.remove(0),
        message => message,
    };
    if let Some(result) = message.get("result") {
        return Outcome::Result(result.clone());
    }
    // The acknowledgement of a subscription.
    if message["method"] == "notifications/subscriptions/acknowledged" {
        return Outcome::Result(message["params"].clone());
    }
    let code = message["error"]["code"].as_i64().unwrap_or_default();
    Outcome::Error(code, message["error"]["message"].to_string())
}

/// A route and transport to one server, held open as whoever asks.
pub(super) struct Way<'a> {
    mesh: &'a Running,
    server: &'static str,
    route: Route,
    transport: Transport,
    keys: &'a BTreeMap<Role, String>,
    role: Role,
    /// The admin's session, which others are tried with, too.
    session: Option<Session>,
    stream: Option<Stream>,
    /// How resources are named on this route.
    uris: BTreeMap<&'static str, String>,
    turn: usize,
}

/// The stream of an old client, and where it posts.
struct Stream {
    open: Open,
    endpoint: String,
    said: usize,
}

impl<'a> Way<'a> {
    pub(super) fn open(
        mesh: &'a Running,
        server: &'static str,
        route: Route,
        transport: Transport,
        keys: &'a BTreeMap<Role, String>,
    ) -> Self {
        let mut way = Self {
            mesh,
            server,
            route,
            transport,
            keys,
            role: Role::Admin,
            session: None,
            stream: None,
            uris: BTreeMap::new(),
            turn: 0,
        };
        way.enter(Role::Admin);
        let cell = way.cell("resources/list", About::Nothing);
        let Outcome::Result(listed) = way.send(&cell) else {
            panic!("{cell}: an admin sees no resources");
        };
        let prefix = format!("{}_", server);
        for name in ["open", "hidden"] {
            let mut resources = listed["resources"].as_array().into_iter().flatten();
            let is_it = |resource: &&Value| {
                let uri = resource["uri"].as_str().unwrap_or_default();
                let named = resource["name"].as_str().unwrap_or_default();
                uri.contains(name)
                    && (route != Route::All || named.contains(&*prefix) || uri.contains(server))
            };
            let found = resources
                .find(is_it)
                .unwrap_or_else(|| panic!("{cell}: no {name}: {listed}"));
            way.uris
                .insert(name, found["uri"].as_str().unwrap_or_default().to_owned());
        }
        let absent = way.uris["open"].replace("open", "absent");
        way.uris.insert("absent", absent);
        way
    }

    fn cell(&self, method: &'static str, about: About) -> Cell {
        Cell {
            server: self.server,
            route: self.route,
            transport: self.transport,
            role: self.role,
            method,
            about,
        }
    }

    fn url(&self, edge: usize) -> String {
        match self.route {
            Route::Server => self.mesh.url(edge, self.server),
            Route::Virtual => self.mesh.url(edge, &format!("v-{}", self.server)),
            Route::All => format!("{}/mcp", self.mesh.edge(edge)),
            Route::Sse => format!("{}/sse/{}", self.mesh.edge(edge), self.server),
        }
    }

    fn key(&self) -> &'a str {
        &self.keys[&self.role]
    }

    /// Goes on as this role: with a session of its own where it is given one, else with the admin's.
    pub(super) fn enter(&mut self, role: Role) {
        self.role = role;
        let (url, key) = (self.url(0), self.key());
        match self.transport {
            Transport::Modern => {}
            Transport::Legacy | Transport::Batch => {
                let revision = if self.transport == Transport::Batch {
                    "2025-03-26"
                } else {
                    LEGACY
                };
                let beginning = Session::beginning(&url, key);
                let text = beginning.text().replace(LEGACY, revision);
                let response = beginning.body(text).send();
                match Session::granted(&url, key, &response) {
                    Some(session) => {
                        session.initialized().send().expect_status(202);
                        self.session = Some(session);
                    }
                    // With somebody else's session, then.
                    None => self.session = self.session.take().map(|known| known.by(key)),
                }
            }
            Transport::Old => self.enter_old(),
        }
    }

    fn enter_old(&mut self) {
        let get = by(Request::get(&self.url(0)), self.key());
        let mut open = get.with("accept", "text/event-stream").open();
        if open.status() != 200 {
            return;
        }
        let path = open.endpoint();
        self.stream = Some(Stream {
            open,
            endpoint: format!("{}{path}", self.mesh.edge(1)),
            said: 0,
        });
        let hello = json!({"protocolVersion": "2024-11-05", "capabilities": {},
            "clientInfo": {"name": "old", "version": "1"}});
        let begun = self.post_old("initialize", &hello);
        assert!(matches!(begun, Outcome::Result(_)), "{begun}");
    }

    fn post_old(&mut self, method: &str, params: &Value) -> Outcome {
        let key = self.key();
        let Some(stream) = &mut self.stream else {
            panic!("no stream was ever given");
        };
        let message =
            json!({"jsonrpc": "2.0", "id": stream.said, "method": method, "params": params});
        let post = by(Request::post(&stream.endpoint), key)
            .with("content-type", "application/json")
            .body(message.to_string());
        let response = post.send();
        if response.status != 202 {
            return Outcome::Status(response.status);
        }
        stream.said += 1;
        let said = stream.open.messages(stream.said).pop();
        of_message(said.unwrap_or_default())
    }

    /// Asks what a cell asks.
    pub(super) fn ask(&mut self, cell: &Cell) -> Outcome {
        match self.send(cell) {
            Outcome::Result(result) if matches!(cell.expected(), Expected::List(..)) => {
                let names = |about| self.is_listed(&result, about);
                Outcome::List(names(About::Open), names(About::Hidden))
            }
            outcome => outcome,
        }
    }

    fn is_listed(&self, result: &Value, about: About) -> bool {
        let (name, uri) = (self.name(about), &self.uris[about.name()]);
        ["tools", "prompts", "resources"].iter().any(|list| {
            let mut items = result[list].as_array().into_iter().flatten();
            items.any(|item| match item.get("uri") {
                Some(is) => is == uri,
                None => item["name"] == name,
            })
        })
    }

    fn send(&mut self, cell: &Cell) -> Outcome {
        self.turn += 1;
        let url = self.url(self.turn % 2);
        let params = self.params(cell);
        match self.transport {
            Transport::Modern => {
                let request = Modern::new(&url, self.key()).request(cell.method, params);
                if cell.method == "subscriptions/listen" {
                    return first_of(&request);
                }
                outcome(&request.send())
            }
            Transport::Old => self.post_old(cell.method, &params),
            Transport::Legacy | Transport::Batch => {
                let Some(session) = &self.session else {
                    panic!("no session was ever granted");
                };
                let request = session.at(&url).request(cell.method, params);
                let text = request.text();
                let request = if self.transport == Transport::Batch {
                    request.body(format!("[{text}]"))
                } else {
                    request
                };
                outcome(&request.send())
            }
        }
    }

    /// The names on this route.
    fn name(&self, about: About) -> String {
        match self.route {
            Route::Virtual => format!("p_{}", about.name()),
            Route::All => format!("{}_{}", self.server, about.name()),
            Route::Server | Route::Sse => about.name().to_owned(),
        }
    }

    fn params(&self, cell: &Cell) -> Value {
        let name = self.name(cell.about);
        let uri = || self.uris[cell.about.name()].clone();
        match cell.method {
            "tools/call" => json!({"name": name, "arguments": {}}),
            "prompts/get" => json!({"name": name}),
            "resources/read" | "resources/subscribe" => json!({"uri": uri()}),
            "completion/complete" => json!({"ref": {"type": "ref/prompt", "name": name},
                "argument": {"name": "a", "value": ""}}),
            "subscriptions/listen" => json!({"notifications": {"resourceSubscriptions": [uri()]}}),
            _ => json!({}),
        }
    }
}

/// What a stream begins with, or what comes in its place.
fn first_of(request: &Request) -> Outcome {
    let mut open = request.open();
    if open.header("content-type") != "text/event-stream" {
        return outcome(&open.whole());
    }
    of_message(open.messages(1).pop().unwrap_or_default())
}

fn by(request: Request, key: &str) -> Request {
    match key {
        "" => request,
        key => request.with("authorization", &format!("Bearer {key}")),
    }
}
