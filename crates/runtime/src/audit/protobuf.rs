//! Writing protobuf by hand: what the exporter needs of it.
//!
//! Spans are made straight from the log's bytes; the generated types would allocate some sixty times a
//! span. Pure; it does not know which messages it writes.

/// Appends fields to a message. Unlike proto3 encoders it writes what it is told, defaults included.
pub(super) struct Message<'a>(pub(super) &'a mut Vec<u8>);

impl Message<'_> {
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.bytes_of(field, &[value]);
    }

    /// One field from pieces that belong together.
    pub(super) fn bytes_of(&mut self, field: u32, pieces: &[&[u8]]) {
        self.length_of(field, pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
    }

    /// The beginning of a field whose `bytes` bytes the caller puts behind.
    pub(super) fn length_of(&mut self, field: u32, bytes: usize) {
        self.tag(field, 2);
        self.varint(bytes as u64);
    }

    /// A message within this one. Its length is known last, so longer ones are moved by a byte or two.
    pub(super) fn nested(&mut self, field: u32, content: impl FnOnce(&mut Message<'_>)) {
        self.tag(field, 2);
        self.0.push(0);
        let start = self.0.len();
        content(&mut Message(self.0));
        let len = self.0.len() - start;
        if len < 0x80 {
            self.0[start - 1] = len as u8;
        } else {
            let more = varint_bytes(len as u64) - 1;
            self.0.resize(start + len + more, 0);
            self.0.copy_within(start..start + len, start + more);
            let mut rest = len as u64;
            for byte in &mut self.0[start - 1..start + more] {
                *byte = (rest as u8 & 0x7f) | if rest >= 0x80 { 0x80 } else { 0 };
                rest >>= 7;
            }
        }
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_nested_messages_are_right_at_every_size() {
        for len in [
            0, 1, 120, 124, 125, 126, 127, 128, 16_000, 16_379, 16_384, 2_100_000,
        ] {
            let text = vec![b'x'; len];
            let (mut nested, mut plain) = (Vec::new(), Vec::new());
            Message(&mut nested).nested(3, |message| message.bytes(1, &text));
            let mut inner = Vec::new();
            Message(&mut inner).bytes(1, &text);
            Message(&mut plain).bytes(3, &inner);
            assert_eq!(nested, plain, "{len}");
        }
    }
}
