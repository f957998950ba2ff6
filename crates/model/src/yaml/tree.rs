//! YAML or JSON text to a tree of nodes with extents.
//!
//! The parser's events are walked here rather than loaded by a library, for what a loader cannot give: double keys
//! kept (so that both faults of a file are told), scalars as they were written (`1.10` is not 1.1), and bounds on depth
//! and size. Anchors, aliases and tags are refused: nothing that is configured needs them, and a reader of a diff should
//! see what is meant where it stands.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::place::Text;
use super::span::Extent;

/// Deepest nesting.
pub(super) const DEPTH_MAX: usize = 64;

/// Most nodes of one file.
const NODES_MAX: usize = 500_000;

/// A value and where it is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) extent: Extent,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    /// `plain` text may mean a number or a boolean; quoted text is text.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was already refused.
    Refused,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_extent: Extent,
    pub(super) value: Node,
}

/// What makes text no YAML or JSON of ours.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) extent: Extent,
}

/// All documents of a text, in order; what could not be read is among the refusals, and after one of the parser's own
/// nothing more is read.
pub(super) fn load(text: &Text<'_>) -> (Vec<Node>, Vec<Refusal>) {
    let mut builder = Builder {
        text,
        documents: Vec::new(),
        open: Vec::new(),
        refusals: Vec::new(),
        nodes: 0,
    };
    let mut parser = Parser::new_from_str(text.body());
    while let Some(event) = parser.next_event() {
        let go_on = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.scan_error(&error),
        };
        if !go_on {
            break;
        }
    }
    (builder.documents, builder.refusals)
}

struct Builder<'t> {
    text: &'t Text<'t>,
    documents: Vec<Node>,
    open: Vec<Open>,
    refusals: Vec<Refusal>,
    nodes: usize,
}

/// A list or mapping whose end has not come.
struct Open {
    start: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Extent)>,
    },
}

impl Builder<'_> {
    /// Whether to go on.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let (start, end) = (span.start.index(), span.end.index());
        let extent = self.text.extent(start, end);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => true,
            Event::Alias(_) => {
                self.refuse(
                    "aliases are refused: write the value where it is meant",
                    extent,
                );
                self.put(Node {
                    data: Data::Refused,
                    extent,
                })
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), extent);
                let data = Data::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.put(Node { data, extent })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), extent);
                self.begin(start, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), extent);
                self.begin(
                    start,
                    OpenKind::Map {
                        entries: Vec::new(),
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(end),
        }
    }

    fn begin(&mut self, start: usize, kind: OpenKind) -> bool {
        if self.open.len() == DEPTH_MAX {
            self.refuse(
                &format!("nested deeper than {DEPTH_MAX} levels"),
                self.text.extent(start, start + 1),
            );
            return false;
        }
        self.open.push(Open { start, kind });
        true
    }

    fn end(&mut self, end: usize) -> bool {
        let Some(open) = self.open.pop() else {
            return false;
        };
        let extent = self.text.extent(open.start, end);
        let data = match open.kind {
            OpenKind::List(nodes) => Data::List(nodes),
            OpenKind::Map { entries, .. } => Data::Map(entries),
        };
        self.put(Node { data, extent })
    }

    /// Puts a finished node into what holds it.
    fn put(&mut self, node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.refuse(
                &format!("more than {NODES_MAX} values in one file"),
                node.extent,
            );
            return false;
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.documents.push(node),
            Some(OpenKind::List(nodes)) => nodes.push(node),
            Some(OpenKind::Map { entries, key }) => match key.take() {
                Some((key, key_extent)) => entries.push(Entry {
                    key,
                    key_extent,
                    value: node,
                }),
                None => match node.data {
                    Data::Scalar { text, .. } => *key = Some((text, node.extent)),
                    Data::List(_) | Data::Map(_) | Data::Refused => {
                        self.refuse(
                            "a key is text, not a list or mapping",
                            self.text.first_line(node.extent),
                        );
                        return false;
                    }
                },
            },
        }
        true
    }

    fn refuse_marks(&mut self, anchor: usize, tag: bool, extent: Extent) {
        if anchor != 0 {
            self.refuse(
                "anchors are refused: write the value where it is meant",
                self.text.first_line(extent),
            );
        }
        if tag {
            self.refuse(
                "tags are refused: a field knows its type",
                self.text.first_line(extent),
            );
        }
    }

    fn refuse(&mut self, message: &str, extent: Extent) {
        self.refusals.push(Refusal {
            message: message.to_owned(),
            extent,
        });
    }

    fn scan_error(&mut self, error: &ScanError) -> bool {
        let at = error.marker().index();
        let extent = self.text.extent(at, at + 1);
        self.refuse(
            &format!("cannot be read as YAML or JSON: {}", error.info()),
            self.text.first_line(extent),
        );
        false
    }
}
