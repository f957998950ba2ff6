//! Which members of a message are noted in passing: the tables, and the drive through the objects that have them.
//!
//! Nothing is judged here but keys that look like those of the tables; types and meaning are
//! [`crate::interpret`]'s.

use super::keys::{look_alike, plain, slot};
use super::{ScanFault, Scanner, Shape, Stop, Token, fault};

/// A fixed table of keys: those whose values are noted, with constants for their places, and others that are only
/// guarded against look-alikes, since somebody behind us acts on them.
macro_rules! table {
    ($(#[$doc:meta])* $module:ident, [$($name:ident = $key:literal),* $(,)?], also [$($other:literal),* $(,)?]) => {
        $(#[$doc])*
        pub(crate) mod $module {
            #[allow(clippy::upper_case_acronyms, non_camel_case_types, reason = "counts the places, no more")]
            enum Place { $($name),* }
            $(pub(crate) const $name: usize = Place::$name as usize;)*
            pub(crate) const NOTED: usize = [$($key),*].len();
            pub(crate) const KEYS: [&str; [$($key,)* $($other),*].len()] = [$($key,)* $($other),*];
        }
    };
}

table!(
    /// The message itself.
    top,
    [JSONRPC = "jsonrpc", ID = "id", METHOD = "method", PARAMS = "params", RESULT = "result", ERROR = "error"],
    also []
);
table!(
    /// `params` of any method.
    params,
    [
        META = "_meta", NAME = "name", ARGUMENTS = "arguments", URI = "uri", TASK_ID = "taskId", REF = "ref",
        REQUEST_ID = "requestId", PROGRESS_TOKEN = "progressToken", PROTOCOL_VERSION = "protocolVersion",
        CAPABILITIES = "capabilities", CLIENT_INFO = "clientInfo",
    ],
    also ["cursor", "argument", "inputResponses", "requestState", "task", "level", "notifications"]
);
table!(
    /// `params._meta`.
    meta,
    [
        PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion",
        CLIENT_INFO = "io.modelcontextprotocol/clientInfo",
        CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities",
        LOG_LEVEL = "io.modelcontextprotocol/logLevel",
        PROGRESS_TOKEN = "progressToken", TRACEPARENT = "traceparent",
    ],
    also ["tracestate", "baggage"]
);
table!(
    /// `clientInfo`, in `initialize` or in `_meta`.
    info,
    [NAME = "name", VERSION = "version"],
    also []
);
table!(
    /// `params.ref` of `completion/complete`.
    reference,
    [TYPE = "type", NAME = "name", URI = "uri"],
    also []
);
table!(
    /// `result`.
    result,
    [RESULT_TYPE = "resultType", IS_ERROR = "isError"],
    also [
        "_meta", "content", "structuredContent", "tools", "prompts", "resources", "resourceTemplates", "nextCursor",
        "cacheScope", "ttlMs", "inputRequests", "requestState",
    ]
);
table!(
    /// `error`.
    error,
    [CODE = "code"],
    also ["message", "data"]
);

/// What was noted, by table. `meta_info` and `info` are the `clientInfo` of `_meta` and of `initialize`.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    pub(crate) top: [Token; top::NOTED],
    pub(crate) params: [Token; params::NOTED],
    pub(crate) meta: [Token; meta::NOTED],
    pub(crate) meta_info: [Token; info::NOTED],
    pub(crate) info: [Token; info::NOTED],
    pub(crate) reference: [Token; reference::NOTED],
    pub(crate) result: [Token; result::NOTED],
    pub(crate) error: [Token; error::NOTED],
}

impl Scanner<'_> {
    /// The whole message.
    pub(crate) fn message(&mut self, captures: &mut Captures) -> Result<(), Stop> {
        if self.bytes.len() > self.limits.bytes {
            return self.fail(
                ScanFault::TooLong {
                    limit: self.limits.bytes,
                },
                self.limits.bytes,
            );
        }
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            return self.fail(ScanFault::Bom, 0);
        }
        self.blank();
        match self.peek() {
            b'{' => {}
            b'[' => return self.fail(ScanFault::Batch, self.at),
            _ => {
                self.value(0)?;
                self.end()?;
                return self.fail(ScanFault::NotObject, 0);
            }
        }
        let Captures {
            top,
            params,
            meta,
            meta_info,
            info,
            reference,
            result,
            error,
        } = captures;
        self.noting(0, &top::KEYS, top, |scanner, place| match place {
            top::PARAMS => scanner.noting(1, &params::KEYS, params, |scanner, place| match place {
                params::META => {
                    scanner.noting(2, &meta::KEYS, meta, |scanner, place| match place {
                        meta::CLIENT_INFO => {
                            scanner.noting(3, &info::KEYS, meta_info, |s, _| s.value(4))
                        }
                        _ => scanner.value(3),
                    })
                }
                params::CLIENT_INFO => scanner.noting(2, &info::KEYS, info, |s, _| s.value(3)),
                params::REF => scanner.noting(2, &reference::KEYS, reference, |s, _| s.value(3)),
                _ => scanner.value(2),
            }),
            top::RESULT => scanner.noting(1, &result::KEYS, result, |s, _| s.value(2)),
            top::ERROR => scanner.noting(1, &error::KEYS, error, |s, _| s.value(2)),
            _ => scanner.value(1),
        })?;
        self.end()
    }

    /// A value; if it is an object, its members that `table` names go to their `slots`, each read by `inner`.
    fn noting<F>(
        &mut self,
        depth: usize,
        table: &[&'static str],
        slots: &mut [Token],
        mut inner: F,
    ) -> Result<Token, Stop>
    where
        F: FnMut(&mut Self, usize) -> Result<Token, Stop>,
    {
        self.blank();
        if self.peek() != b'{' {
            return self.value(depth);
        }
        self.node()?;
        let start = self.at;
        self.object(depth, |scanner, key| {
            let key_at = scanner.at;
            let name = plain(scanner.bytes, key);
            let Some(place) = slot(table, &name) else {
                if let Some(like) = look_alike(table, &name) {
                    scanner.note(
                        ScanFault::LookAlike {
                            key: fault::shown(&name),
                            like,
                        },
                        key_at,
                    );
                }
                return scanner.skip(depth + 1).map(drop);
            };
            let Some(noted) = slots.get_mut(place) else {
                return scanner.skip(depth + 1).map(drop);
            };
            let token = inner(scanner, place)?;
            *noted = match noted.shape {
                Shape::Absent => token,
                _ => Token {
                    shape: Shape::Twice,
                    ..token
                },
            };
            Ok(())
        })?;
        Ok(self.token(start, Shape::Object))
    }
}
