//! Values to the proto's encoded form, under numbers from the schema's table.

use prost::encoding::{WireType, encode_key, encode_varint};

/// A length-delimited field: text, bytes or a message. `tags` from the outside in; the outer messages merge with those
/// that are there already, as the proto's decoders do it.
pub(super) fn bytes(tags: &[u32], value: &[u8], out: &mut Vec<u8>) {
    nested(tags, out, |tag, out| {
        encode_key(tag, WireType::LengthDelimited, out);
        put_length(value.len(), out);
        out.extend_from_slice(value);
    });
}

/// A varint field: numbers, enums, booleans. Negative numbers as their 64-bit two's complement.
pub(super) fn varint(tags: &[u32], value: u64, out: &mut Vec<u8>) {
    nested(tags, out, |tag, out| {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value, out);
    });
}

fn nested(tags: &[u32], out: &mut Vec<u8>, put: impl FnOnce(u32, &mut Vec<u8>)) {
    let Some((inner, outer)) = tags.split_last() else {
        return;
    };
    let mut message = Vec::new();
    put(*inner, &mut message);
    for tag in outer.iter().rev() {
        let mut wrapped = Vec::with_capacity(message.len() + 10);
        encode_key(*tag, WireType::LengthDelimited, &mut wrapped);
        put_length(message.len(), &mut wrapped);
        wrapped.append(&mut message);
        message = wrapped;
    }
    out.append(&mut message);
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    // A usize has at most 64 bits on every platform there is.
    encode_varint(length as u64, out);
}
