//! From what went wrong to `google.rpc.Status`: the one place that chooses codes and details.
//!
//! Faults in what a caller sent are INVALID_ARGUMENT with a `BadRequest` that holds a field violation for
//! each (`resources[3].spec.servers[0]`), and with an `ErrorInfo` for each whose reason is its GH code.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetail, ErrorInfo, FieldViolation, StatusExt};

use crate::catalog::{self, Fault};
use crate::{ca, join, store};

/// Whose reasons these are.
const DOMAIN: &str = "gatehouse.dev";
/// Bytes of texts in the details of one status. They travel in a header, for which clients have little room;
/// what is over is counted in the message.
const DETAIL_BYTES_MAX: usize = 3000;

/// For a caller without a good credential.
pub(crate) fn unauthenticated(code: &'static str, message: &str) -> Status {
    with_code(Code::Unauthenticated, code, message)
}

/// For a request that is wrong as a whole.
pub(crate) fn invalid(code: &'static str, message: &str) -> Status {
    with_code(Code::InvalidArgument, code, message)
}

/// For something that is not there.
pub(crate) fn not_found(code: &'static str, message: &str) -> Status {
    with_code(Code::NotFound, code, message)
}

/// A status with a GH code.
pub(crate) fn with_code(code: Code, reason: &str, message: &str) -> Status {
    let info = ErrorInfo::new(reason, DOMAIN, HashMap::new());
    Status::with_error_details_vec(code, message, vec![ErrorDetail::ErrorInfo(info)])
}

/// For a change that was not made. `list` names the request's field that faults count in: `resources`, `keys`.
pub(crate) fn of_catalog(error: catalog::Error, list: &str) -> Status {
    use catalog::Error;
    let message = error.to_string();
    match error {
        Error::Refused(faults) => refused(&faults, list),
        Error::Conflict { .. } => with_code(Code::Aborted, "GH5003", &message),
        Error::Busy => with_code(Code::Aborted, "GH5003", &message),
        Error::WentBack(_) => with_code(Code::FailedPrecondition, "GH5103", &message),
        Error::NothingToAccept(_) => with_code(Code::FailedPrecondition, "GH5104", &message),
        Error::NotFound(_) => not_found(model::fault::DANGLING, &message),
        Error::Staged(_) => with_code(Code::FailedPrecondition, catalog::STAGED, &message),
        Error::NotStaged(_) => with_code(Code::FailedPrecondition, "GH5107", &message),
        Error::NotKept { .. } => not_found("GH5106", &message),
        Error::TooOld(_) => with_code(Code::FailedPrecondition, "GH5101", &message),
        Error::Store(error) => of_store(&error),
        Error::Seal(error) => {
            tracing::error!(%error, "a secret cannot be sealed or opened");
            with_code(
                Code::Internal,
                "GH6106",
                "a secret cannot be sealed or opened: see the control plane's log",
            )
        }
    }
}

/// For a store that did not do its part.
pub(crate) fn of_store(error: &store::Error) -> Status {
    let code = if error.may_be_retried() {
        Code::Unavailable
    } else {
        Code::Internal
    };
    with_code(code, error.code(), &error.to_string())
}

/// For a node that did not join, and for a token that was not made.
pub(crate) fn of_join(error: join::Error) -> Status {
    let message = error.to_string();
    match error {
        join::Error::NotGood => unauthenticated("GH3101", &message),
        join::Error::TooMany => with_code(Code::ResourceExhausted, "GH3102", &message),
        join::Error::Ca(ca::Error::Request(_) | ca::Error::Host { .. }) => {
            invalid("GH3103", &message)
        }
        join::Error::Store(error) => of_store(&error),
        join::Error::Ca(error) => {
            tracing::error!(%error, "a certificate cannot be made");
            with_code(
                Code::Internal,
                "GH3104",
                "a certificate cannot be made: see the control plane's log",
            )
        }
    }
}

fn refused(faults: &[Fault], list: &str) -> Status {
    let mut room = DETAIL_BYTES_MAX;
    let shown: Vec<&Fault> = faults
        .iter()
        .take_while(|fault| {
            let bytes = fault.path.len()
                + fault.message.len() * 2
                + fault.fix.as_ref().map_or(0, String::len)
                + 120;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .collect();
    let violations = shown.iter().map(|fault| {
        let mut violation = FieldViolation::new(field(fault, list), fault.message.clone());
        violation.reason = fault.code.to_owned();
        violation
    });
    let violations = BadRequest::new(violations.collect::<Vec<_>>());
    let mut details = vec![ErrorDetail::BadRequest(violations)];
    details.extend(
        shown
            .iter()
            .map(|fault| ErrorDetail::ErrorInfo(info(fault))),
    );
    let message = match faults {
        [one] => one.message.clone(),
        all if all.len() == shown.len() => format!("{} faults; nothing was changed", all.len()),
        all => format!(
            "{} faults, of which {} are shown; nothing was changed",
            all.len(),
            shown.len()
        ),
    };
    let message: String = message.chars().take(DETAIL_BYTES_MAX / 4).collect();
    Status::with_error_details_vec(Code::InvalidArgument, message, details)
}

/// Where a fault is: in what was sent, or in something that is in the catalog.
fn field(fault: &Fault, list: &str) -> String {
    let base = match (fault.index, &fault.resource) {
        (Some(index), _) => format!("{list}[{index}]"),
        (None, Some(key)) => key.to_string(),
        (None, None) => return fault.path.clone(),
    };
    if fault.path.is_empty() {
        base
    } else {
        format!("{base}.{}", fault.path)
    }
}

fn info(fault: &Fault) -> ErrorInfo {
    let mut metadata = HashMap::from([("path".to_owned(), fault.path.clone())]);
    if let Some(index) = fault.index {
        metadata.insert("index".to_owned(), index.to_string());
    }
    if let Some(key) = &fault.resource {
        metadata.insert("kind".to_owned(), key.kind.clone());
        metadata.insert("name".to_owned(), key.name.clone());
    }
    if let Some(fix) = &fault.fix {
        metadata.insert("fix".to_owned(), fix.clone());
    }
    ErrorInfo::new(fault.code, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use model::snapshot::ResourceKey;

    fn fault(index: Option<usize>, path: &str) -> Fault {
        Fault {
            index,
            resource: Some(ResourceKey::new("AccessRule", "engineers")),
            path: path.to_owned(),
            code: "GH2001",
            message: "there is no server \"x\"".to_owned(),
            fix: Some("did you mean `y`?".to_owned()),
        }
    }

    #[test]
    fn every_fault_is_a_violation_and_an_info_with_its_code() {
        let faults = vec![
            fault(Some(3), "spec.servers[0]"),
            fault(None, "spec.servers[1]"),
        ];
        let status = of_catalog(catalog::Error::Refused(faults), "resources");
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details_vec();
        let ErrorDetail::BadRequest(violations) = &details[0] else {
            panic!("{details:?}")
        };
        let fields: Vec<&str> = violations
            .field_violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "resources[3].spec.servers[0]",
                "AccessRule/engineers.spec.servers[1]"
            ]
        );
        let ErrorDetail::ErrorInfo(info) = &details[1] else {
            panic!("{details:?}")
        };
        assert_eq!(
            (info.reason.as_str(), info.metadata["index"].as_str()),
            ("GH2001", "3")
        );
        assert_eq!(info.metadata["fix"], "did you mean `y`?");
        assert_eq!(details.len(), 3);
    }

    #[test]
    fn what_does_not_fit_into_a_header_is_counted() {
        let faults = (0..500)
            .map(|n| fault(Some(n), "spec.servers[0]"))
            .collect();
        let status = of_catalog(catalog::Error::Refused(faults), "resources");
        assert!(
            status.message().starts_with("500 faults, of which "),
            "{}",
            status.message()
        );
        assert!(status.details().len() < 9000, "{}", status.details().len());
    }
}
