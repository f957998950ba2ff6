#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use model::secret::SecretText;
use model::url::HttpUrl;
use parking_lot::Mutex;
use runtime::clock::now_unix_s;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressSettings;

const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;

/// What a receiver was sent.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Answers a question with the bytes of a whole HTTP response; `None`: never.
pub(crate) type Answering = fn(&Heard) -> Option<Vec<u8>>;

/// A receiver on loopback, written by hand so that it can misbehave.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) heard: Arc<Mutex<Vec<Heard>>>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn new(answer: Answering) -> Self {
        Self::after(Duration::ZERO, answer).await
    }

    /// One that takes its time.
    pub(crate) async fn after(pause: Duration, answer: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let all = heard.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, (pause, answer), all.clone()));
            }
        });
        Self {
            url,
            heard,
            _tasks: tasks,
        }
    }
}

async fn serve(
    stream: TcpStream,
    (pause, answer): (Duration, Answering),
    all: Arc<Mutex<Vec<Heard>>>,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = Vec::new();
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut heard = Heard {
            headers,
            body: Vec::new(),
        };
        heard
            .body
            .resize(heard.header("content-length").parse().unwrap(), 0);
        stream.read_exact(&mut heard.body).await.unwrap();
        let answer = answer(&heard);
        all.lock().push(heard);
        tokio::time::sleep(pause).await;
        match answer {
            Some(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            None => std::future::pending().await,
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}");
    format!("{head}\r\n{body}").into_bytes()
}

pub(crate) fn json_ok(body: &str) -> Option<Vec<u8>> {
    Some(http("200 OK", "content-type: application/json\r\n", body))
}

fn hook(url: &str, format: Format) -> Hook {
    Hook {
        url: HttpUrl::parse(url).unwrap(),
        key: SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        timeout: Duration::from_millis(300),
        format,
        signed_answer: false,
    }
}

pub(crate) fn about() -> About {
    About {
        principal: Arc::new(Principal::new("ana", &["dev"], None, "k1")),
        client: "cursor".into(),
        server: ServerName::new("crm").unwrap(),
        method: "tools/call".into(),
        name: "a".into(),
        revision: Revision(7),
    }
}

pub(crate) fn webhooks() -> Webhooks {
    let settings = EgressSettings {
        allow_private: true,
        ca_file: None,
    };
    Webhooks::new(Egress::new(&settings), &Metrics::new(), &Drain::new())
}

async fn ask(webhooks: &Webhooks, hook: &Hook) -> Result<Verdict, Error> {
    ask_of(webhooks, hook, "dlp").await
}

async fn ask_of(webhooks: &Webhooks, hook: &Hook, filter: &str) -> Result<Verdict, Error> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let filter = FilterName::new(filter).unwrap();
    let question = Question {
        filter: &filter,
        hook,
        about: &about(),
        way: Direction::Request,
        message: MESSAGE,
    };
    webhooks.ask(question, deadline).await
}

#[tokio::test]
async fn a_receiver_is_told_all_that_the_contract_says_and_its_verdict_counts() {
    let receiver = Receiver::new(|_| json_ok(r#"{"verdict":"deny","reason":"no"}"#)).await;
    let hook = hook(&receiver.url, Format::Standard);
    let verdict = ask(&webhooks(), &hook).await.unwrap();
    assert_eq!(verdict, Verdict::Deny("no".to_owned()));
    let heard = receiver.heard.lock().pop().unwrap();
    let question: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(question["message"]["params"]["name"], "a");
    assert_eq!(question["id"], heard.header(sign::ID));
    let of = |key: &str| question[key].clone();
    assert_eq!(
        json!([
            of("version"),
            of("direction"),
            of("server"),
            of("method"),
            of("name"),
            of("revision")
        ]),
        json!([1, "request", "crm", "tools/call", "a", 7])
    );
    assert_eq!(
        of("principal"),
        json!({"user": "ana", "groups": ["dev"], "client": "cursor"})
    );
    let key = sign::standard_key(&hook.key).unwrap();
    let timestamp = heard.header(sign::TIMESTAMP).parse().unwrap();
    assert!(sign::is_standard(
        &key,
        heard.header(sign::ID),
        timestamp,
        &heard.body,
        heard.header(sign::SIGNATURE),
        now_unix_s(),
    ));
    assert_eq!(heard.header("authorization"), "");
}

#[tokio::test]
async fn a_receiver_that_is_slow_takes_nothing_from_the_others() {
    let (hung, well) = (
        Receiver::new(|_| None).await,
        Receiver::new(|_| json_ok(r#"{"verdict":"allow"}"#)).await,
    );
    let webhooks = webhooks();
    let slow = Hook {
        timeout: Duration::from_secs(10),
        ..hook(&hung.url, Format::Standard)
    };
    let slow = Arc::new(slow);
    let mut asking = JoinSet::new();
    for _ in 0..ASKED_OF_ONE_MAX {
        let (webhooks, slow) = (webhooks.clone(), slow.clone());
        asking.spawn(async move { ask_of(&webhooks, &slow, "slow").await });
    }
    let all = || {
        webhooks
            .asked_of(&FilterName::new("slow").unwrap())
            .available_permits()
    };
    while all() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask_of(&webhooks, &slow, "slow").await, Err(Error::Busy));
    let well = hook(&well.url, Format::Standard);
    assert_eq!(ask_of(&webhooks, &well, "well").await, Ok(Verdict::Allow));
}

#[tokio::test]
async fn connections_are_kept() {
    let receiver = Receiver::new(|_| json_ok(r#"{"verdict":"allow"}"#)).await;
    let (webhooks, hook) = (webhooks(), hook(&receiver.url, Format::Standard));
    for _ in 0..20 {
        assert_eq!(ask(&webhooks, &hook).await.unwrap(), Verdict::Allow);
    }
    assert_eq!(receiver.heard.lock().len(), 20);
}

#[tokio::test]
async fn what_is_no_verdict_is_an_error() {
    let too_much = |_: &Heard| {
        json_ok(&format!(
            "{{\"verdict\":\"allow\",\"x\":\"{}\"}}",
            "x".repeat(5 << 20)
        ))
    };
    let cases: [Answering; 8] = [
        |_| Some(http("302 Found", "location: http://127.0.0.1:1/\r\n", "")),
        |_| Some(http("500 Internal Server Error", "", "")),
        |_| {
            Some(http(
                "200 OK",
                "content-type: text/html\r\n",
                r#"{"verdict":"allow"}"#,
            ))
        },
        |_| {
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            Some(http("200 OK", headers, r#"{"verdict":"allow"}"#))
        },
        |_| json_ok(r#"{"verdict":"allow","message":{}}"#),
        |_| json_ok("ok"),
        |_| Some(b"rubbish\r\n\r\n".to_vec()),
        too_much,
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let receiver = Receiver::new(case).await;
        let hook = hook(&receiver.url, Format::Standard);
        let error = ask(&webhooks(), &hook).await.unwrap_err();
        let expected = matches!(error, Error::Answer(_) | Error::Unreachable(_));
        assert!(expected, "case {number}: {error}");
        assert_eq!(receiver.heard.lock().len(), 1, "case {number}: asked again");
    }
}

#[tokio::test]
async fn who_hangs_is_given_up_in_time_and_then_left_alone() {
    let receiver = Receiver::new(|_| None).await;
    let (webhooks, hook) = (webhooks(), hook(&receiver.url, Format::Standard));
    for _ in 0..5 {
        let began = Instant::now();
        let error = ask(&webhooks, &hook).await.unwrap_err();
        assert!(matches!(error, Error::Late(_)), "{error}");
        let late = began.elapsed().saturating_sub(hook.timeout);
        assert!(late < Duration::from_millis(50), "{late:?} beyond its time");
    }
    assert_eq!(ask(&webhooks, &hook).await, Err(Error::Open));
    assert_eq!(receiver.heard.lock().len(), 5);
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once() {
    let hook = hook("http://127.0.0.1:1/", Format::Standard);
    let error = ask(&webhooks(), &hook).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    let egress = Egress::new(&EgressSettings::default());
    let refusing = Webhooks::new(egress, &Metrics::new(), &Drain::new());
    let error = ask(&refusing, &hook).await.unwrap_err();
    assert!(
        error.to_string().contains("egress.allow_private"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_must_be_signed_where_that_was_asked_for() {
    fn signed(heard: &Heard, id: &str) -> Option<Vec<u8>> {
        let body = r#"{"verdict":"allow"}"#;
        let key = sign::standard_key(&hook("http://x/", Format::Standard).key).unwrap();
        let timestamp = now_unix_s();
        let id = if id.is_empty() {
            heard.header(sign::ID)
        } else {
            id
        };
        let signature = sign::standard(&key, id, timestamp, body.as_bytes());
        let headers = format!(
            "content-type: application/json\r\n{}: {id}\r\n{}: {timestamp}\r\n{}: {signature}\r\n",
            sign::ID,
            sign::TIMESTAMP,
            sign::SIGNATURE,
        );
        Some(http("200 OK", &headers, body))
    }
    let cases: [(Answering, bool); 3] = [
        (|heard| signed(heard, ""), true),
        (|heard| signed(heard, "msg_another"), false),
        (|_| json_ok(r#"{"verdict":"allow"}"#), false),
    ];
    for (answer, counts) in cases {
        let receiver = Receiver::new(answer).await;
        let mut hook = hook(&receiver.url, Format::Standard);
        hook.signed_answer = true;
        assert_eq!(ask(&webhooks(), &hook).await.is_ok(), counts);
    }
}

#[tokio::test]
async fn a_receiver_made_for_obot_gets_the_bare_message() {
    let receiver = Receiver::new(|_| Some(http("200 OK", "", "whatever"))).await;
    let hook = hook(&receiver.url, Format::Obot);
    assert_eq!(ask(&webhooks(), &hook).await.unwrap(), Verdict::Allow);
    let heard = receiver.heard.lock().pop().unwrap();
    assert_eq!(heard.body, MESSAGE);
    let key = hook.key.expose().as_bytes();
    assert_eq!(heard.header(sign::OBOT), sign::obot(key, MESSAGE));
    assert_eq!(heard.header("x-obot-mcp-server-id"), "crm");
    assert_eq!(heard.header("x-obot-user-id"), "ana");
    // A response says what it answers.
    let response = br#" {"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let filter = FilterName::new("dlp").unwrap();
    let question = Question {
        filter: &filter,
        hook: &hook,
        about: &about(),
        way: Direction::Response,
        message: response,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let webhooks = webhooks();
    assert_eq!(webhooks.ask(question, deadline).await, Ok(Verdict::Allow));
    let heard = receiver.heard.lock().pop().unwrap();
    let asked: Value = serde_json::from_slice(&heard.body).unwrap();
    let expected =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "result": {"content": []}});
    assert_eq!(asked, expected);
    assert_eq!(heard.header(sign::OBOT), sign::obot(key, &heard.body));
    let refusing = Receiver::new(|_| Some(http("403 Forbidden", "", "no"))).await;
    let hook = super::tests::hook(&refusing.url, Format::Obot);
    let verdict = ask(&webhooks, &hook).await.unwrap();
    assert_eq!(verdict, Verdict::Deny("HTTP 403 Forbidden: no".to_owned()));
}
