//! Bodies read whole, with a cap, and without a copy where they come in one piece, as small ones do.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A body that could not be read whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// It is larger than the cap.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
}

/// Reads a body of at most `bytes_max` bytes to its end.
pub(crate) async fn whole(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Error> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = next(&mut body).await? {
        let so_far = first.len().max(rest.len());
        if so_far + data.len() > bytes_max {
            return Err(Error::TooLarge(bytes_max));
        }
        if so_far == 0 {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// The next bytes of a body; `None` at its end.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(error),
            // Trailers hold nothing of ours.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
