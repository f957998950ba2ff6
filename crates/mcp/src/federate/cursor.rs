//! One cursor that holds a place in the list of each member that has more: base64url of JSON.
//!
//! It holds nothing but what the members gave to be handed back, and gives nobody a right: whoever comes with it is
//! asked again what it may use. It says of which list it is, so that it is good for no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::method::ListKind;

/// Longest cursor that is read, bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most members that it holds a place of.
const PLACES_MAX: usize = 1024;

/// A member's place: its name and its own cursor.
pub type Place = (String, String);

/// The cursor for these places. `None`: nobody has more.
#[must_use]
pub fn encode(kind: ListKind, places: &[Place]) -> Option<String> {
    if places.is_empty() {
        return None;
    }
    let json = serde_json::json!([kind.items_key(), places]);
    Some(URL_SAFE_NO_PAD.encode(json.to_string()))
}

/// The places that a cursor holds. `None`: it is none of ours for this list.
#[must_use]
pub fn decode(kind: ListKind, cursor: &str) -> Option<Vec<Place>> {
    if cursor.len() > BYTES_MAX {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (of, places): (String, Vec<Place>) = serde_json::from_slice(&json).ok()?;
    let good = of == kind.items_key() && !places.is_empty() && places.len() <= PLACES_MAX;
    good.then_some(places)
}
