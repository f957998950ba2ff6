//! An audit record as it lies in the log, read without copying.
//!
//! The counterpart of `model::record::Record::encode`. Fields that are not known are passed over, so that
//! a log which a later version wrote can be read.

use proto::v1::AuditPhase;

/// Most groups and filters that are read from one record; further ones stay in the log and are not sent.
pub(super) const LIST_MAX: usize = 64;

/// A record, borrowed from its encoding. Meanings are those of `gatehouse.v1.AuditRecord`.
#[derive(Debug, Default)]
pub(super) struct RecordView<'a> {
    pub(super) seq: u64,
    pub(super) phase: u64,
    pub(super) call_id: &'a [u8],
    pub(super) time_unix_ns: i64,
    pub(super) node: &'a str,
    pub(super) user: &'a str,
    pub(super) groups: Vec<&'a str>,
    pub(super) client: &'a str,
    pub(super) credential: &'a str,
    pub(super) server: &'a str,
    pub(super) method: &'a str,
    pub(super) name: &'a str,
    pub(super) request_id: &'a str,
    pub(super) mcp_revision: &'a str,
    pub(super) decision: &'a str,
    pub(super) reason: &'a str,
    pub(super) rule: &'a str,
    pub(super) filters: Vec<&'a str>,
    pub(super) revision: u64,
    pub(super) duration_ns: u64,
    pub(super) upstream_ns: u64,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) parent_span_id: &'a [u8],
    pub(super) error_code: i64,
    pub(super) tool_error: bool,
    pub(super) http_status: u64,
    pub(super) hop: &'a str,
    pub(super) client_address: &'a str,
    pub(super) direct: bool,
    pub(super) limit: &'a str,
    pub(super) findings: Vec<&'a str>,
    pub(super) request_sha256: &'a [u8],
    pub(super) request_changed_sha256: &'a [u8],
    pub(super) response_sha256: &'a [u8],
    pub(super) response_changed_sha256: &'a [u8],
    pub(super) approval: &'a str,
    pub(super) approver: &'a str,
    pub(super) arguments: &'a str,
    pub(super) arguments_cut: bool,
    pub(super) arguments_redacted: bool,
    pub(super) result: &'a str,
    pub(super) result_cut: bool,
    pub(super) observed: &'a str,
}

impl<'a> RecordView<'a> {
    /// Reads a record. `None`: these bytes are none.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut view = Self::default();
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            let (number, value) = fields.next()?;
            view.set(number, value)?;
        }
        Some(view)
    }

    /// Whether it is sent: a close record or a note; reads no further than it must.
    pub(super) fn is_sent_payload(bytes: &'a [u8]) -> Option<bool> {
        let is_sent = |phase| phase == CLOSE || phase == NOTE;
        let mut fields = Fields(bytes);
        // The writer puts seq first and phase second.
        for _ in 0..2 {
            if let (2, Value::Number(phase)) = fields.next()? {
                return Some(is_sent(phase));
            }
        }
        Self::parse(bytes).map(|view| is_sent(view.phase))
    }

    pub(super) fn is_close(&self) -> bool {
        self.phase == CLOSE
    }

    pub(super) fn is_note(&self) -> bool {
        self.phase == NOTE
    }

    fn set(&mut self, number: u64, value: Value<'a>) -> Option<()> {
        match number {
            1 => self.seq = value.number()?,
            2 => self.phase = value.number()?,
            3 => self.call_id = value.bytes()?,
            4 => self.time_unix_ns = value.number()?.cast_signed(),
            5 => self.node = value.text()?,
            6 => self.user = value.text()?,
            7 => push(&mut self.groups, value.text()?),
            8 => self.client = value.text()?,
            9 => self.credential = value.text()?,
            10 => self.server = value.text()?,
            11 => self.method = value.text()?,
            12 => self.name = value.text()?,
            13 => self.request_id = value.text()?,
            14 => self.mcp_revision = value.text()?,
            15 => self.decision = value.text()?,
            16 => self.reason = value.text()?,
            17 => self.rule = value.text()?,
            18 => push(&mut self.filters, value.text()?),
            19 => self.revision = value.number()?,
            20 => self.duration_ns = value.number()?,
            21 => self.upstream_ns = value.number()?,
            22 => self.trace_id = value.bytes()?,
            23 => self.span_id = value.bytes()?,
            24 => self.parent_span_id = value.bytes()?,
            25 => self.error_code = value.number()?.cast_signed(),
            26 => self.tool_error = value.number()? != 0,
            27 => self.http_status = value.number()?,
            28 => self.hop = value.text()?,
            29 => self.client_address = value.text()?,
            30 => self.direct = value.number()? != 0,
            38 => self.limit = value.text()?,
            40 => push(&mut self.findings, value.text()?),
            41 => self.request_sha256 = value.bytes()?,
            42 => self.request_changed_sha256 = value.bytes()?,
            43 => self.response_sha256 = value.bytes()?,
            44 => self.response_changed_sha256 = value.bytes()?,
            45 => self.approval = value.text()?,
            46 => self.approver = value.text()?,
            50 => self.arguments = value.text()?,
            51 => self.arguments_cut = value.number()? != 0,
            52 => self.arguments_redacted = value.number()? != 0,
            53 => self.result = value.text()?,
            54 => self.result_cut = value.number()? != 0,
            39 => self.observed = value.text()?,
            _ => {}
        }
        Some(())
    }
}

const CLOSE: u64 = AuditPhase::Close as u64;
const NOTE: u64 = AuditPhase::Note as u64;

fn push<'a>(list: &mut Vec<&'a str>, text: &'a str) {
    if list.len() < LIST_MAX {
        list.push(text);
    }
}

/// A field's value. Of the four wire types, records use these two; the fixed ones are passed over.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Value<'a> {
    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bytes(_) | Self::Fixed => None,
        }
    }

    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) | Self::Fixed => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        self.bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// Protobuf fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => self.skip(4)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn skip(&mut self, bytes: usize) -> Option<Value<'a>> {
        self.0 = self.0.get(bytes..)?;
        Some(Value::Fixed)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::record::Phase;
    use proptest::prelude::*;
    use prost::Message;
    use proto::v1::AuditRecord;

    use super::*;
    use crate::audit::samples::record;

    #[test]
    fn it_reads_what_the_generated_decoder_reads() {
        let mut bytes = Vec::new();
        let mut said = record(1);
        said.said = Some(Box::new(model::record::Said {
            arguments: "{}".to_owned(),
            arguments_redacted: true,
            result: "{}".to_owned(),
            ..Default::default()
        }));
        said.encode(9, Phase::Close, "node", &mut bytes);
        let view = RecordView::parse(&bytes).unwrap();
        let full = AuditRecord::decode(bytes.as_slice()).unwrap();
        assert_eq!(RecordView::is_sent_payload(&bytes), Some(true));
        assert_eq!((view.seq, view.time_unix_ns), (full.seq, full.time_unix_ns));
        assert_eq!(
            (view.node, view.user),
            (full.node.as_str(), full.user.as_str())
        );
        assert_eq!(
            (view.groups, view.filters),
            (
                full.groups.iter().map(String::as_str).collect(),
                full.filters.iter().map(String::as_str).collect(),
            )
        );
        assert_eq!(
            (view.error_code, view.tool_error),
            (full.error_code, full.tool_error)
        );
        assert_eq!(
            (view.trace_id, view.span_id),
            (&full.trace_id[..], &full.span_id[..])
        );
        assert_eq!(
            (view.hop, view.client_address),
            (&full.hop[..], &full.client_address[..])
        );
        assert_eq!((view.rule, view.reason), (&full.rule[..], &full.reason[..]));
        assert_eq!(
            (view.approval, view.approver),
            (&full.approval[..], &full.approver[..])
        );
        assert_eq!(view.http_status, u64::from(full.http_status));
        assert_eq!(view.upstream_ns, full.upstream_ns);
        assert_eq!(view.findings, full.findings);
        assert_eq!(
            (view.response_sha256, view.response_changed_sha256),
            (&full.response_sha256[..], &full.response_changed_sha256[..])
        );
        assert_eq!(
            (view.arguments, view.arguments_cut, view.arguments_redacted),
            ("{}", false, true)
        );
        assert_eq!((view.result, view.result_cut), ("{}", false));
    }

    proptest! {
        #[test]
        fn any_record_reads_as_it_was_written(
            texts in proptest::array::uniform4(".{0,300}"),
            groups in proptest::collection::vec(".{0,20}", 0..LIST_MAX),
            numbers in any::<(u64, u64, i64, bool)>(),
            id in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let [user, name, method, rule] = texts;
            let full = AuditRecord {
                seq: numbers.0, duration_ns: numbers.1, error_code: numbers.2, tool_error: numbers.3,
                phase: 2, call_id: id, user, name, method, rule, groups,
                ..AuditRecord::default()
            };
            let bytes = full.encode_to_vec();
            let view = RecordView::parse(&bytes).unwrap();
            prop_assert!(view.is_close());
            prop_assert_eq!(RecordView::is_sent_payload(&bytes), Some(true));
            prop_assert_eq!((view.seq, view.duration_ns), (full.seq, full.duration_ns));
            prop_assert_eq!((view.error_code, view.tool_error), (full.error_code, full.tool_error));
            prop_assert_eq!((view.user, view.name), (&full.user[..], &full.name[..]));
            prop_assert_eq!((view.method, view.rule), (&full.method[..], &full.rule[..]));
            prop_assert_eq!((view.groups, view.call_id), (
                full.groups.iter().map(String::as_str).collect::<Vec<_>>(),
                &full.call_id[..],
            ));
        }

        #[test]
        fn rubbish_never_panics_and_is_read_as_the_generated_decoder_reads_it(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = RecordView::is_sent_payload(&bytes);
            if let (Some(view), Ok(full)) = (RecordView::parse(&bytes), AuditRecord::decode(&bytes[..])) {
                prop_assert_eq!((view.seq, view.user), (full.seq, &full.user[..]));
            }
        }
    }
}
