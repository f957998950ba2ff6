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

/// The cursor for these places, and the members whose place it has no room for: whoever comes with it is not given
/// their next page. No cursor: nobody has more.
#[must_use]
pub fn encode(kind: ListKind, places: &[Place]) -> (Option<String>, Vec<&str>) {
    let frame = |places: &[&Place]| serde_json::json!([kind.items_key(), places]).to_string();
    // Three bytes are four characters of base64.
    let mut room = (BYTES_MAX / 4 * 3).saturating_sub(frame(&[]).len());
    let (mut held, mut left) = (Vec::new(), Vec::new());
    for place in places {
        // With the comma before the next.
        let bytes = serde_json::json!(place).to_string().len() + 1;
        if bytes <= room && held.len() < PLACES_MAX {
            room -= bytes;
            held.push(place);
        } else {
            left.push(place.0.as_str());
        }
    }
    let cursor = (!held.is_empty()).then(|| URL_SAFE_NO_PAD.encode(frame(&held)));
    (cursor, left)
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
