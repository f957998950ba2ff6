//! A server that does exactly what a test says, also what no good server does: answers by script, one thread a
//! connection, HTTP by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to do with a request.
pub(crate) enum Do {
    /// Send these bytes, and keep the connection.
    Answer(Vec<u8>),
    /// Send these bytes, and close.
    AnswerAndClose(Vec<u8>),
}

/// A server under a script. Lives as long as the test process.
pub(crate) struct Scripted {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    /// Starts one; `script` is given the number of each request, from 0 on, and its message.
    pub(crate) fn start(
        script: impl Fn(usize, &serde_json::Value) -> Do + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, script) = (requests.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, script) = (counter.clone(), script.clone());
                std::thread::spawn(move || serve(stream, &counter, &*script));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Requests that came whole.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A loopback URL where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    format!("http://{address}/mcp")
}

/// A response with these headers, each with its line end, and this body.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// A good answer to an echo.
pub(crate) fn echo(message: &serde_json::Value) -> String {
    let text = &message["params"]["arguments"]["message"];
    let content = serde_json::json!([{"type": "text", "text": text}]);
    serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": {"content": content}})
        .to_string()
}

/// A good answer to an echo, as a response.
pub(crate) fn good(message: &serde_json::Value) -> Vec<u8> {
    response(
        "200 OK",
        "content-type: application/json\r\n",
        &echo(message),
    )
}

fn serve(
    stream: TcpStream,
    counter: &AtomicUsize,
    script: &(dyn Fn(usize, &serde_json::Value) -> Do + Send + Sync),
) {
    let mut out = stream.try_clone().expect("a socket can be shared");
    out.set_nodelay(true).expect("a socket has options");
    let mut input = BufReader::new(stream);
    while let Some(message) = next(&mut input) {
        let nth = counter.fetch_add(1, Ordering::SeqCst);
        match script(nth, &message) {
            Do::Answer(bytes) => {
                if out.write_all(&bytes).is_err() {
                    return;
                }
            }
            Do::AnswerAndClose(bytes) => {
                // The other end may be gone already.
                let _ = out.write_all(&bytes);
                let _ = out.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// The next request's message; `None` where the connection ends.
fn next(input: &mut BufReader<TcpStream>) -> Option<serde_json::Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap_or_default())
}
