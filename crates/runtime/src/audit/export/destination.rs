//! Where records go: the control plane, and whatever OpenTelemetry's own settings name.
//!
//! It does not connect.

use std::path::PathBuf;

use crate::net::ClientTls;
use crate::settings::{self, Secret};
use crate::tls::{self, LiveIdentity};

use super::Error;

/// Name of the control plane as a destination.
const CONTROL_PLANE: &str = "control-plane";
/// Collectors' port of OTLP/gRPC.
const GRPC_PORT: u16 = 4317;
/// Collectors' port of OTLP/HTTP.
const HTTP_PORT: u16 = 4318;
/// Where OTLP/HTTP takes traces, below a base URL.
const TRACES_PATH: &str = "/v1/traces";

/// Who takes records.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Names it in the log and its cursor's file: the same at every start.
    pub name: String,
    /// `host:port` of its receivers, tried in turn: each will do.
    pub addresses: Vec<String>,
    /// How it proves itself; `None`: plain HTTP.
    pub tls: Option<ClientTls>,
    /// Sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether it is our own store: its refusals are mended by us, so that nearly all of them are tried again.
    pub is_own: bool,
}

/// A form of OTLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies, to this path.
    Http(String),
}

impl Destination {
    /// The control plane's own stores at `addresses` (`host:port`), by mutual TLS.
    ///
    /// # Errors
    /// If `identity` cannot be used.
    pub fn control_plane(addresses: &[String], identity: &LiveIdentity) -> Result<Self, Error> {
        let fault = |error: &dyn std::fmt::Display| Error::Destination {
            name: CONTROL_PLANE.to_owned(),
            why: error.to_string(),
        };
        let name = format!("control-plane.{}", tls::TRUST_DOMAIN);
        let tls = ClientTls {
            config: identity
                .client_config(&[tls::H2])
                .map_err(|error| fault(&error))?,
            server_name: name.try_into().map_err(|error| fault(&error))?,
        };
        Ok(Self {
            name: CONTROL_PLANE.to_owned(),
            addresses: addresses.to_vec(),
            tls: Some(tls),
            headers: Vec::new(),
            protocol: Protocol::Grpc,
            is_own: true,
        })
    }

    /// A collector at `url`: `http://host:4317` or `https://…`, which is checked by the system's roots or
    /// by those in `ca_file`. With a path (`http://host:4318/v1/traces`) it is OTLP/HTTP, else OTLP/gRPC. The URL
    /// names it.
    ///
    /// # Errors
    /// If `url` is not of that form, or no roots can be read.
    pub fn collector(
        url: &str,
        headers: Vec<(String, Secret)>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let fault = |why: String| Error::Destination {
            name: url.to_owned(),
            why,
        };
        let uri: http::Uri = url
            .parse()
            .map_err(|_| fault("it is not a URL".to_owned()))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| fault("it names no host".to_owned()))?;
        if uri.query().is_some() {
            return Err(fault("it must have no query".to_owned()));
        }
        let (protocol, alpn, port) = match uri.path() {
            "" | "/" => (Protocol::Grpc, tls::H2, GRPC_PORT),
            path => (Protocol::Http(path.to_owned()), tls::HTTP1, HTTP_PORT),
        };
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let config = tls::web_client_config(ca_file.as_deref(), &[alpn])
                    .map_err(|error| fault(error.to_string()))?;
                let name = host.trim_matches(['[', ']']).to_owned();
                let server_name = name
                    .try_into()
                    .map_err(|_| fault(format!("{host:?} is no host name")))?;
                Some(ClientTls {
                    config,
                    server_name,
                })
            }
            _ => {
                return Err(fault(
                    "write http:// or https:// before the host".to_owned(),
                ));
            }
        };
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(port));
        Ok(Self {
            name: url.to_owned(),
            addresses: vec![address],
            tls,
            headers,
            protocol,
            is_own: false,
        })
    }
}

/// The destination that OpenTelemetry's own variables name: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, with `…_HEADERS`, `…_CERTIFICATE` and `…_PROTOCOL` (`grpc`, which is also the
/// default, or `http/protobuf`). None if they are not set.
///
/// # Errors
/// If what they say cannot be done.
pub fn destinations_from_env() -> Result<Vec<Destination>, Error> {
    from_variables(&|name| settings::env(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

fn from_variables(set: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Destination>, Error> {
    // What is set for traces alone comes first.
    let variable = |name: &str| set(&format!("TRACES_{name}")).or_else(|| set(name));
    let Some(url) = variable("ENDPOINT") else {
        return Ok(Vec::new());
    };
    let fault = |why: String| Error::Destination {
        name: url.clone(),
        why,
    };
    let url = url.trim_end_matches('/').to_owned();
    let target = match variable("PROTOCOL").as_deref() {
        None | Some("grpc") => url.clone(),
        // The endpoint for all signals is a base URL, the one for traces is meant as it is.
        Some("http/protobuf") if set("TRACES_ENDPOINT").is_none() => format!("{url}{TRACES_PATH}"),
        Some("http/protobuf") => url.clone(),
        Some(other) => {
            return Err(fault(format!(
                "protocol {other:?} is not spoken, only grpc and http/protobuf"
            )));
        }
    };
    let mut headers = Vec::new();
    for pair in variable("HEADERS")
        .unwrap_or_default()
        .split(',')
        .filter(|p| !p.trim().is_empty())
    {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| fault("a header is not of the form key=value".to_owned()))?;
        let value = percent_decoded(value.trim())
            .ok_or_else(|| fault(format!("the value of header {key:?} is not URL-encoded")))?;
        headers.push((key.trim().to_owned(), Secret::new(value)));
    }
    let ca_file = variable("CERTIFICATE").map(PathBuf::from);
    Destination::collector(&target, headers, ca_file).map(|one| vec![one])
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(hex::decode(digits).ok()?.first().copied()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Vec<Destination>, Error> {
        from_variables(&|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_of_opentelemetry_are_honoured() {
        assert!(from(&[]).unwrap().is_empty());
        let found = from(&[
            ("ENDPOINT", "http://collector"),
            ("HEADERS", "api-key=a%20b%3D, x=1"),
            ("PROTOCOL", "grpc"),
        ]);
        let found = found.unwrap().remove(0);
        assert_eq!(found.addresses, ["collector:4317"]);
        assert_eq!(found.protocol, Protocol::Grpc);
        assert!(found.tls.is_none());
        let headers: Vec<_> = found
            .headers
            .iter()
            .map(|(k, v)| (k.as_str(), v.expose()))
            .collect();
        assert_eq!(headers, [("api-key", "a b="), ("x", "1")]);
        assert!(!format!("{found:?}", found = found.headers).contains("a b="));
    }

    #[test]
    fn a_path_means_otlp_over_http() {
        let of = |variables: &[(&str, &str)]| {
            let found = from(variables).unwrap().remove(0);
            (found.addresses[0].clone(), found.protocol)
        };
        let http = |path: &str| Protocol::Http(path.to_owned());
        let protocol = ("PROTOCOL", "http/protobuf");
        assert_eq!(
            of(&[("ENDPOINT", "http://c/base/"), protocol]),
            ("c:4318".to_owned(), http("/base/v1/traces"))
        );
        assert_eq!(
            of(&[("TRACES_ENDPOINT", "http://c:9/v1/traces"), protocol]),
            ("c:9".to_owned(), http("/v1/traces"))
        );
        assert_eq!(
            of(&[("ENDPOINT", "http://c:9/x")]),
            ("c:9".to_owned(), http("/x"))
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for variables in [
            &[("ENDPOINT", "collector:4317")][..],
            &[("ENDPOINT", "ftp://collector")],
            &[("ENDPOINT", "http://c"), ("PROTOCOL", "http/json")],
            &[("ENDPOINT", "http://c/?x=1")],
            &[("ENDPOINT", "http://c"), ("HEADERS", "nonsense")],
            &[("ENDPOINT", "http://c"), ("HEADERS", "a=%zz")],
            &[("ENDPOINT", "https://c"), ("CERTIFICATE", "/nowhere.pem")],
        ] {
            assert!(from(variables).is_err(), "{variables:?}");
        }
    }
}
