//! What may be done to the files of a snapshot.
//!
//! A copy holds `magic (7) ‖ version (1) ‖ SHA-256 of the rest (32) ‖ revision (8) ‖ nonce (12) ‖ sealed, with a tag
//! (16)`: each region is hit, from the first byte to the last.

use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::files::{COPIES, Files, KEY, MARK, clear, put};

/// Where regions of a copy begin.
const VERSION: usize = 7;
const SUM: usize = 8;
const REVISION: usize = 40;
const NONCE: usize = 48;
const SEALED: usize = 60;
const TAG_BYTES: usize = 16;

/// Which byte of a copy of so many bytes.
type Place = fn(usize) -> usize;

/// What an edge must make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It takes nothing, and serves nothing.
    Refused,
    /// It takes the other copy, and serves as before.
    SecondCopy,
    /// Either; but no door is open.
    Safe,
}

/// Files of other times and other nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Of this node, when guests still had rights.
    pub(super) older: &'a Files,
    /// Of another edge.
    pub(super) stranger: &'a Files,
    /// Of a sidecar.
    pub(super) sidecar: &'a Files,
}

type Deed = Box<dyn Fn(&Path, &Known<'_>)>;

/// One thing that is done to the files.
pub(super) struct Mutation {
    /// What, for messages.
    pub(super) name: String,
    /// What must come of it.
    pub(super) expected: Expected,
    /// Whether it only takes something away, which may be the first start of all.
    pub(super) is_absence: bool,
    deed: Deed,
}

impl fmt::Debug for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutation({}, {:?})", self.name, self.expected)
    }
}

impl Mutation {
    fn new(name: &str, expected: Expected, deed: impl Fn(&Path, &Known<'_>) + 'static) -> Self {
        Self {
            name: name.to_owned(),
            expected,
            is_absence: false,
            deed: Box::new(deed),
        }
    }

    fn absence(self) -> Self {
        Self {
            is_absence: true,
            ..self
        }
    }

    /// Does it to the files of a node.
    pub(super) fn apply(&self, data: &Path, known: &Known<'_>) {
        (self.deed)(data, known);
    }
}

/// What is put in place of one file, given what was there.
type Change = fn(&Path, &[u8]);

/// All of them: more than a hundred.
pub(super) fn all() -> Vec<Mutation> {
    let mut all = flips();
    all.extend(cuts());
    all.extend(contents());
    all.extend(swaps());
    all.extend(of_the_mark_and_key());
    for (name, change) in in_place() {
        all.push(both(&format!("both copies {name}"), change));
        for copy in COPIES {
            let file = copy.to_owned();
            let deed = move |data: &Path, _: &Known<'_>| replace(&data.join(&file), change);
            all.push(Mutation::new(
                &format!("{copy} {name}"),
                Expected::SecondCopy,
                deed,
            ));
        }
        for file in [MARK, KEY] {
            let deed = move |data: &Path, _: &Known<'_>| replace(&data.join(file), change);
            all.push(Mutation::new(
                &format!("{file} {name}"),
                Expected::Refused,
                deed,
            ));
        }
    }
    all
}

fn replace(path: &Path, change: impl Fn(&Path, &[u8])) {
    let was = fs::read(path).expect("it is there");
    clear(path);
    change(path, &was);
}

fn both(name: &str, change: impl Fn(&Path, &[u8]) + 'static) -> Mutation {
    Mutation::new(name, Expected::Refused, move |data, _| {
        for copy in COPIES {
            replace(&data.join(copy), &change);
        }
    })
}

/// Single bits, in each region.
fn flips() -> Vec<Mutation> {
    let places: [(&str, Place); 15] = [
        ("magic", |_| 0),
        ("last of magic", |_| VERSION - 1),
        ("version", |_| VERSION),
        ("checksum", |_| SUM),
        ("last of checksum", |_| REVISION - 1),
        ("revision", |_| REVISION),
        ("last of revision", |_| NONCE - 1),
        ("nonce", |_| NONCE),
        ("last of nonce", |_| SEALED - 1),
        ("sealed", |_| SEALED),
        ("a third", |len| len / 3),
        ("middle", |len| len / 2),
        ("last before the tag", |len| len - TAG_BYTES - 1),
        ("tag", |len| len - TAG_BYTES),
        ("last of all", |len| len - 1),
    ];
    let flip = |(name, at): (&str, Place), bit: u8| {
        both(
            &format!("bit {bit:#04x} of the {name}"),
            move |path, was| {
                let mut bytes = was.to_vec();
                bytes[at(was.len())] ^= bit;
                put(path, &bytes);
            },
        )
    };
    let bits = [0x01, 0x80];
    let each = places
        .into_iter()
        .flat_map(|place| bits.map(|bit| flip(place, bit)));
    // Somebody who repairs the checksum has no key all the same.
    let repaired = [
        ("revision", NONCE - 1),
        ("nonce", NONCE),
        ("sealed", SEALED),
    ]
    .map(|(name, at)| {
        both(
            &format!("{name} changed and the checksum repaired"),
            move |path, was| {
                let mut bytes = was.to_vec();
                bytes[at] = bytes[at].wrapping_add(1);
                put(path, &with_sum(bytes));
            },
        )
    });
    each.chain(repaired).collect()
}

/// With the checksum that belongs to what it holds: `sha256sum` is anybody's.
fn with_sum(mut bytes: Vec<u8>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(file.path(), &bytes[REVISION..]).expect("a file can be written");
    let output = Command::new("sha256sum").arg(file.path()).output();
    let output = output.expect("sha256sum runs").stdout;
    let sum = String::from_utf8_lossy(&output[..64]).into_owned();
    bytes[SUM..REVISION].copy_from_slice(&hex::decode(sum).expect("it is hex"));
    bytes
}

/// Cut short, at each border and inside of each region.
fn cuts() -> Vec<Mutation> {
    let lengths: [Place; 16] = [
        |_| 0,
        |_| 1,
        |_| VERSION,
        |_| SUM,
        |_| SUM + 1,
        |_| REVISION - 1,
        |_| REVISION,
        |_| NONCE - 1,
        |_| NONCE,
        |_| SEALED - 1,
        |_| SEALED,
        |_| SEALED + 1,
        |len| len / 2,
        |len| len - TAG_BYTES - 1,
        |len| len - TAG_BYTES,
        |len| len - 1,
    ];
    let cut = |(index, length): (usize, Place)| {
        let deed = move |path: &Path, was: &[u8]| put(path, &was[..length(was.len())]);
        both(&format!("both copies cut short, way {index}"), deed)
    };
    lengths.into_iter().enumerate().map(cut).collect()
}

/// Other content.
fn contents() -> Vec<Mutation> {
    let sparse = |len: u64| {
        move |path: &Path, was: &[u8]| {
            put(path, was);
            let file = fs::File::options().write(true).open(path);
            let longer = file.and_then(|file| file.set_len(len));
            longer.expect("a file can be made longer");
        }
    };
    vec![
        both("a byte more", |path, was| put(path, &[was, &[0]].concat())),
        both("twice the content", |path, was| {
            put(path, &[was, was].concat())
        }),
        both("zeros", |path, was| put(path, &vec![0; was.len()])),
        both("ones", |path, was| put(path, &vec![0xff; was.len()])),
        both("backwards", |path, was| {
            put(path, &was.iter().rev().copied().collect::<Vec<_>>());
        }),
        both("text", |path, _| {
            put(path, b"apiVersion: gatehouse.dev/v1\nkind: AccessRule\n")
        }),
        both("the format before", |path, was| {
            put(path, &versioned(was, 1))
        }),
        both("a later format", |path, was| put(path, &versioned(was, 3))),
        both("the head of one and nothing else", |path, was| {
            put(path, &with_sum(was[..SEALED].to_vec()));
        }),
        both("sixteen mebibytes", sparse(16 << 20)),
        both("a tebibyte", sparse(1 << 40)),
    ]
}

fn versioned(was: &[u8], version: u8) -> Vec<u8> {
    let mut bytes = was.to_vec();
    bytes[VERSION] = version;
    bytes
}

/// Files of other nodes, other times, other purposes.
fn swaps() -> Vec<Mutation> {
    type Source = for<'a> fn(&'a Known<'_>) -> &'a Files;
    let copies = |name: &str, of: Source| {
        Mutation::new(name, Expected::Refused, move |data, known| {
            for (copy, bytes) in COPIES.iter().zip(&of(known).copies) {
                put(&data.join(copy), bytes);
            }
        })
    };
    let one = |copy: &'static str, of: Source| {
        Mutation::new(
            &format!("another {copy}"),
            Expected::SecondCopy,
            move |data, known| {
                put(&data.join(copy), &of(known).copies[0]);
            },
        )
    };
    vec![
        copies("copies of another edge", |known| known.stranger),
        copies("copies of a sidecar", |known| known.sidecar),
        copies("copies of an older state, put back", |known| known.older),
        one(COPIES[0], |known| known.stranger),
        one(COPIES[1], |known| known.stranger),
        one(COPIES[0], |known| known.older),
        one(COPIES[1], |known| known.older),
        Mutation::new("endpoints as copies", Expected::Refused, |data, known| {
            fill(data, &known.older.endpoints);
        }),
        Mutation::new("the mark as copies", Expected::Refused, |data, known| {
            fill(data, &known.older.mark);
        }),
        Mutation::new(
            "all of another edge but the key",
            Expected::Refused,
            |data, known| {
                fill(data, &known.stranger.copies[0]);
                put(&data.join(MARK), &known.stranger.mark);
            },
        ),
    ]
}

/// Both copies, with the same content.
fn fill(data: &Path, bytes: &[u8]) {
    for copy in COPIES {
        put(&data.join(copy), bytes);
    }
}

/// The mark and the key.
fn of_the_mark_and_key() -> Vec<Mutation> {
    let file = |file: &'static str, name: &str, change: Change| {
        let deed = move |data: &Path, _: &Known<'_>| replace(&data.join(file), change);
        Mutation::new(&format!("{file}: {name}"), Expected::Refused, deed)
    };
    let mut all = vec![
        Mutation::new(
            "the mark of another edge",
            Expected::Refused,
            |data, known| {
                put(&data.join(MARK), &known.stranger.mark);
            },
        ),
        Mutation::new(
            "the key of another edge",
            Expected::Refused,
            |data, known| {
                put(&data.join(KEY), &known.stranger.key);
            },
        ),
        Mutation::new("a copy as the mark", Expected::Refused, |data, known| {
            put(&data.join(MARK), &known.older.copies[0]);
        }),
    ];
    for name in [MARK, KEY] {
        all.extend([
            file(name, "a bit flipped", |path, was| {
                let mut bytes = was.to_vec();
                bytes[was.len() / 2] ^= 4;
                put(path, &bytes);
            }),
            file(name, "cut short", |path, was| {
                put(path, &was[..was.len() - 1])
            }),
            file(name, "a byte more", |path, was| {
                put(path, &[was, &[0]].concat())
            }),
            file(name, "zeros", |path, was| put(path, &vec![0; was.len()])),
        ]);
    }
    all.extend([
        Mutation::new("no mark", Expected::Refused, |data, _| {
            clear(&data.join(MARK))
        }),
        Mutation::new("no key", Expected::Refused, |data, _| {
            clear(&data.join(KEY))
        }),
        Mutation::new("no copies", Expected::Refused, |data, _| {
            COPIES.iter().for_each(|copy| clear(&data.join(copy)));
        })
        .absence(),
        Mutation::new("nothing at all", Expected::Refused, |data, _| {
            COPIES.iter().for_each(|copy| clear(&data.join(copy)));
            clear(&data.join(MARK));
            clear(&data.join(KEY));
        })
        .absence(),
        Mutation::new("no first copy", Expected::SecondCopy, |data, _| {
            clear(&data.join(COPIES[0]));
        })
        .absence(),
    ]);
    // Content is what counts: it is sealed. As root, permissions do not keep an edge from reading either.
    all.extend([0o000, 0o777, 0o444].map(|mode| {
        Mutation::new(
            &format!("mode {mode:03o}"),
            Expected::Safe,
            move |data, _| {
                for name in [COPIES[0], COPIES[1], MARK] {
                    let mode = fs::Permissions::from_mode(mode);
                    fs::set_permissions(data.join(name), mode).expect("permissions can be set");
                }
            },
        )
    }));
    all
}

/// What may stand in place of a file.
fn in_place() -> [(&'static str, Change); 7] {
    [
        ("emptied", |path, _| put(path, &[])),
        ("replaced by a folder", |path, _| {
            fs::create_dir(path).expect("a folder can be made");
        }),
        ("replaced by a link to nothing", |path, _| {
            link("/nonexistent/file", path)
        }),
        ("replaced by a link to itself", |path, _| link(path, path)),
        ("replaced by a link to what never ends", |path, _| {
            link("/dev/zero", path)
        }),
        ("replaced by a link to what is empty", |path, _| {
            link("/dev/null", path)
        }),
        ("replaced by a pipe", |path, _| {
            let made = Command::new("mkfifo").arg(path).status();
            assert!(made.expect("mkfifo runs").success());
        }),
    ]
}

fn link(to: impl AsRef<Path>, path: &Path) {
    symlink(to, path).expect("a link can be made");
}
