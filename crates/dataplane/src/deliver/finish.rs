//! A legacy call whose client goes before the answer has begun comes to its end all the same: to lose a connection is not
//! to cancel (2025-11-25, basic/transports, "Sending Messages to the Server"), and many servers take one that is closed
//! for just that. Once a stream has begun it is closed with its client's, which may want to go on with it at the server.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use model::url::HttpUrl;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::egress::{Egress, Error};

/// Sends `request`; `None`: the answer has not begun in time.
pub(super) async fn send(
    egress: &Egress,
    url: &HttpUrl,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> Option<Result<Response<Incoming>, Error>> {
    let (answers, answer) = oneshot::channel();
    // Ends with the answer, at the latest when its time is over; without a client only so many go on.
    tokio::spawn(go_on(
        egress.clone(),
        url.clone(),
        request,
        (answers, Instant::now() + within),
    ));
    answer.await.ok()
}

type Answers = oneshot::Sender<Result<Response<Incoming>, Error>>;

async fn go_on(
    egress: Egress,
    url: HttpUrl,
    request: Request<Full<Bytes>>,
    (mut answers, until): (Answers, Instant),
) {
    let mut sent = std::pin::pin!(timeout_at(until, egress.send(&url, request)));
    let sent = tokio::select! {
        sent = &mut sent => sent,
        () = answers.closed() => {
            let Some(_room) = egress.room_to_finish() else {
                tracing::debug!("too many calls go on without their clients: one ends");
                return;
            };
            if let Ok(Ok(response)) = sent.await {
                read(response, until).await;
            }
            return;
        }
    };
    let Ok(sent) = sent else { return };
    // It has come while its client went.
    if let Err(Ok(response)) = answers.send(sent)
        && let Some(_room) = egress.room_to_finish()
    {
        read(response, until).await;
    }
}

/// Reads what nobody waits for, so that the server can finish.
async fn read(response: Response<Incoming>, until: Instant) {
    let mut body = response.into_body();
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _late = timeout_at(until, rest).await;
}
