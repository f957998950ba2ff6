//! What an operator can set of a control plane, with defaults. Read by `runtime::settings`, checked here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use model::secret::SecretText;
use runtime::settings::Secret;
use serde::{Deserialize, Serialize};

use crate::approvals::notify::Receiver;
use crate::ca::CERTIFICATE_LASTS;
use crate::catalog::Bounds;
use crate::records;
use crate::store::etcd;
use crate::store::seal::read_private;

/// Settings of a control plane: section `control_plane` of a settings file, `GATEHOUSE_CONTROL_PLANE__…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Admin and node API: gRPC over TLS, `host:port`. Default 127.0.0.1:7700.
    pub listen: String,
    /// Where other replicas reach this one's admin and node API, `host:port`. Default: `listen`; must be set where
    /// that is every address and the store is shared.
    pub advertise: String,
    /// Receiver of the built-in audit store: OTLP/gRPC over mTLS, `host:port`. Default 127.0.0.1:7702.
    pub otlp_listen: String,
    /// `/livez`, `/readyz`, `/metrics`, `/config`: plain HTTP, `host:port`. Default 127.0.0.1:7709.
    pub admin_listen: String,
    /// Folder for the embedded store, the audit store and `ca.pem`. Default `.gatehouse/control-plane`.
    pub data_dir: PathBuf,
    /// `embedded`, or `etcd://host:2379,host:2379`. Default `embedded`.
    pub store: String,
    /// How etcd is reached.
    pub etcd: Etcd,
    /// The key that secrets in the store are sealed under: 32 bytes as hex or base64, mode 0600, the same for
    /// all replicas. Default `master.key` in `data_dir`, made at the first start; a file that is named here
    /// must be there.
    pub master_key_file: Option<PathBuf>,
    /// Administrators' tokens, one a line, mode 0600. Default `admin.token` in `data_dir`, made at the first
    /// start; a file that is named here must be there.
    pub admin_token_file: Option<PathBuf>,
    /// Certificates.
    pub tls: Tls,
    /// The built-in audit store.
    pub records: Records,
    /// What can be rolled back to.
    pub history: History,
    /// Calls that a person has to agree to.
    pub approvals: Approvals,
    /// Pages for people: those that links of approvals lead to.
    pub web: Web,
}

/// How etcd is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Etcd {
    /// Roots that its certificates come from, PEM. Without it etcd is spoken to without TLS.
    pub ca_file: Option<PathBuf>,
    /// Our certificate towards it, PEM.
    pub cert_file: Option<PathBuf>,
    /// That certificate's key, PEM.
    pub key_file: Option<PathBuf>,
    /// User.
    pub user: Option<String>,
    /// A file with that user's password, mode 0600.
    pub password_file: Option<PathBuf>,
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Further hosts and addresses under which it is reached; loopback ones are always among them.
    pub hosts: Vec<String>,
    /// How long certificates of nodes and of the control plane last, in seconds; they are renewed at half. A node
    /// that is cut off from all control planes is good for at least half of it. At least 10. Default 86400.
    pub certificate_lasts_s: u64,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            certificate_lasts_s: CERTIFICATE_LASTS.as_secs(),
        }
    }
}

impl Tls {
    pub(crate) fn certificate_lasts(&self) -> anyhow::Result<Duration> {
        let seconds = self.certificate_lasts_s;
        if !(10..=366 * 24 * 3600).contains(&seconds) {
            bail!("tls.certificate_lasts_s is {seconds}: it must be from 10 (s) to a year");
        }
        Ok(Duration::from_secs(seconds))
    }
}

/// The built-in audit store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// Most calls that are kept; beyond it the oldest go. Default 1,000,000.
    pub calls_max: u64,
}

/// Calls that a person has to agree to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// How long a call may wait for a person, and an approval for its call, in seconds, 1 to 86400. Default 600.
    pub expires_s: u64,
    /// A receiver that is told of each call that begins to wait: a POST, signed after Standard Webhooks, with links to its
    /// page. Default: none.
    pub webhook_url: String,
    /// The secret of those signatures, mode 0600: `whsec_` and base64, or any text.
    pub webhook_secret_file: Option<PathBuf>,
}

/// Pages for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Where they are served: plain HTTP, `host:port`. Default: nowhere.
    pub listen: String,
    /// Whether a proxy in front does TLS; else they are served on loopback addresses only.
    pub behind_tls_proxy: bool,
    /// Where people reach them, `https://HOST[:PORT]`: what links begin with.
    pub public_url: String,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            expires_s: 600,
            webhook_url: String::new(),
            webhook_secret_file: None,
        }
    }
}

impl Approvals {
    /// Who is told of calls that begin to wait. Reads the file that is named for it.
    ///
    /// # Errors
    /// What cannot be used, by its setting's name.
    pub(crate) fn receiver(&self, web: &Web) -> anyhow::Result<Option<Receiver>> {
        match (self.webhook_url.as_str(), &self.webhook_secret_file) {
            ("", None) => Ok(None),
            ("", Some(_)) => {
                bail!("approvals.webhook_secret_file is set, and approvals.webhook_url is not")
            }
            (_, None) => {
                bail!("approvals.webhook_url is set: set approvals.webhook_secret_file, too")
            }
            (url, Some(file)) => {
                let secret = SecretText::new(read_private(file)?.trim());
                Receiver::new(url, &secret, &web.public_url).map(Some)
            }
        }
    }

    /// How long an approval is good.
    ///
    /// # Errors
    /// Where that is out of its range.
    pub(crate) fn lasts(&self) -> anyhow::Result<Duration> {
        if !(1..=86_400).contains(&self.expires_s) {
            bail!(
                "approvals.expires_s {} is not between 1 and 86400",
                self.expires_s
            );
        }
        Ok(Duration::from_secs(self.expires_s))
    }
}

impl Default for Records {
    fn default() -> Self {
        Self {
            calls_max: records::CALLS_MAX,
        }
    }
}

/// What can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Most revisions that are kept; the oldest go, 256 at a time. Default 10,000.
    pub revisions_max: u64,
    /// Most bytes of resources that these revisions put; beyond it the oldest go. Default 256 MiB.
    pub bytes_max: u64,
}

impl Default for History {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            revisions_max: bounds.revisions_max,
            bytes_max: bounds.bytes_max,
        }
    }
}

impl History {
    pub(crate) fn bounds(&self) -> anyhow::Result<Bounds> {
        if self.revisions_max == 0 {
            bail!("history.revisions_max is 0: it must be at least 1");
        }
        Ok(Bounds {
            revisions_max: self.revisions_max,
            bytes_max: self.bytes_max,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7700".to_owned(),
            advertise: String::new(),
            otlp_listen: "127.0.0.1:7702".to_owned(),
            admin_listen: "127.0.0.1:7709".to_owned(),
            data_dir: PathBuf::from(".gatehouse/control-plane"),
            store: "embedded".to_owned(),
            etcd: Etcd::default(),
            master_key_file: None,
            admin_token_file: None,
            tls: Tls::default(),
            records: Records::default(),
            history: History::default(),
            approvals: Approvals::default(),
            web: Web::default(),
        }
    }
}

/// Which store, with what it takes to reach it.
#[derive(Debug, Clone)]
pub(crate) enum StoreChoice {
    /// A file in `data_dir`.
    Embedded,
    /// etcd.
    Etcd(etcd::Options),
}

impl Settings {
    /// Where other replicas reach this one, which listens on `listen`.
    ///
    /// # Errors
    /// Where that cannot be known.
    pub(crate) fn advertise(&self, listen: SocketAddr) -> anyhow::Result<String> {
        if !self.advertise.is_empty() {
            return Ok(self.advertise.clone());
        }
        if listen.ip().is_unspecified() && self.store.starts_with("etcd:") {
            bail!(
                "listen {listen} is every address: set advertise to the one where other replicas reach this one, \
                 host:port"
            );
        }
        Ok(listen.to_string())
    }

    /// Which store is meant. Reads the files that are named for it.
    ///
    /// # Errors
    /// What cannot be used, by its setting's name.
    pub(crate) fn store_choice(&self) -> anyhow::Result<StoreChoice> {
        if self.store == "embedded" {
            if self.etcd != Etcd::default() {
                bail!(
                    "etcd.* is set, but store is \"embedded\": set store to \"etcd://HOST:2379\""
                );
            }
            return Ok(StoreChoice::Embedded);
        }
        let Some(hosts) = self.store.strip_prefix("etcd://") else {
            bail!(
                "store {:?} is neither \"embedded\" nor \"etcd://HOST:2379,…\"",
                self.store
            );
        };
        let endpoints: Vec<String> = hosts
            .split(',')
            .map(|host| host.trim().to_owned())
            .collect();
        if let Some(bad) = endpoints
            .iter()
            .find(|host| !crate::endpoints::is_address(host))
        {
            bail!("store {:?}: {bad:?} is not host:port", self.store);
        }
        self.etcd.options(endpoints).map(StoreChoice::Etcd)
    }
}

impl Etcd {
    fn options(&self, endpoints: Vec<String>) -> anyhow::Result<etcd::Options> {
        let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
        let ca_pem = self.ca_file.as_deref().map(read).transpose()?;
        let identity_pem = match (&self.cert_file, &self.key_file) {
            (Some(_), Some(_)) if ca_pem.is_none() => bail!("etcd.cert_file needs etcd.ca_file"),
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            (None, None) => None,
            _ => bail!("etcd.cert_file and etcd.key_file go together"),
        };
        let user = match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => {
                Some((user.clone(), Secret::new(read_private(file)?.trim())))
            }
            (None, None) => None,
            _ => bail!("etcd.user and etcd.password_file go together"),
        };
        Ok(etcd::Options {
            endpoints,
            ca_pem,
            identity_pem,
            user,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn choice(store: &str) -> anyhow::Result<StoreChoice> {
        Settings {
            store: store.to_owned(),
            ..Settings::default()
        }
        .store_choice()
    }

    #[test]
    fn stores_are_told_apart_and_slips_are_named() {
        assert!(matches!(choice("embedded").unwrap(), StoreChoice::Embedded));
        let StoreChoice::Etcd(options) = choice("etcd://h1:2379, h2:2379").unwrap() else {
            panic!("not etcd");
        };
        assert_eq!(options.endpoints, ["h1:2379", "h2:2379"]);
        for bad in ["", "redis://h:1", "etcd://", "etcd://h1", "etcd://h1:2379,"] {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn halves_of_a_pair_are_refused() {
        let half = Etcd {
            user: Some("u".to_owned()),
            ..Etcd::default()
        };
        assert!(half.options(Vec::new()).is_err());
        let half = Etcd {
            cert_file: Some("c".into()),
            ..Etcd::default()
        };
        assert!(half.options(Vec::new()).is_err());
    }

    #[test]
    fn settings_for_a_store_that_is_not_used_are_refused() {
        let etcd = Etcd {
            user: Some("u".to_owned()),
            ..Etcd::default()
        };
        assert!(
            Settings {
                etcd,
                ..Settings::default()
            }
            .store_choice()
            .is_err()
        );
    }
}
