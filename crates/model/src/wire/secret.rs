//! Secrets. No fault of one says anything of its value.

use proto::v1 as pb;

use super::Faults;
use crate::fault::{BAD_VALUE, MISSING};
use crate::name::SecretName;
use crate::secret::{SECRET_BYTES_MAX, Secret, SecretText};

pub(super) fn convert(name: &str, spec: &pb::SecretSpec, faults: &mut Faults) -> Option<Secret> {
    let path = "spec.value";
    if !spec.sealed.is_empty() {
        faults.push("spec.sealed", BAD_VALUE, "only the control plane seals");
    }
    match spec.value.len() {
        0 => faults.push(
            path,
            MISSING,
            "is missing: what is shown of a secret holds no value, and is not applied",
        ),
        1..=SECRET_BYTES_MAX => {}
        _ => faults.push(path, BAD_VALUE, format!("is over {SECRET_BYTES_MAX} bytes")),
    }
    if spec.value.contains('\0') {
        faults.push(path, BAD_VALUE, "holds a NUL character");
    }
    Some(Secret {
        name: SecretName::new(name).ok()?,
        value: SecretText::new(spec.value.clone()),
    })
}
