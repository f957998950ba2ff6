//! The patterns. All classes are ASCII; where a pattern has a group `v`, that is the value, and the rest only tells it.

use model::filter::Detector::{self, *};

use super::checks::{self, Check};

/// One form of what is looked for.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) what: Detector,
    pub(super) regex: &'static str,
    pub(super) check: Check,
}

const fn plain(what: Detector, regex: &'static str) -> Pattern {
    checked(what, regex, checks::always)
}

const fn checked(what: Detector, regex: &'static str, check: Check) -> Pattern {
    Pattern { what, regex, check }
}

impl Pattern {
    /// Whether a true value may begin within a match that is none.
    pub(super) fn may_overlap(&self) -> bool {
        matches!(self.what, CreditCard | Iban)
    }
}

#[rustfmt::skip]
pub(super) static PATTERNS: &[Pattern] = &[
    checked(Email, r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", checks::email),
    // Domains with letters that are not ASCII: the rest of such a domain is found by its last labels.
    checked(Email, r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9.-]|(?u:[^\x00-\x7F]))+\.[A-Za-z]{2,24}\b", checks::email),
    checked(Phone, r"(?:\+|\b00)[1-9][0-9]{0,2}(?:[ .()/-]{0,3}[0-9]{1,5}){2,6}", checks::phone),
    checked(Phone, r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-.][0-9]{4}\b", checks::phone),
    checked(Phone, r"\b0[1-9][0-9]{1,4} ?/ ?[0-9]{3,8}(?:-[0-9]{1,4})?\b", checks::phone),
    checked(Iban, r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\b", checks::iban),
    checked(Iban, r"\b[A-Z]{2}[0-9]{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?\b", checks::iban),
    checked(CreditCard, r"[0-9]{4}(?:[ -]?[0-9]{4}){3}(?:[ -]?[0-9]{3})?|[0-9]{4}[ -]?[0-9]{6}[ -]?[0-9]{4,5}|4[0-9]{12}", checks::card),
    checked(Ssn, r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", checks::ssn),
    checked(Nino, r"\b[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b", checks::nino),
    checked(Ip, r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", checks::ip),
    checked(Ip, r"(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){1,7}|[0-9A-Fa-f]{1,4}::?(?:[0-9A-Fa-f]{1,4}::?){1,6}[0-9A-Fa-f]{1,4}", checks::ip),
    // Secrets.
    plain(AwsKey, r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z2-7]{16}\b"),
    plain(AwsKey, r#"(?i:secret_?access_?key)[\s"':=,]{1,6}(?P<v>[A-Za-z0-9/+]{40})"#),
    checked(BearerToken, r"(?i:\bbearer)[ ]+(?P<v>[A-Za-z0-9._~+/-]{20,}=*)", checks::credential),
    checked(BearerToken, r#"(?i:authorization[\s"':=]{1,6}basic)[ ]+(?P<v>[A-Za-z0-9+/]{8,}={0,2})"#, checks::credential),
    checked(GenericSecret, r#"(?i:passwo?rd|passwd|pwd|passwort|kennwort|passphrase|secret|api[_-]?key|apikey|secret[_-]?key|access[_-]?key|encryption[_-]?key|private[_-]?(?:key|token)|auth[_-]?token|access[_ -]?token|[a-z]_token|credential)['"]?(?:[ ]?[:=][ ]?| is |["' ]{1,2}[:=][ ]?)["']?(?P<v>[A-Za-z0-9!@#$%&*+/=._~-]{8,200})"#, checks::secret),
    plain(GithubToken, r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    plain(GitlabToken, r"\bgl(?:pat|rt|dt|ptt|ft|soat|cbt|imt|agent)-[A-Za-z0-9_-]{20,64}"),
    plain(GoogleKey, r"\bAIza[A-Za-z0-9_-]{35}|\bGOCSPX-[A-Za-z0-9_-]{24,40}|\b1//0[A-Za-z0-9_-]{40,}|\bya29\.[A-Za-z0-9_-]{30,}"),
    plain(Jwt, r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    plain(LlmKey, r"\bsk-(?:ant-|proj-|svcacct-|admin-|or-v1-)[A-Za-z0-9_-]{32,}|\bsk-[A-Za-z0-9]{32,64}\b|\bhf_[A-Za-z0-9]{30,40}\b|\bgsk_[A-Za-z0-9]{40,64}\b"),
    plain(NpmToken, r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
    plain(PrivateKey, r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\\\s:,.-]+?-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    // Cut off, or with what no key holds in between: as far as it goes.
    plain(PrivateKey, r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?:\\[nr]|\s)*[A-Za-z0-9+/=]{16,})*"),
    plain(SlackToken, r"\bxox[abposre]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{20,}|hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30}"),
    plain(StripeKey, r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9]{24,64}"),
    plain(UrlPassword, r#"\b[a-z][a-z0-9+.-]{1,20}://[A-Za-z0-9._~%+-]{0,64}:(?P<v>[A-Za-z0-9!$%&'()*+,;=._~-]{3,128})@[A-Za-z0-9\[]"#),
];
