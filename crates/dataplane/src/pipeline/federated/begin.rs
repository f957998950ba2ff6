//! What a virtual server says of itself, from what its members say; and the session of a legacy client, which is nowhere
//! but in its id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::federation::Federation;
use http::Response;
use mcp::envelope::{Envelope, Span};
use mcp::federate::hello;
use mcp::revision::Revision;
use mcp::walk;
use serde_json::Value;

use super::super::halt::{Ended, Halt};
use super::super::{Incall, begin_session};
use super::gather::identity;
use super::member::{Absences, Said};
use super::{result, whole};
use crate::body::ReplyBody;
use crate::call::Call;
use crate::deliver::federation::handle;
use crate::deliver::{Hop, Session};
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// Most bytes of what a client says of itself that its session carries: the id has to stay short enough for headers.
const CLIENT_BYTES_MAX: usize = 900;

/// What members said of themselves.
struct Heard<'f> {
    members: Vec<(&'f str, Value)>,
    absences: Absences,
}

impl<H: Hop> Incall<'_, H> {
    /// The answer to `server/discover`.
    pub(super) async fn discover(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        self.open(slot, id)?;
        let heard = self.hear(federation, call).await;
        let heard = heard.map_err(|fault| Halt::fault(&fault, id))?;
        let mut said = hello::discover_result(
            &heard.members,
            identity(federation),
            &Revision::ALL,
            heard.absences.meta(),
        );
        if !heard.absences.is_empty() {
            said["ttlMs"] = Value::from(0);
        }
        whole(slot, id, result(id, said.to_string().as_bytes()))
    }

    /// The answer to `initialize`: each member's sidecar begins its own part of the session, under one id. Whoever cannot
    /// now does so with the first call.
    pub(super) async fn begin_federated(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        self.open(slot, id)?;
        let sid = uuid::Uuid::new_v4().simple().to_string();
        let session = Session {
            revision: Some(call.revision),
            handle: handle(&sid, &URL_SAFE_NO_PAD.encode(client(call))),
            client: call.client.into(),
        };
        let of_members = Call {
            session: Some(&session.handle),
            ..*call
        };
        let heard = self.hear(federation, &of_members).await;
        let heard = heard.map_err(|fault| Halt::fault(&fault, id))?;
        let said = hello::initialize_result(
            &heard.members,
            identity(federation),
            call.revision,
            heard.absences.meta(),
        );
        let none = || Halt::fault(&Fault::unavailable("no session could be begun"), id);
        let said = said.map_err(|_| none())?;
        let hop = &self.shared.hop;
        let sealed = hop.sealed(self.config, call.principal, self.server, &session);
        let sealed = sealed.ok_or_else(none)?;
        let mut response = whole(slot, id, result(id, &said))?;
        begin_session(&mut response, Some(&sealed));
        Ok(response)
    }

    async fn hear<'f>(
        &self,
        federation: &'f Federation,
        call: &Call<'_>,
    ) -> Result<Heard<'f>, Fault> {
        let mut heard = Heard {
            members: Vec::new(),
            absences: Absences::default(),
        };
        for (at, said) in self.ask_each(federation, call).await {
            let server = &federation.members()[at].server;
            let result = match said {
                Said::Result(answer) => serde_json::from_slice::<Value>(&answer.body)
                    .map(|mut message| message["result"].take())
                    .unwrap_or_default(),
                Said::Failed(absent) => {
                    heard.absences.add(server, absent);
                    continue;
                }
                Said::Nothing | Said::BadParams | Said::Refused | Said::Over => Value::Null,
            };
            heard.members.push((server.as_str(), result));
        }
        if heard.members.is_empty() && !heard.absences.is_empty() {
            return Err(heard.absences.fault(federation));
        }
        Ok(heard)
    }
}

/// What the client says of itself, as sidecars begin its sessions from it: less, where it is too much to carry.
fn client(call: &Call<'_>) -> Vec<u8> {
    let message: &Envelope<'_> = call.message;
    let capabilities = message
        .initialize
        .as_ref()
        .and_then(|asked| asked.capabilities);
    let params = message.params;
    let info = params.and_then(|params| walk::find(call.body, params, "clientInfo"));
    let raw = |span: Option<Span>| span.map_or(&b"{}"[..], |span| span.of(call.body));
    let of = |capabilities: &[u8], info: &[u8]| {
        [
            br#"{"capabilities":"#,
            capabilities,
            br#","clientInfo":"#,
            info,
            b"}",
        ]
        .concat()
    };
    let short = |text: Option<&str>| {
        let text = text.unwrap_or_default();
        text.chars().take(64).collect::<String>()
    };
    let asked = message.initialize.as_ref();
    let name = short(asked.and_then(|asked| asked.client_name.as_deref()));
    let version = short(asked.and_then(|asked| asked.client_version.as_deref()));
    let brief = serde_json::json!({"name": name, "version": version}).to_string();
    let fits = |client: &Vec<u8>| client.len() <= CLIENT_BYTES_MAX;
    let tries = [
        of(raw(capabilities), raw(info)),
        of(raw(capabilities), brief.as_bytes()),
        of(b"{}", brief.as_bytes()),
    ];
    tries
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| b"{}".to_vec())
}
