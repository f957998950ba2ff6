//! A place inside a message.

/// Where something stands in a message: bytes `start..end`. 32 bits suffice, since [`crate::envelope::scan`] refuses
/// longer messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The span of these two offsets. Offsets beyond 32 bits are held at the greatest; no scanned message has any.
    #[must_use]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// The bytes of `message` at this place; none if the span is of another, longer message.
    #[must_use]
    pub fn of(self, message: &[u8]) -> &[u8] {
        message
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it is a point between two bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}
