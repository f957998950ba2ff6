//! Values that are never shown.

use std::fmt;

use zeroize::Zeroizing;

use crate::name::SecretName;

/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 32 * 1024;

/// A named secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: SecretText,
}

/// Text that is never printed, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}
