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
/// gRPC's port at collectors.
const OTLP_PORT: u16 = 4317;

/// Who takes records.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Names it in the log and its cursor's file: the same at every start.
    pub name: String,
    /// `host:port` of an OTLP/gRPC receiver.
    pub address: String,
    /// How it proves itself; `None`: plain HTTP/2.
    pub tls: Option<ClientTls>,
    /// Sent with every request.
    pub headers: Vec<(String, Secret)>,
}

impl Destination {
    /// The control plane's own store at `address` (`host:port`), by mutual TLS.
    ///
    /// # Errors
    /// If `identity` cannot be used.
    pub fn control_plane(address: &str, identity: &LiveIdentity) -> Result<Self, Error> {
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
            address: address.to_owned(),
            tls: Some(tls),
            headers: Vec::new(),
        })
    }

    /// A collector at `url`: `http://host:4317` or `https://…`, which is checked by the system's roots or
    /// by those in `ca_file`. The URL names it.
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
        if uri.path().len() > 1 {
            return Err(fault("OTLP/gRPC has no path: leave it out".to_owned()));
        }
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let config = tls::web_client_config(ca_file.as_deref(), &[tls::H2])
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
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(OTLP_PORT));
        Ok(Self {
            name: url.to_owned(),
            address,
            tls,
            headers,
        })
    }
}

/// The destination that OpenTelemetry's own variables name: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, with `…_HEADERS`, `…_CERTIFICATE` and `…_PROTOCOL` (only `grpc`). None if
/// they are not set.
///
/// # Errors
/// If what they say cannot be done.
pub fn destinations_from_env() -> Result<Vec<Destination>, Error> {
    from_variables(&|name| {
        settings::env(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
            .or_else(|| settings::env(&format!("OTEL_EXPORTER_OTLP_{name}")))
    })
}

fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Destination>, Error> {
    let Some(url) = variable("ENDPOINT") else {
        return Ok(Vec::new());
    };
    let fault = |why: String| Error::Destination {
        name: url.clone(),
        why,
    };
    match variable("PROTOCOL").as_deref() {
        None | Some("grpc") => {}
        Some(other) => {
            return Err(fault(format!(
                "protocol {other:?} is not spoken, only grpc"
            )));
        }
    }
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
    Destination::collector(url.trim_end_matches('/'), headers, ca_file).map(|one| vec![one])
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
        assert_eq!(found.address, "collector:4317");
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
    fn what_cannot_be_done_is_refused() {
        for variables in [
            &[("ENDPOINT", "collector:4317")][..],
            &[("ENDPOINT", "ftp://collector")],
            &[("ENDPOINT", "http://collector/v1/traces")],
            &[("ENDPOINT", "http://c"), ("PROTOCOL", "http/protobuf")],
            &[("ENDPOINT", "http://c"), ("HEADERS", "nonsense")],
            &[("ENDPOINT", "http://c"), ("HEADERS", "a=%zz")],
            &[("ENDPOINT", "https://c"), ("CERTIFICATE", "/nowhere.pem")],
        ] {
            assert!(from(variables).is_err(), "{variables:?}");
        }
    }
}
