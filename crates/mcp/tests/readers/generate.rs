//! Valid messages of every kind, in every spelling that JSON allows, from one seed.

/// A random sequence that is the same on every machine (splitmix64): a failure can be looked at again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A JSON text before it is written: tokens and keys are raw, quotes included.
#[derive(Clone)]
pub(crate) enum Node {
    Token(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The members of the object number `nth`, in the order of the text; the root is number 0.
    pub(crate) fn object(&mut self, nth: &mut usize) -> Option<&mut Vec<(String, Self)>> {
        match self {
            Self::Token(_) => None,
            Self::Array(items) => items.iter_mut().find_map(|item| item.object(nth)),
            Self::Object(members) => {
                if *nth == 0 {
                    return Some(members);
                }
                *nth -= 1;
                members.iter_mut().find_map(|(_, value)| value.object(nth))
            }
        }
    }

    pub(crate) fn objects(&self) -> usize {
        match self {
            Self::Token(_) => 0,
            Self::Array(items) => items.iter().map(Self::objects).sum(),
            Self::Object(members) => {
                1 + members
                    .iter()
                    .map(|(_, node)| node.objects())
                    .sum::<usize>()
            }
        }
    }

    /// The text, with white space here and there.
    pub(crate) fn write(&self, random: &mut Random, out: &mut Vec<u8>) {
        let list = |random: &mut Random, out: &mut Vec<u8>, items: &[(Option<&String>, &Self)]| {
            for (nth, (key, value)) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                blank(random, out);
                if let Some(key) = key {
                    out.extend_from_slice(key.as_bytes());
                    blank(random, out);
                    out.push(b':');
                    blank(random, out);
                }
                value.write(random, out);
                blank(random, out);
            }
        };
        match self {
            Self::Token(token) => out.extend_from_slice(token.as_bytes()),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| (None, item)).collect();
                out.push(b'[');
                list(random, out, &items);
                out.push(b']');
            }
            Self::Object(members) => {
                let items: Vec<_> = members.iter().map(|(key, v)| (Some(key), v)).collect();
                out.push(b'{');
                list(random, out, &items);
                out.push(b'}');
            }
        }
    }
}

fn blank(random: &mut Random, out: &mut Vec<u8>) {
    if random.once_in(12) {
        out.extend_from_slice(random.pick(&[" ", "\n", "\t", "\r\n", "  "]).as_bytes());
    }
}

pub(crate) fn token(raw: &str) -> Node {
    Node::Token(raw.to_owned())
}

/// A string as JSON may spell it.
pub(crate) fn spell(random: &mut Random, text: &str) -> String {
    let escapes = random.once_in(5);
    let mut out = String::from("\"");
    for c in text.chars() {
        let must = c < ' ' || c == '"' || c == '\\';
        if c == '/' && escapes {
            out.push_str(r"\/");
        } else if must || escapes && random.once_in(3) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&match random.once_in(2) {
                    true => format!("\\u{unit:04x}"),
                    false => format!("\\u{unit:04X}"),
                });
            }
        } else {
            out.push(c);
        }
    }
    out + "\""
}

fn text(random: &mut Random, text: &str) -> Node {
    Node::Token(spell(random, text))
}

/// Members in any order, their keys in any spelling.
fn object(random: &mut Random, members: Vec<(&str, Node)>) -> Node {
    let mut spelt = Vec::with_capacity(members.len());
    for (key, value) in members {
        let place = random.below(spelt.len() + 1);
        spelt.insert(place, (spell(random, key), value));
    }
    Node::Object(spelt)
}

const TEXTS: [&str; 16] = [
    "",
    "a",
    "echo",
    "tools/call",
    "2.0",
    "file:///a/b",
    "é",
    "世界",
    "😀",
    "\u{0}",
    "\n\t\"\\",
    "\u{7f}\u{2028}\u{feff}",
    "\u{ffff}",
    "{\"name\":\"delete\"}",
    " padded ",
    "=?base64?ZWNobw==?=",
];
/// The last ones lose precision or vanish; they still are the same number to all.
const NUMBERS: [&str; 20] = [
    "0",
    "1",
    "-1",
    "42",
    "1.5",
    "-2.5e+3",
    "1E2",
    "0.1",
    "0.30000000000000004",
    "4.35",
    "1e23",
    "5e-324",
    "1.7976931348623157e308",
    "9007199254740991",
    "-0",
    "-0.0",
    "1e-400",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
];
const KEYS: [&str; 16] = [
    "a",
    "b",
    "name",
    "uri",
    "method",
    "params",
    "id",
    "arguments",
    "_meta",
    "Name",
    "NAME",
    "__proto__",
    "constructor",
    "",
    "é",
    "0",
];

fn number(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("{}", random.next().cast_signed()),
        1 => Some(f64::from_bits(random.next()))
            .filter(|number| number.is_finite())
            .map_or_else(|| "0".to_owned(), |number| format!("{number:e}")),
        _ => random.pick(&NUMBERS).to_owned(),
    }
}

/// Any value; its objects may have keys that are routed elsewhere.
pub(crate) fn value(random: &mut Random, depth: usize) -> Node {
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => token(random.pick(&["null", "true", "false"])),
        1 | 2 => {
            let plain = random.pick(&TEXTS);
            text(random, plain)
        }
        3 => Node::Token(number(random)),
        4 => Node::Array(
            (0..random.below(4))
                .map(|_| value(random, depth - 1))
                .collect(),
        ),
        _ => arguments(random, depth),
    }
}

/// An object of any keys, each once.
fn arguments(random: &mut Random, depth: usize) -> Node {
    let from = random.below(KEYS.len());
    let count = random.below(5);
    let keys = KEYS.iter().cycle().skip(from).take(count);
    let members = keys
        .map(|key| (*key, value(random, depth.saturating_sub(1))))
        .collect();
    object(random, members)
}

fn id(random: &mut Random) -> Node {
    match random.below(3) {
        0 => text(random, "r-1/é"),
        1 => token(random.pick(&["0", "7", "-1", "9007199254740991", "-9007199254740991"])),
        _ => Node::Token((random.next() >> 12).to_string()),
    }
}

const MODERN: &str = "io.modelcontextprotocol/protocolVersion";

fn meta(random: &mut Random) -> Node {
    let mut members = Vec::new();
    if !random.once_in(4) {
        let version = random.pick(&["2026-07-28", "2026-07-28", "2025-11-25", "x"]);
        members.push((MODERN, text(random, version)));
    }
    if !random.once_in(4) {
        members.push((
            "io.modelcontextprotocol/clientCapabilities",
            arguments(random, 1),
        ));
    }
    if random.once_in(2) {
        let info = vec![("name", text(random, "c")), ("version", value(random, 0))];
        members.push(("io.modelcontextprotocol/clientInfo", object(random, info)));
    }
    if random.once_in(3) {
        members.push(("progressToken", id(random)));
    }
    if random.once_in(4) {
        members.push(("traceparent", value(random, 0)));
    }
    if random.once_in(4) {
        members.push(("acme/x", value(random, 1)));
    }
    object(random, members)
}

const REQUESTS: [&str; 16] = [
    "tools/call",
    "tools/call",
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "tasks/get",
    "tasks/update",
    "completion/complete",
    "initialize",
    "tools/list",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "acme/x",
    "Tools/Call",
];
const NOTIFICATIONS: [&str; 4] = [
    "notifications/cancelled",
    "notifications/progress",
    "notifications/initialized",
    "acme/told",
];

/// What the method is aimed at, and what else it has of its own.
fn own(random: &mut Random, method: &str) -> Vec<(&'static str, Node)> {
    let name = random.pick(&TEXTS);
    let name = text(random, name);
    match method {
        "tools/call" | "prompts/get" => {
            let mut members = vec![("name", name)];
            if !random.once_in(4) {
                members.push(("arguments", arguments(random, 3)));
            }
            if random.once_in(6) {
                members.push(("uri", value(random, 1)));
            }
            members
        }
        "resources/read" | "resources/subscribe" => vec![("uri", name), ("name", value(random, 0))],
        "tasks/get" | "tasks/update" => vec![("taskId", name)],
        "completion/complete" => {
            let (kind, key, other) = random.pick(&[
                ("ref/prompt", "name", "uri"),
                ("ref/resource", "uri", "name"),
            ]);
            let aim = vec![
                ("type", text(random, kind)),
                (key, name),
                (other, value(random, 0)),
            ];
            vec![
                ("ref", object(random, aim)),
                ("argument", arguments(random, 1)),
            ]
        }
        "initialize" => {
            let info = vec![("name", name), ("version", value(random, 0))];
            vec![
                ("protocolVersion", text(random, "2025-11-25")),
                ("capabilities", arguments(random, 2)),
                ("clientInfo", object(random, info)),
            ]
        }
        "notifications/cancelled" => vec![("requestId", id(random))],
        "notifications/progress" => vec![
            ("progressToken", id(random)),
            ("progress", value(random, 0)),
        ],
        _ => vec![("x", value(random, 2))],
    }
}

fn call(random: &mut Random) -> Vec<(&'static str, Node)> {
    let request = !random.once_in(5);
    let method = random.pick(if request {
        &REQUESTS[..]
    } else {
        &NOTIFICATIONS[..]
    });
    let mut params = own(random, method);
    if random.once_in(2) {
        params.push(("_meta", meta(random)));
    }
    let mut members = vec![
        ("method", text(random, method)),
        ("params", object(random, params)),
    ];
    if request {
        members.push(("id", id(random)));
    }
    members
}

fn answer(random: &mut Random) -> Vec<(&'static str, Node)> {
    let id = id(random);
    if random.once_in(2) {
        let mut result = vec![("content", value(random, 2))];
        if random.once_in(2) {
            let kind = random.pick(&["complete", "input_required", "task"]);
            result.push(("resultType", text(random, kind)));
        }
        if random.once_in(2) {
            result.push(("isError", value(random, 0)));
        }
        return vec![("id", id), ("result", object(random, result))];
    }
    let code = token(random.pick(&["-32603", "-32002", "1", "0"]));
    let error = vec![
        ("code", code),
        ("message", text(random, "m")),
        ("data", value(random, 2)),
    ];
    let id = if random.once_in(4) { token("null") } else { id };
    vec![("id", id), ("error", object(random, error))]
}

/// A message that must be accepted.
pub(crate) fn valid(random: &mut Random) -> Node {
    let mut members = if random.once_in(6) {
        answer(random)
    } else {
        call(random)
    };
    members.push(("jsonrpc", text(random, "2.0")));
    if random.once_in(8) {
        members.push(("extra", value(random, 2)));
    }
    object(random, members)
}
