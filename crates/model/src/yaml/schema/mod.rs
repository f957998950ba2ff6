//! The table of all that users may write: names, types, meanings, and where each goes in `gatehouse.v1`.
//!
//! A new field is one line here. Tests hold the table to the proto contract, so that neither forgets a field of the other.

use crate::wire::{ACCESS_RULE, FILTER, GROUP, LIMIT, SECRET, SERVER, VIRTUAL_SERVER};

/// A mapping with known fields.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) fields: &'static [Field],
    /// Fields that exclude each other.
    pub(super) exclusive: &'static [&'static str],
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Field numbers in the proto message, from the outside in: more than one where the proto has a message that
    /// users do not see.
    pub(super) tags: &'static [u32],
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
}

/// A field's type, as users write it and as the proto holds it.
#[derive(Debug)]
pub(super) enum Shape {
    /// Text that says something.
    Text,
    /// Text that may be empty.
    FreeText,
    Bool,
    /// A whole number between two, as int32, uint32 or uint64.
    Int {
        min: i64,
        max: i64,
    },
    /// Milliseconds, uint64.
    Duration,
    /// Bytes, uint64.
    Size,
    /// Thousandths, uint32.
    Cpu,
    /// One of some words, as an enum's numbers.
    Choice(&'static [(&'static str, i32)]),
    /// Texts, which may be empty; so may the list.
    Texts,
    /// Texts that say something, at least one: left out means all, so an empty list could mean two things.
    SomeTexts,
    /// A `GlobList`: present even where it is empty.
    Globs,
    /// Server selectors: a glob, or a mapping.
    Selectors(&'static Object),
    /// Text to text.
    Labels,
    Object(&'static Object),
    Objects(&'static Object),
}

const fn field(name: &'static str, tags: &'static [u32], shape: Shape, doc: &'static str) -> Field {
    Field {
        name,
        tags,
        shape,
        doc,
    }
}

const fn object(fields: &'static [Field]) -> Object {
    Object {
        fields,
        exclusive: &[],
    }
}

impl Object {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

/// The spec of a kind, and its number in `Resource`.
pub(super) fn spec(kind: &str) -> Option<(&'static Object, u32)> {
    match kind {
        SERVER => Some((&SERVER_SPEC, 10)),
        VIRTUAL_SERVER => Some((&VIRTUAL_SERVER_SPEC, 11)),
        ACCESS_RULE => Some((&ACCESS_RULE_SPEC, 12)),
        FILTER => Some((&FILTER_SPEC, 13)),
        SECRET => Some((&SECRET_SPEC, 14)),
        LIMIT => Some((&LIMIT_SPEC, 16)),
        GROUP => Some((&GROUP_SPEC, 15)),
        _ => None,
    }
}

/// Number of `metadata` in `Resource`.
pub(super) const METADATA_TAG: u32 = 1;

use Shape::{
    Bool, Choice, Cpu, Duration, FreeText, Globs, Int, Labels, Object as Map, Objects, Selectors,
    Size, SomeTexts, Text, Texts,
};

const ANY_U32: Shape = Int {
    min: 0,
    max: u32::MAX as i64,
};

const AT_LEAST_ONE: Shape = Int {
    min: 1,
    max: u32::MAX as i64,
};

#[rustfmt::skip]
pub(super) static METADATA: Object = object(&[
    field("name", &[1], Text, "Unique within the kind: 1 to 40 of a-z, 0-9 and -, a letter or digit first and last."),
    field("labels", &[2], Labels, "Free labels, for selection."),
    field("revision", &[3], Int { min: 0, max: i64::MAX }, "The revision at which it last changed. Shown, and not read when applied."),
    field("created", &[4], Text, "When it was first stored. Shown, and not read when applied."),
    field("changed", &[5], Text, "When it last changed. Shown, and not read when applied."),
]);

#[rustfmt::skip]
static SERVER_SPEC: Object = object(&[
    field("title", &[1], FreeText, "For people."),
    field("description", &[2], FreeText, "For people, in lists."),
    field("tenancy", &[3], Choice(&[("shared", 1), ("per-session", 2), ("per-user", 3)]), "How callers share what runs."),
    field("runtime", &[4], Map(&RUNTIME), "How it is run or reached. Exactly one."),
    field("config", &[5], Objects(&CONFIG_ENTRY), "What it needs to be told, by the admin or by each user."),
    field("upstreamAuth", &[6], Map(&UPSTREAM_AUTH), "How the upstream authenticates us. Remote servers only."),
    field("limits", &[7], Map(&LIMITS), "Bounds of one instance."),
    field("egress", &[8], Texts, "Hosts that it may reach."),
    field("tools", &[9], Map(&TOOL_POLICY), "What is done with its tool definitions."),
]);

#[rustfmt::skip]
static RUNTIME: Object = Object {
    exclusive: &["npx", "uvx", "command", "container", "remote", "external"],
    fields: &[
        field("npx", &[1], Map(&PACKAGE), "A package of npm, run by npx."),
        field("uvx", &[2], Map(&PACKAGE), "A package of PyPI, run by uvx."),
        field("command", &[3], Map(&COMMAND), "A program on the sidecar's machine. Only where its operator allows it."),
        field("container", &[4], Map(&CONTAINER), "A container image."),
        field("remote", &[5], Map(&REMOTE), "A server that somebody else runs."),
        field("external", &[6], Map(&NOTHING), "Its own sidecar joins and serves it."),
    ],
};

#[rustfmt::skip]
static PACKAGE: Object = object(&[
    field("package", &[1], Text, "The package's name."),
    field("version", &[2], Text, "Exact version; ranges and tags are refused."),
    field("args", &[3], Texts, "Arguments of the program."),
]);

#[rustfmt::skip]
static COMMAND: Object = object(&[
    field("argv", &[1], Texts, "Program, by absolute path, and its arguments; never given to a shell."),
]);

#[rustfmt::skip]
static CONTAINER: Object = object(&[
    field("image", &[1], Text, "Image, by digest."),
    field("port", &[2], ANY_U32, "Port on which it serves Streamable HTTP."),
    field("path", &[3], Text, "Path of the endpoint."),
]);

#[rustfmt::skip]
static REMOTE: Object = Object {
    exclusive: &["url", "urlTemplate"],
    fields: &[
        field("url", &[1], Text, "Its endpoint."),
        field("urlTemplate", &[2], Text, "Its endpoint with ${KEY} from config."),
    ],
};

static NOTHING: Object = object(&[]);

#[rustfmt::skip]
static CONFIG_ENTRY: Object = object(&[
    field("key", &[1], Text, "Name, as the server reads it."),
    field("title", &[2], FreeText, "For people."),
    field("from", &[3], Text, "Who gives the value: admin, user or secret."),
    field("secret", &[4], Bool, "Whether it must never be shown."),
    field("required", &[5], Bool, "Whether the server can't run without it."),
    field("as", &[6], Text, "How it is handed over: env, file, header or url."),
    field("value", &[7], FreeText, "The value, where `from` is admin."),
    field("secretName", &[8], Text, "The secret's name, where `from` is secret."),
]);

#[rustfmt::skip]
static UPSTREAM_AUTH: Object = Object {
    exclusive: &["oauth", "tokenExchange"],
    fields: &[
        field("oauth", &[1], Map(&NOTHING), "OAuth 2.1, one grant for each user."),
        field("tokenExchange", &[2], Map(&NOTHING), "RFC 8693 token exchange."),
    ],
};

#[rustfmt::skip]
static LIMITS: Object = object(&[
    field("memory", &[1], Size, "Memory."),
    field("cpu", &[2], Cpu, "Processors."),
    field("processes", &[3], ANY_U32, "Processes."),
    field("idle", &[4], Duration, "How long without a call until it is stopped."),
    field("startup", &[5], Duration, "How long a start may take, once installed. Default 60s."),
    field("call", &[6], Duration, "How long a call may take. Default 60s."),
]);

#[rustfmt::skip]
static TOOL_POLICY: Object = object(&[
    field("pin", &[1], Text, "What is done with a definition that is new or has changed: review holds it until somebody accepts it, auto takes it and says so, off looks at none. Default off."),
    field("check", &[3], Duration, "How old what is known of the definitions may be when a tool is called. Left out: they are asked for before each call."),
    field("trustAnnotations", &[4], Bool, "Whether rules may go by what its tools' approved definitions say of themselves. Wants pin review or auto."),
    field("overrides", &[2], Objects(&TOOL_OVERRIDE), "Changes to single tools."),
]);

#[rustfmt::skip]
static TOOL_OVERRIDE: Object = object(&[
    field("name", &[1], Text, "The tool's own name."),
    field("rename", &[2], Text, "Its name for clients."),
    field("hide", &[3], Bool, "Whether it is hidden from all."),
]);

#[rustfmt::skip]
static VIRTUAL_SERVER_SPEC: Object = object(&[
    field("title", &[2], FreeText, "For people."),
    field("description", &[3], FreeText, "For people, in lists."),
    field("members", &[1], Objects(&VIRTUAL_MEMBER), "Whom it is made from, each server once."),
]);

#[rustfmt::skip]
static VIRTUAL_MEMBER: Object = object(&[
    field("server", &[1], Text, "Its name in the catalog."),
    field("prefix", &[2], FreeText, "Stands before the names of its tools and prompts. One member may have neither prefix nor tools: all other names are its own."),
    field("tools", &[3], SomeTexts, "The tools that are shown, by their own names. Left out: all."),
    field("overrides", &[4], Objects(&MEMBER_OVERRIDE), "Changes to single tools."),
]);

#[rustfmt::skip]
static MEMBER_OVERRIDE: Object = object(&[
    field("name", &[1], Text, "The tool's own name."),
    field("rename", &[2], Text, "Its whole name for clients: no prefix is put before it."),
    field("hide", &[3], Bool, "Whether it is shown to nobody."),
]);

#[rustfmt::skip]
static ACCESS_RULE_SPEC: Object = object(&[
    field("effect", &[1], Choice(&[("allow", 1), ("deny", 2), ("approve", 3)]), "What it does. Deny beats allow."),
    field("subjects", &[2], Objects(&SUBJECT), "Whom it is about; entries are ORed."),
    field("everyone", &[3], Bool, "Whether it is about everyone who is signed in."),
    field("servers", &[4], Selectors(&SELECTOR), "Servers, as names or globs; entries are ORed."),
    field("tools", &[5, 1], Globs, "Tools, as names or globs. None of the four lists given: everything."),
    field("prompts", &[5, 2], Globs, "Prompts, as names or globs."),
    field("resources", &[5, 3], Globs, "Resources, as URIs or globs."),
    field("methods", &[5, 4], Globs, "MCP methods, as names or globs."),
    field("annotations", &[11], Map(&ANNOTATIONS), "What tools have to say of themselves, as far as their servers are trusted; entries are ANDed. The rule is then about tools alone: those that are named, or all."),
    field("when", &[6], Text, "A CEL condition: the rule matches only where it holds."),
    field("mode", &[7], Choice(&[("enforce", 1), ("observe", 2)]), "Whether it decides, or only records what it would have decided."),
    field("record", &[9], Map(&RECORD), "What is put on record of the calls that it decides, besides who called what."),
    field("approvers", &[10], Objects(&APPROVER), "Who may agree, where the effect is approve; entries are ORed. Left out: whoever has an administrator's token."),
]);

#[rustfmt::skip]
static ANNOTATIONS: Object = object(&[
    field("readOnlyHint", &[1], Bool, "It does not modify its environment. What is not trusted or not said is false."),
    field("destructiveHint", &[2], Bool, "It may destroy or overwrite, not only add. What is not trusted or not said is true, but of a tool that modifies nothing."),
    field("idempotentHint", &[3], Bool, "Calling it again with the same arguments changes nothing more. What is not trusted or not said is false, but of a tool that modifies nothing."),
    field("openWorldHint", &[4], Bool, "It may reach out to anything, not only to what is its own. What is not trusted or not said is true."),
]);

#[rustfmt::skip]
static RECORD: Object = object(&[
    field("arguments", &[1], Bool, "The arguments, redacted; at most 16 KiB."),
    field("results", &[2], Bool, "The result, redacted; at most 16 KiB."),
]);

#[rustfmt::skip]
static APPROVER: Object = object(&[
    field("user", &[1], Text, "A user's id. Fields of one approver are ANDed."),
    field("group", &[2], Text, "A group's name."),
]);

#[rustfmt::skip]
static SUBJECT: Object = object(&[
    field("user", &[1], Text, "A user's id. Fields of one subject are ANDed."),
    field("group", &[2], Text, "A group's name."),
    field("client", &[3], Text, "A client application's id."),
]);

#[rustfmt::skip]
static GROUP_SPEC: Object = object(&[
    field("members", &[1], Objects(&GROUP_MEMBER), "Who is in it; entries are ORed."),
]);

#[rustfmt::skip]
static GROUP_MEMBER: Object = Object {
    exclusive: &["user", "group"],
    fields: &[
        field("user", &[1], Text, "A user's id."),
        field("group", &[2], Text, "A group's name: all who are in that one are in this one."),
    ],
};

#[rustfmt::skip]
static SELECTOR: Object = object(&[
    field("labels", &[2, 1], Labels, "Labels, all of which must match."),
]);

/// Number of a plain glob in `ServerSelector`.
pub(super) const SELECTOR_GLOB_TAG: u32 = 1;

#[rustfmt::skip]
static FILTER_SPEC: Object = Object {
    exclusive: &["keywords", "webhook", "regex", "pii", "schema", "size", "injection", "hidden"],
    fields: &[
        field("match", &[1], Map(&MATCH), "Which messages it sees."),
        field("keywords", &[10], Map(&KEYWORDS), "Refuses messages that hold one of some words."),
        field("webhook", &[11], Map(&WEBHOOK), "Asks a receiver."),
        field("regex", &[12], Map(&REGEX), "Finds what regular expressions match."),
        field("pii", &[13], Map(&PII), "Finds personal data and secrets."),
        field("schema", &[14], Map(&SCHEMA), "Compares arguments and results with the tool's own schemas."),
        field("size", &[15], Map(&SIZE), "Bounds the size of messages."),
        field("injection", &[16], Map(&INJECTION), "Refuses text that gives orders to the model."),
        field("hidden", &[17], Map(&HIDDEN), "Finds characters that nobody sees."),
        field("onError", &[3], Choice(&[("deny", 1), ("allow", 2)]), "What happens where the filter itself fails."),
        field("mayChange", &[4], Bool, "Whether it may change messages. Must be true for actions that do."),
        field("order", &[5], Int { min: i32::MIN as i64, max: i32::MAX as i64 }, "Filters run from the lowest to the highest; equal ones by name."),
        field("mode", &[6], Choice(&[("enforce", 1), ("observe", 2)]), "Whether it decides or only records."),
    ],
};

#[rustfmt::skip]
static MATCH: Object = object(&[
    field("servers", &[1], SomeTexts, "Servers, as names or globs. Left out: all."),
    field("methods", &[2], SomeTexts, "MCP methods, as names or globs. Left out: all."),
    field("tools", &[3], SomeTexts, "Tools, as names or globs, for tools/call. Left out: all."),
    field("direction", &[4], Choice(&[("request", 1), ("response", 2), ("both", 3)]), "Which way messages go. Default both."),
]);

#[rustfmt::skip]
static KEYWORDS: Object = object(&[
    field("words", &[1], Texts, "Words or phrases; found anywhere in a string."),
    field("fold", &[2], Bool, "Whether case, compatibility forms and invisible characters make no difference."),
]);

#[rustfmt::skip]
static REGEX: Object = object(&[
    field("patterns", &[1], Objects(&PATTERN), "The expressions, at most 100."),
    field("action", &[2], Choice(&[("refuse", 1), ("redact", 2)]), "What becomes of the message. Default refuse."),
]);

#[rustfmt::skip]
static PATTERN: Object = object(&[
    field("name", &[1], Text, "Stands in reasons and redactions: 1 to 40 of a-z, 0-9 and -."),
    field("pattern", &[2], Text, "The expression: linear time, so no look-around and no back references."),
]);

#[rustfmt::skip]
static PII: Object = object(&[
    field("detect", &[1], SomeTexts, "What is looked for, such as email or aws-key. Left out: all that there is."),
    field("action", &[2], Choice(&[("refuse", 1), ("redact", 2), ("tokenise", 3)]), "What becomes of the message. Default refuse."),
    field("secretName", &[3], Text, "The secret under which tokens are made, for tokenise."),
]);

static SCHEMA: Object = object(&[]);

#[rustfmt::skip]
static SIZE: Object = object(&[
    field("bytes", &[1], Size, "Bytes of the whole message."),
    field("depth", &[2], ANY_U32, "Objects and arrays in one another."),
    field("nodes", &[3], ANY_U32, "Values, containers included."),
    field("stringBytes", &[4], Size, "Bytes of one string, decoded."),
]);

#[rustfmt::skip]
static INJECTION: Object = object(&[
    field("threshold", &[1], ANY_U32, "Points from which text is refused. Default 4; a higher one refuses less."),
]);

#[rustfmt::skip]
static HIDDEN: Object = object(&[
    field("action", &[1], Choice(&[("refuse", 1), ("strip", 2)]), "What becomes of the message. Default refuse."),
]);

#[rustfmt::skip]
static WEBHOOK: Object = object(&[
    field("url", &[1], Text, "Where it listens."),
    field("secretName", &[2], Text, "The secret that signs."),
    field("timeout", &[3], Duration, "How long it may take: at most 10s. Default 500ms."),
    field("format", &[4], Text, "What is spoken with it: standard, or obot. Default standard."),
    field("signedAnswer", &[5], Bool, "Whether only an answer counts that is signed with the same secret."),
]);

#[rustfmt::skip]
static LIMIT_SPEC: Object = object(&[
    field("match", &[1], Map(&LIMIT_MATCH), "Which calls it counts."),
    field("subjects", &[2], Objects(&SUBJECT), "Whose calls; entries are ORed. Left out: everyone's."),
    field("per", &[3], SomeTexts, "What is counted apart: any of user, group, client, server, tool. Left out: all calls together."),
    field("rate", &[4], Text, "Calls a period, such as 100/1m, 5/1s or 1000/1d."),
    field("burst", &[5], AT_LEAST_ONE, "Calls that may come at once. Default: those of one period; of periods under 10s half of them, where that is more than 10."),
    field("concurrency", &[6], AT_LEAST_ONE, "Calls under way at one time, at each edge."),
    field("requestBytes", &[7], Text, "Bytes of requests a period, such as 10Mi/1m."),
    field("responseBytes", &[8], Text, "Bytes of answers a period, such as 10Mi/1m."),
    field("scope", &[9], Choice(&[("shared", 1), ("edge", 2)]), "Whether edges count together, where they share a store. Default shared."),
    field("onStoreError", &[10], Choice(&[("deny", 1), ("allow", 2)]), "What happens to a call of a shared limit where the store that edges share cannot be asked. Default deny."),
    field("mode", &[11], Choice(&[("enforce", 1), ("observe", 2)]), "Whether it refuses or only records. Default enforce."),
]);

#[rustfmt::skip]
static LIMIT_MATCH: Object = object(&[
    field("servers", &[1], SomeTexts, "Servers, as names or globs. Left out: all."),
    field("methods", &[2], SomeTexts, "MCP methods, as names or globs. Left out: tools/call."),
    field("tools", &[3], SomeTexts, "Tools, as names or globs, for tools/call. Left out: all."),
]);

#[rustfmt::skip]
static SECRET_SPEC: Object = object(&[
    field("value", &[1], FreeText, "The value. Written, and never shown."),
]);

/// A field for people who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDoc {
    /// Its name.
    pub name: &'static str,
    /// Its type in words: `text`, `a list of text`.
    pub shape: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// The fields at a path such as `Server`, `Server.spec.runtime` or `AccessRule.spec.subjects`. `None` where there is
/// nothing with fields.
pub fn describe(path: &str) -> Option<Vec<FieldDoc>> {
    let mut parts = path.split('.');
    let (spec, _) = spec(parts.next()?)?;
    let mut at = match parts.next() {
        None => {
            let of = |name, doc| FieldDoc {
                name,
                shape: "a mapping",
                doc,
            };
            return Some(vec![
                of("metadata", "Its name and labels."),
                of("spec", "What is wanted of it."),
            ]);
        }
        Some("metadata") => &METADATA,
        Some("spec") => spec,
        Some(_) => return None,
    };
    for part in parts {
        at = match at.field(part)?.shape {
            Map(object) | Objects(object) | Selectors(object) => object,
            _ => return None,
        };
    }
    let doc = |field: &Field| FieldDoc {
        name: field.name,
        shape: field.shape.words(),
        doc: field.doc,
    };
    Some(at.fields.iter().map(doc).collect())
}

impl Shape {
    /// What is wanted, in words.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Text | FreeText => "text",
            Bool => "true or false",
            Int { .. } => "a whole number",
            Duration => "a duration such as 500ms, 30s, 15m or 24h",
            Size => "a size such as 512Mi or 1Gi",
            Cpu => "a number of processors such as \"0.5\"",
            Choice(_) => "a word",
            Texts | SomeTexts | Globs => "a list of text",
            Selectors(_) => "a list of names and globs",
            Labels => "a mapping of text to text",
            Map(_) => "a mapping",
            Objects(_) => "a list of mappings",
        }
    }
}

#[cfg(test)]
mod tests;
