//! What was authorized is what servers read: 50,000 generated messages, given to Node's and Python's own parsers.
//!
//! ```text
//! generate -> damage -> scan --accepted--> reading.rs --.
//!                         |  \---Base64--> read.mjs ----+-- must be equal, line by line
//!                         |   \----------> read.py -----'
//!                         '--refused: counted
//! ```
//!
//! Both parsers are lenient where it does not matter here, since nothing of it is accepted: Python takes NaN, Infinity
//! and integers of any length; both take the last of two equal keys; Node replaces broken UTF-8. Two things are
//! accepted although they differ in form, as everybody reads the same number: integers beyond 2^53 (Python keeps all
//! digits) and -0 (an integer to Python).
//!
//! Node's side also reads each message as parsers do that ignore the case of keys, Go's for one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that says what it did"
)]

mod damage;
mod generate;
mod reading;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp::envelope::{Limits, scan};

use damage::{Apply, Damage};
use generate::Random;

const MESSAGES: usize = 50_000;
const SEED: u64 = 20_261_127;
/// So many must be accepted, and so many refused; else the test shows little.
const EACH_MIN: usize = 15_000;
/// So many differences are shown.
const SHOWN_MAX: usize = 5;

struct Message {
    bytes: Vec<u8>,
    damages: Vec<&'static Damage>,
}

fn message(random: &mut Random) -> Message {
    let mut tree = generate::valid(random);
    let count = random.pick(&[0, 0, 1, 1, 1, 2]);
    let mut damages: Vec<_> = (0..count)
        .map(|_| &damage::ALL[random.below(damage::ALL.len())])
        .collect();
    // Blind damage comes last, and once: it may leave nothing that more could be done to.
    let blind = |damage: &Damage| matches!(damage.apply, Apply::Bytes(_));
    damages.sort_by_key(|damage| blind(damage));
    damages.dedup_by(|one, other| blind(one) && blind(other));
    for damage in &damages {
        if let Apply::Tree(apply) = damage.apply {
            apply(random, &mut tree);
        }
    }
    let mut bytes = Vec::new();
    tree.write(random, &mut bytes);
    for damage in &damages {
        if let Apply::Bytes(apply) = damage.apply {
            apply(random, &mut bytes);
        }
    }
    Message { bytes, damages }
}

/// Starts a reader on the file of messages.
fn start(program: &str, script: &str, messages: &Path) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/readers")
        .join(script);
    let started = Command::new(program)
        .arg(script)
        .arg(messages)
        .stdout(Stdio::piped())
        .spawn();
    started.unwrap_or_else(|error| panic!("this test needs {program} on PATH: {error}"))
}

/// What a reader read, a line for each message.
fn finish(program: &str, reader: Child) -> Vec<String> {
    let output = reader.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{program} failed: {}",
        output.status
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_accepted_is_what_node_and_python_read() {
    let mut random = Random(SEED);
    let mut counts = BTreeMap::<&str, [usize; 2]>::new();
    let mut accepted = Vec::new();
    for _ in 0..MESSAGES {
        let message = message(&mut random);
        let read = scan(&message.bytes, &Limits::REQUEST);
        judge(&message, read.is_ok());
        let name = match message.damages[..] {
            [] => "none",
            [damage] => damage.name,
            _ => "two of them",
        };
        counts.entry(name).or_default()[usize::from(read.is_err())] += 1;
        if let Ok(envelope) = read {
            let line = reading::line(&envelope);
            accepted.push((message.bytes, line));
        }
    }
    for (name, [accepted, refused]) in &counts {
        println!("{name}: {accepted} accepted, {refused} refused");
    }
    let refused = MESSAGES - accepted.len();
    println!(
        "{MESSAGES} messages: {} accepted, {refused} refused",
        accepted.len()
    );
    assert!(accepted.len() >= EACH_MIN && refused >= EACH_MIN);
    assert_eq!(counts.len(), damage::ALL.len() + 2, "every damage was done");
    compare(&accepted);
}

/// What the generator knows of a message without any parser.
fn judge(message: &Message, accepted: bool) {
    let text = || String::from_utf8_lossy(&message.bytes).into_owned();
    match message.damages[..] {
        [] => assert!(accepted, "refused although valid: {}", text()),
        [damage] if damage.fatal => assert!(!accepted, "accepted with {}: {}", damage.name, text()),
        _ => {}
    }
}

/// Lets both readers read what was accepted.
fn compare(accepted: &[(Vec<u8>, String)]) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("accepted-messages.base64");
    let lines: String = accepted
        .iter()
        .map(|(bytes, _)| STANDARD.encode(bytes) + "\n")
        .collect();
    std::fs::write(&path, lines).unwrap();
    let readers = [("node", "read.mjs"), ("python3", "read.py")]
        .map(|(program, script)| (program, start(program, script, &path)));
    let mut wrong = Vec::new();
    for (program, reader) in readers {
        let read = finish(program, reader);
        assert_eq!(read.len(), accepted.len(), "{program} read all messages");
        for ((bytes, ours), theirs) in accepted.iter().zip(&read) {
            if ours != theirs {
                let text = String::from_utf8_lossy(bytes);
                wrong.push(format!(
                    "{text}\n  authorized {ours}\n  {program} reads {theirs}"
                ));
            }
        }
    }
    let shown = wrong.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>();
    assert!(
        wrong.is_empty(),
        "{} differences, such as\n{}",
        wrong.len(),
        shown.join("\n")
    );
}
