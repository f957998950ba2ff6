//! From a server's runtime to the program that is started: arguments and environment.
//!
//! Arguments are a list and never meet a shell. The environment is an allow-list: what programs need to
//! run and what package managers need to reach their registries, then the server's own values. Nothing
//! of the sidecar's own settings or secrets is handed down.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use model::server::Runtime;
use rustix::fs::{Access, access};

use crate::upstream::wanted::Process;

/// Variables that are handed down, by name.
const NAMES: [&str; 22] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "NVM_DIR",
];
/// Variables that are handed down, by how they begin: the settings of npm, pip and uv.
const PREFIXES: [&str; 3] = ["npm_config_", "PIP_", "UV_"];

/// What a sidecar's operator allows and provides.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Whether servers may name a program by path.
    pub allow_command: bool,
    /// Where programs (`npx`, `uvx`) are looked for before `PATH`.
    pub tools_path: Vec<PathBuf>,
    /// The sidecar's own environment, of which little is handed down.
    pub inherited: Vec<(OsString, OsString)>,
    /// Where servers run: a directory of their own, so that no file lies about by chance.
    pub directory: PathBuf,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Program, by path, and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// The package that is fetched at the first start, where there is one: manager, name, version.
    pub package: Option<String>,
}

/// Why there is nothing to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operator does not allow programs by path.
    #[error("this sidecar runs no `command`: its operator has not set allow_command")]
    CommandRefused,
    /// It is nothing that is run.
    #[error("its runtime is no program")]
    NoProgram,
    /// It would be read as an option.
    #[error("{0:?} is no package name or version")]
    Option(String),
    /// There is no such program here.
    #[error("{program} is not installed{hint}")]
    NotFound {
        /// Which one.
        program: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl Error {
    /// Whether it can go away without a change of configuration or settings.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The program for a server.
///
/// # Errors
/// [`Error`] where `policy` forbids it, or the program is not there.
pub fn build(process: &Process, policy: &Policy) -> Result<Program, Error> {
    let path = search_path(policy);
    let (argv, package) = match &process.runtime {
        Runtime::Npx {
            package,
            version,
            args,
        } => {
            let spec = [plain(package)?, plain(version)?].join("@");
            let npx = find("npx", &path, ": install Node.js 20 or later")?;
            let argv = [vec![npx, "--yes".to_owned(), spec.clone()], args.clone()].concat();
            (argv, Some(format!("npx {spec}")))
        }
        Runtime::Uvx {
            package,
            version,
            args,
        } => {
            let spec = [plain(package)?, plain(version)?].join("==");
            let uvx = find("uvx", &path, ": install uv")?;
            // The program is named after the package, without extras: `pkg[cli]` has `pkg`.
            let program = package.split('[').next().unwrap_or_default().to_owned();
            let argv = [
                vec![uvx, "--from".to_owned(), spec.clone(), program],
                args.clone(),
            ]
            .concat();
            (argv, Some(format!("uvx {spec}")))
        }
        Runtime::Command { argv } => {
            if !policy.allow_command && !process.by_operator {
                return Err(Error::CommandRefused);
            }
            let (program, args) = argv
                .split_first()
                .ok_or_else(|| Error::Option(String::new()))?;
            let argv = [vec![find(program, &path, "")?], args.to_vec()].concat();
            (argv, None)
        }
        Runtime::Remote { .. } | Runtime::External => return Err(Error::NoProgram),
    };
    let environment = environment(process, policy, path);
    Ok(Program {
        argv,
        environment,
        directory: policy.directory.clone(),
        package,
    })
}

fn plain(text: &str) -> Result<&str, Error> {
    let refused = text.is_empty() || text.starts_with('-');
    if refused {
        Err(Error::Option(text.to_owned()))
    } else {
        Ok(text)
    }
}

fn search_path(policy: &Policy) -> OsString {
    let own = policy
        .inherited
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, path)| path.as_os_str());
    let own = std::env::split_paths(own.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")));
    // A path with a colon in it cannot be searched: then only the operator's own is.
    std::env::join_paths(policy.tools_path.iter().cloned().chain(own)).unwrap_or_default()
}

/// The path of `program`: itself where it has a slash, else the first that can be executed on `path`.
fn find(program: &str, path: &OsStr, hint: &'static str) -> Result<String, Error> {
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let found = if program.contains('/') {
        runs(Path::new(program)).then(|| program.to_owned())
    } else {
        std::env::split_paths(path)
            .map(|directory| directory.join(program))
            .find(|path| runs(path))
            .and_then(|path| path.to_str().map(str::to_owned))
    };
    found.ok_or_else(|| Error::NotFound {
        program: program.to_owned(),
        hint,
    })
}

fn environment(process: &Process, policy: &Policy, path: OsString) -> BTreeMap<OsString, OsString> {
    let handed_down = |name: &OsStr| {
        let Some(name) = name.to_str() else {
            return false;
        };
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let begins = |prefix: &str| {
            name.get(..prefix.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(prefix))
        };
        NAMES.into_iter().any(is) || PREFIXES.into_iter().any(begins)
    };
    let mut environment: BTreeMap<_, _> = policy
        .inherited
        .iter()
        .filter(|(name, _)| handed_down(name))
        .cloned()
        .collect();
    environment.insert("PATH".into(), path);
    environment.extend(
        process
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.expose().into())),
    );
    environment
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use model::secret::SecretText;

    use super::*;

    fn process(runtime: Runtime) -> Process {
        Process {
            runtime,
            env: BTreeMap::from([("API_TOKEN".to_owned(), SecretText::new("t0ken"))]),
            by_operator: false,
        }
    }

    fn npx(package: &str, version: &str) -> Process {
        let (package, version) = (package.to_owned(), version.to_owned());
        process(Runtime::Npx {
            package,
            version,
            args: vec!["stdio".to_owned(), "; rm".to_owned()],
        })
    }

    /// Tools in a directory of their own, and an environment with much that is nobody's business.
    fn policy(tools: &Path) -> Policy {
        for tool in ["npx", "uvx"] {
            let path = tools.join(tool);
            std::fs::write(&path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let variables = [
            ("PATH", "/nowhere"),
            ("HOME", "/h"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("https_proxy", "p"),
            ("GATEHOUSE_SIDECAR__JOIN", "no"),
            ("npm_config_registry", "r"),
            ("LD_PRELOAD", "no"),
        ];
        Policy {
            tools_path: vec![tools.to_owned()],
            inherited: variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            directory: "/work".into(),
            allow_command: false,
        }
    }

    #[test]
    fn packages_run_at_their_exact_version() {
        let tools = tempfile::tempdir().unwrap();
        let policy = policy(tools.path());
        let tool = |name: &str| tools.path().join(name).to_str().unwrap().to_owned();
        let program = build(&npx("@acme/s", "1.2.3"), &policy).unwrap();
        assert_eq!(
            program.argv,
            [&tool("npx"), "--yes", "@acme/s@1.2.3", "stdio", "; rm"]
        );
        assert_eq!(program.package.as_deref(), Some("npx @acme/s@1.2.3"));
        let uvx = Runtime::Uvx {
            package: "s[cli]".into(),
            version: "2".into(),
            args: vec!["-x".into()],
        };
        let program = build(&process(uvx), &policy).unwrap();
        assert_eq!(
            program.argv,
            [&tool("uvx"), "--from", "s[cli]==2", "s", "-x"]
        );
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let tools = tempfile::tempdir().unwrap();
        let program = build(&npx("s", "1"), &policy(tools.path())).unwrap();
        let names: Vec<_> = program
            .environment
            .keys()
            .map(|name| name.to_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "API_TOKEN",
                "HOME",
                "PATH",
                "https_proxy",
                "npm_config_registry"
            ]
        );
        let path = program.environment[OsStr::new("PATH")].to_str().unwrap();
        assert_eq!(path, format!("{}:/nowhere", tools.path().display()));
    }

    #[test]
    fn what_would_be_an_option_is_refused() {
        let tools = tempfile::tempdir().unwrap();
        let policy = policy(tools.path());
        assert_eq!(
            build(&npx("-c", "1"), &policy),
            Err(Error::Option("-c".into()))
        );
        assert_eq!(
            build(&npx("s", ""), &policy),
            Err(Error::Option(String::new()))
        );
    }

    #[test]
    fn a_command_needs_the_operators_word() {
        let tools = tempfile::tempdir().unwrap();
        let mut policy = policy(tools.path());
        let mut process = process(Runtime::Command {
            argv: vec!["/bin/sh".into(), "-c".into()],
        });
        assert_eq!(build(&process, &policy), Err(Error::CommandRefused));
        process.by_operator = true;
        assert_eq!(build(&process, &policy).unwrap().argv, ["/bin/sh", "-c"]);
        (process.by_operator, policy.allow_command) = (false, true);
        assert_eq!(build(&process, &policy).unwrap().argv, ["/bin/sh", "-c"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_said_to_be_missing() {
        let policy = Policy {
            inherited: vec![("PATH".into(), "/nowhere".into())],
            ..Policy::default()
        };
        let error = build(&npx("s", "1"), &policy).unwrap_err();
        assert_eq!(
            error.to_string(),
            "npx is not installed: install Node.js 20 or later"
        );
        assert!(error.may_pass());
    }
}
