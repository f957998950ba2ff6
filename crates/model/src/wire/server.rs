//! Servers: what this version can run, and refusals of what it cannot.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1 as pb;

use super::config;
use super::package::{is_npm_name, is_npm_version, is_pypi_name, is_pypi_version};
use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, MISSING, ONE_OF};
use crate::name::ServerName;
use crate::server::{Limits, Runtime, Server, Tenancy};
use crate::template;
use crate::url::HttpUrl;

/// Longest start and longest call that may be asked for.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn convert(
    name: &str,
    labels: BTreeMap<String, String>,
    spec: &pb::ServerSpec,
    faults: &mut Faults,
) -> Option<Server> {
    faults.check_text("spec.title", &spec.title);
    faults.check_text("spec.description", &spec.description);
    let tenancy = tenancy(spec, faults);
    let runtime = runtime(spec.runtime.as_ref(), faults);
    let values = config::convert(&spec.config, runtime.as_ref(), faults);
    let limits = limits(spec.limits.as_ref(), faults);
    refuse_later_fields(spec, faults);
    Some(Server {
        name: ServerName::new(name).ok()?,
        labels,
        title: spec.title.clone(),
        description: spec.description.clone(),
        tenancy: tenancy?,
        runtime: runtime?,
        env: values.env,
        headers: values.headers,
        url_values: values.url,
        limits,
        tools: super::pins::policy(spec.tools.as_ref(), faults),
    })
}

fn tenancy(spec: &pb::ServerSpec, faults: &mut Faults) -> Option<Tenancy> {
    match pb::Tenancy::try_from(spec.tenancy) {
        Ok(pb::Tenancy::Unspecified | pb::Tenancy::Shared) => Some(Tenancy::Shared),
        Ok(pb::Tenancy::PerSession) => Some(Tenancy::PerSession),
        Ok(pb::Tenancy::PerUser) => Some(Tenancy::PerUser),
        Err(_) => {
            faults.push(
                "spec.tenancy",
                BAD_VALUE,
                format!("{} is not a tenancy", spec.tenancy),
            );
            None
        }
    }
}

fn runtime(runtime: Option<&pb::Runtime>, faults: &mut Faults) -> Option<Runtime> {
    use pb::runtime::Kind;
    let Some(kind) = runtime.and_then(|r| r.kind.as_ref()) else {
        faults.push(
            "spec.runtime",
            ONE_OF,
            "one of npx, uvx, command, remote, external is wanted",
        );
        return None;
    };
    let later = match kind {
        Kind::Npx(npx) => {
            check_package(
                "npx",
                &npx.package,
                is_npm_name,
                "an npm package: name or @scope/name",
                faults,
            );
            check_version("npx", &npx.version, is_npm_version, "1.2.3", faults);
            check_args("spec.runtime.npx.args", &npx.args, faults);
            return Some(Runtime::Npx {
                package: npx.package.clone(),
                version: npx.version.clone(),
                args: npx.args.clone(),
            });
        }
        Kind::Uvx(uvx) => {
            check_package(
                "uvx",
                &uvx.package,
                is_pypi_name,
                "a PyPI package: letters, digits, . - and _",
                faults,
            );
            check_version("uvx", &uvx.version, is_pypi_version, "1.2 or 1.2.3", faults);
            check_args("spec.runtime.uvx.args", &uvx.args, faults);
            return Some(Runtime::Uvx {
                package: uvx.package.clone(),
                version: uvx.version.clone(),
                args: uvx.args.clone(),
            });
        }
        Kind::Command(command) => return Some(argv(&command.argv, faults)),
        Kind::Remote(remote) => return remote_url(remote, faults),
        Kind::External(_) => return Some(Runtime::External),
        Kind::Container(_) => "container",
    };
    faults.unsupported(format!("spec.runtime.{later}"), &format!("runtime {later}"));
    None
}

fn check_package(
    runtime: &str,
    package: &str,
    good: fn(&str) -> bool,
    form: &str,
    faults: &mut Faults,
) {
    let path = format!("spec.runtime.{runtime}.package");
    if package.is_empty() {
        faults.push(path, MISSING, "is missing");
    } else if !good(package) {
        faults.push(path, BAD_VALUE, format!("{package:?} is not {form}"));
    }
}

fn check_version(
    runtime: &str,
    version: &str,
    good: fn(&str) -> bool,
    form: &str,
    faults: &mut Faults,
) {
    let path = format!("spec.runtime.{runtime}.version");
    if version.is_empty() {
        faults.push(path, MISSING, "is missing: an exact version is wanted");
    } else if !good(version) {
        faults.push(
            path,
            BAD_VALUE,
            format!(
                "{version:?} is not an exact version such as {form}; ranges and tags are refused"
            ),
        );
    }
}

fn check_args(path: &str, args: &[String], faults: &mut Faults) {
    faults.check_length(path, args.len());
    for (i, arg) in args.iter().take(LIST_MAX).enumerate() {
        check_process_text(&format!("{path}[{i}]"), arg, faults);
    }
}

/// What is handed to a process may hold anything but NUL, which would end it early.
pub(super) fn check_process_text(path: &str, text: &str, faults: &mut Faults) {
    if text.contains('\0') {
        faults.push(path, BAD_VALUE, format!("{text:?} holds a NUL character"));
    } else if text.len() > super::TEXT_BYTES_MAX {
        faults.check_text(path, text);
    }
}

/// A URL, or a template whose places are filled from config.
fn remote_url(remote: &pb::RemoteRuntime, faults: &mut Faults) -> Option<Runtime> {
    let (field, text) = match (remote.url.as_str(), remote.url_template.as_str()) {
        ("", "") => {
            let message = "one of url, urlTemplate is wanted";
            faults.push("spec.runtime.remote", ONE_OF, message);
            return None;
        }
        (_, "") => ("url", &remote.url),
        ("", _) => ("urlTemplate", &remote.url_template),
        _ => {
            let message = "url and urlTemplate: keep one";
            faults.push("spec.runtime.remote", ONE_OF, message);
            return None;
        }
    };
    // With a plain word in each place it must be a URL already.
    let filled = template::fill(text, |_| Some("x".into()));
    let checked = filled.and_then(|url| HttpUrl::parse(&url).map_err(|e| e.to_string()));
    if let Err(why) = checked {
        let message = format!("{text:?} is no URL that can be called: {why}");
        faults.push(format!("spec.runtime.remote.{field}"), BAD_VALUE, message);
        return None;
    }
    Some(Runtime::Remote { url: text.clone() })
}

fn argv(argv: &[String], faults: &mut Faults) -> Runtime {
    let path = "spec.runtime.command.argv";
    match argv.first() {
        None => faults.push(
            path,
            MISSING,
            "is missing: program and arguments are wanted",
        ),
        Some(program) if !program.starts_with('/') => faults.push(
            format!("{path}[0]"),
            BAD_VALUE,
            format!("{program:?} is not an absolute path"),
        ),
        Some(_) => {}
    }
    check_args(path, argv, faults);
    Runtime::Command {
        argv: argv.to_vec(),
    }
}

fn limits(limits: Option<&pb::ServerLimits>, faults: &mut Faults) -> Limits {
    let mut converted = Limits::default();
    let Some(limits) = limits else {
        return converted;
    };
    let later = [
        ("memory", limits.memory_bytes != 0),
        ("cpu", limits.cpu_millis != 0),
        ("processes", limits.processes != 0),
        ("idle", limits.idle_ms != 0),
    ];
    for (field, given) in later {
        if given {
            faults.unsupported(
                format!("spec.limits.{field}"),
                &format!("a limit of {field}"),
            );
        }
    }
    for (field, ms, target) in [
        ("startup", limits.startup_ms, &mut converted.startup),
        ("call", limits.call_ms, &mut converted.call),
    ] {
        let limit = Duration::from_millis(ms);
        if limit > LIMIT_MAX {
            faults.push(
                format!("spec.limits.{field}"),
                BAD_VALUE,
                "more than 24h is not a limit",
            );
        } else if ms != 0 {
            *target = limit;
        }
    }
    converted
}

fn refuse_later_fields(spec: &pb::ServerSpec, faults: &mut Faults) {
    if spec.upstream_auth.is_some() {
        faults.unsupported("spec.upstreamAuth", "upstreamAuth");
    }
    if !spec.egress.is_empty() {
        faults.unsupported("spec.egress", "egress");
    }
}
