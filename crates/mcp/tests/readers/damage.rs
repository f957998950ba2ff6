//! What is done to valid messages: the things that two parsers are known to read differently, and blind damage.

use crate::generate::{Node, Random, spell, token, value};

/// One kind of damage.
pub(crate) struct Damage {
    pub(crate) name: &'static str,
    /// Whether no message that has it may be accepted.
    pub(crate) fatal: bool,
    pub(crate) apply: Apply,
}

pub(crate) enum Apply {
    Tree(fn(&mut Random, &mut Node)),
    Bytes(fn(&mut Random, &mut Vec<u8>)),
}

const fn tree(name: &'static str, fatal: bool, apply: fn(&mut Random, &mut Node)) -> Damage {
    let apply = Apply::Tree(apply);
    Damage { name, fatal, apply }
}

const fn bytes(name: &'static str, fatal: bool, apply: fn(&mut Random, &mut Vec<u8>)) -> Damage {
    let apply = Apply::Bytes(apply);
    Damage { name, fatal, apply }
}

pub(crate) static ALL: [Damage; 22] = [
    tree("a key twice", true, key_twice),
    tree("a key twice, spelt otherwise", true, key_twice_spelt),
    tree("a look-alike beside a key", false, look_alike_beside),
    tree("a look-alike instead of a key", false, look_alike_instead),
    tree("routed words where they mean nothing", false, nested),
    tree("a prototype", false, prototype),
    tree("another value", false, another_value),
    tree("an odd number", false, odd_number),
    tree("an overflowing number", true, overflow),
    tree("an odd string", false, odd_string),
    tree("half a surrogate pair", true, surrogate),
    tree("a member less", false, member_less),
    tree("deep nesting", false, deep),
    bytes("a byte order mark", true, byte_order_mark),
    bytes("something behind", true, behind),
    bytes("a comment", true, comment),
    bytes("odd white space", true, white_space),
    bytes("broken UTF-8", true, broken_utf8),
    bytes("another encoding", true, utf16),
    bytes("a byte changed or put in", false, byte_changed),
    bytes("a piece lost or doubled", false, piece),
    bytes("a control character", true, control),
];

/// The members of some object, most often one of the outer ones, which are routed.
fn members<'n>(random: &mut Random, root: &'n mut Node) -> &'n mut Vec<(String, Node)> {
    let objects = root.objects();
    let near = random.below(objects) + 1;
    let mut nth = random.below(near);
    root.object(&mut nth).unwrap()
}

/// The same, of an object that has members: the root does.
fn filled<'n>(random: &mut Random, root: &'n mut Node) -> &'n mut Vec<(String, Node)> {
    let mut probe = Random(random.next());
    let mut again = Random(probe.0);
    if members(&mut probe, root).is_empty() {
        return root.object(&mut 0).unwrap();
    }
    members(&mut again, root)
}

fn insert(random: &mut Random, members: &mut Vec<(String, Node)>, key: String, value: Node) {
    let place = random.below(members.len() + 1);
    members.insert(place, (key, value));
}

fn plain(key: &str) -> String {
    serde_json::from_str(key).unwrap_or_default()
}

fn key_twice(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    let (key, mut other) = members[nth].clone();
    if random.once_in(2) {
        other = value(random, 1);
    }
    insert(random, members, key, other);
}

fn key_twice_spelt(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    let mut escaped = String::from("\"");
    for unit in plain(&members[nth].0).encode_utf16() {
        escaped.push_str(&format!("\\u{unit:04x}"));
    }
    let other = value(random, 1);
    insert(random, members, escaped + "\"", other);
}

/// A key that some reader could take for `key`.
fn variant(random: &mut Random, key: &str) -> String {
    let each = |change: fn(char) -> char| key.chars().map(change).collect::<String>();
    match random.below(9) {
        0 => key.to_uppercase(),
        1 => each(|c| if c == 's' { 'ſ' } else { c }),
        2 => each(|c| if c == 'k' { '\u{212a}' } else { c }),
        3 => each(|c| if c == 'i' { 'ı' } else { c }),
        4 => each(|c| if c == 'a' { 'а' } else { c }),
        5 => format!(
            "{key}{}",
            random.pick(&[" ", "\u{200b}", "\u{0}", "\u{feff}", "\u{301}"])
        ),
        6 => format!(
            "{}{key}",
            random.pick(&[" ", "\u{200b}", "\u{feff}", "$", "_"])
        ),
        7 => each(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)),
        _ => {
            let at = random.below(key.chars().count().max(1));
            let change =
                |(nth, c): (usize, char)| if nth == at { c.to_ascii_uppercase() } else { c };
            key.chars().enumerate().map(change).collect()
        }
    }
}

fn look_alike_beside(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    let like = variant(random, &plain(&members[nth].0));
    let (key, other) = (spell(random, &like), value(random, 1));
    insert(random, members, key, other);
}

fn look_alike_instead(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    let like = variant(random, &plain(&members[nth].0));
    members[nth].0 = spell(random, &like);
}

fn nested(random: &mut Random, root: &mut Node) {
    let inner = root.clone();
    let members = members(random, root);
    let key = random.pick(&[
        "x",
        "params",
        "arguments",
        "_meta",
        "message",
        "method",
        "result",
    ]);
    if !members.iter().any(|(known, _)| plain(known) == key) {
        insert(random, members, format!("\"{key}\""), inner);
    }
}

fn prototype(random: &mut Random, root: &mut Node) {
    let inner = root.clone();
    let key = random.pick(&[
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
        "toJSON",
    ]);
    let members = members(random, root);
    insert(random, members, format!("\"{key}\""), inner);
}

fn another_value(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    members[nth].1 = value(random, 2);
}

const ODD_NUMBERS: [&str; 24] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "-01",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "0x10",
    "1_000",
    "--1",
    "-",
    "1d",
    "1n",
    "\u{661}",
    "-0",
    "1.0",
    "7e0",
    "9007199254740992",
    "9007199254740993",
    "1e-400",
    "-0.0",
];

fn odd_number(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    members[nth].1 = token(random.pick(&ODD_NUMBERS));
}

fn overflow(random: &mut Random, root: &mut Node) {
    let digits = "9".repeat(310);
    let number = random.pick(&["1e400", "-1e400", "1e999999999999999999999", &digits]);
    let members = members(random, root);
    insert(random, members, "\"overflow\"".to_owned(), token(number));
}

const ODD_STRINGS: [&str; 14] = [
    "'a'",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\\U0041\"",
    "\"\\u41\"",
    "\"\\u004\u{661}\"",
    "\"\\u{41}\"",
    "\"\\\n\"",
    "\"\\0\"",
    "\"\\v\"",
    "`a`",
    "\"a\\\"",
    "\"\u{7f}\u{80}\"",
    "\"\\u0000\"",
];

fn odd_string(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    let nth = random.below(members.len());
    let odd = random.pick(&ODD_STRINGS);
    if random.once_in(3) {
        members[nth].0 = odd.to_owned();
    } else {
        members[nth].1 = token(odd);
    }
}

fn surrogate(random: &mut Random, root: &mut Node) {
    let half = random.pick(&[
        "\\ud800",
        "\\udc00",
        "\\uDBFF",
        "\\udfff",
        "\\ud83d\\ud83d",
        "\\ude00\\ud83d",
        "\\ud83dx",
        "\\ud83d\\n",
    ]);
    let members = filled(random, root);
    let nth = random.below(members.len());
    let spelt = format!("\"{}{half}\"", random.pick(&["", "echo", "😀"]));
    if random.once_in(3) {
        members[nth].0 = spelt;
    } else {
        members[nth].1 = Node::Token(spelt);
    }
}

fn member_less(random: &mut Random, root: &mut Node) {
    let members = filled(random, root);
    members.remove(random.below(members.len()));
}

fn deep(random: &mut Random, root: &mut Node) {
    let levels = random.pick(&[10, 30, 59, 60, 61, 62, 63, 64, 65, 70, 200]);
    let members = members(random, root);
    let inner = (0..levels).fold(token("1"), |inner, _| Node::Array(vec![inner]));
    insert(random, members, "\"deep\"".to_owned(), inner);
}

fn byte_order_mark(random: &mut Random, text: &mut Vec<u8>) {
    let mark: &[u8] = random.pick(&[&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff", b"\x00"]);
    text.splice(0..0, mark.iter().copied());
}

fn behind(random: &mut Random, text: &mut Vec<u8>) {
    let again = text.clone();
    let more: &[u8] = random.pick(&[
        &b"}"[..],
        b"{}",
        b",",
        b"x",
        b"\x00",
        b"\xef\xbb\xbf",
        b"\x1a",
        b";",
        b"//",
        b"\n{}",
        b"null",
        &again,
    ]);
    text.extend_from_slice(more);
}

/// A place between two tokens: behind a bracket, comma or colon that is in no string.
fn gap(random: &mut Random, text: &[u8]) -> usize {
    let mut inside = false;
    let mut escaped = false;
    let mut gaps = vec![];
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' | b',' | b':' | b'[' | b'}' | b']' if !inside => gaps.push(at + 1),
            _ => {}
        }
    }
    random.pick(&gaps)
}

fn splice(random: &mut Random, text: &mut Vec<u8>, piece: &[u8]) {
    let at = gap(random, text);
    text.splice(at..at, piece.iter().copied());
}

fn comment(random: &mut Random, text: &mut Vec<u8>) {
    let piece = random.pick(&["/**/", "//x\n", "#x\n", "/*{*/", "<!-- -->", "--x\n"]);
    splice(random, text, piece.as_bytes());
}

fn white_space(random: &mut Random, text: &mut Vec<u8>) {
    let piece = random.pick(&[
        "\u{a0}", "\u{b}", "\u{c}", "\u{2028}", "\u{feff}", "\u{85}", "\u{3000}", "\0", "\\n",
    ]);
    splice(random, text, piece.as_bytes());
}

/// A place inside some string: behind a quote that opens one.
fn inside(random: &mut Random, text: &[u8]) -> usize {
    let mut open = false;
    let mut escaped = false;
    let mut places = vec![];
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if open => escaped = true,
            b'"' => {
                open = !open;
                if open {
                    places.push(at + 1);
                }
            }
            _ => {}
        }
    }
    random.pick(&places)
}

fn broken_utf8(random: &mut Random, text: &mut Vec<u8>) {
    let piece: &[u8] = random.pick(&[
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xc1\xa1",
        b"\xed\xa0\x80",
        b"\xed\xb0\x80",
        b"\xe2\x82",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xf0\x80\x80\xaf",
        b"\xe9",
    ]);
    let at = inside(random, text);
    text.splice(at..at, piece.iter().copied());
}

fn utf16(random: &mut Random, text: &mut Vec<u8>) {
    let little = random.once_in(2);
    let units = String::from_utf8_lossy(text).into_owned();
    let encode = |unit: u16| {
        if little {
            unit.to_le_bytes()
        } else {
            unit.to_be_bytes()
        }
    };
    *text = units.encode_utf16().flat_map(encode).collect();
}

fn byte_changed(random: &mut Random, text: &mut Vec<u8>) {
    for _ in 0..=random.below(2) {
        let at = random.below(text.len());
        let other = random.pick(b"{}[]\",:\\/0123e.-+ntf ");
        match random.below(4) {
            0 => text[at] ^= 1 << random.below(8),
            1 => text[at] ^= 0x20,
            2 => text[at] = other,
            _ => text.insert(at, other),
        }
    }
}

fn piece(random: &mut Random, text: &mut Vec<u8>) {
    let from = random.below(text.len());
    let to = (from + 1 + random.below(12)).min(text.len());
    let piece = text[from..to].to_vec();
    match random.below(3) {
        0 => drop(text.drain(from..to)),
        1 => drop(text.splice(to..to, piece)),
        _ => text.truncate(from),
    }
}

fn control(random: &mut Random, text: &mut Vec<u8>) {
    let at = inside(random, text);
    text.insert(at, u8::try_from(random.below(0x20)).unwrap());
}
