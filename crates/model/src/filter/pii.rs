//! Personal data and secrets that can be looked for.

/// One kind of personal data or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Mail addresses.
    Email,
    /// Phone numbers in international or grouped form.
    Phone,
    /// Bank accounts (IBAN), by checksum.
    Iban,
    /// Payment cards, by issuer and checksum.
    CreditCard,
    /// Social security numbers of the USA.
    Ssn,
    /// National insurance numbers of the UK.
    Nino,
    /// Addresses of IPv4 and IPv6.
    Ip,
    /// Access keys of AWS.
    AwsKey,
    /// Credentials of an `Authorization` header.
    BearerToken,
    /// Values that are called a password, secret, token or key.
    GenericSecret,
    /// Tokens of GitHub.
    GithubToken,
    /// Tokens of GitLab.
    GitlabToken,
    /// API keys and OAuth secrets of Google.
    GoogleKey,
    /// JSON Web Tokens.
    Jwt,
    /// API keys of model providers (`sk-…`).
    LlmKey,
    /// Tokens of npm and PyPI.
    NpmToken,
    /// Private keys in PEM form.
    PrivateKey,
    /// Tokens and webhooks of Slack.
    SlackToken,
    /// Keys of Stripe.
    StripeKey,
    /// Passwords in URLs.
    UrlPassword,
}

impl Detector {
    /// All that there are.
    pub const ALL: [Self; 20] = [
        Self::Email,
        Self::Phone,
        Self::Iban,
        Self::CreditCard,
        Self::Ssn,
        Self::Nino,
        Self::Ip,
        Self::AwsKey,
        Self::BearerToken,
        Self::GenericSecret,
        Self::GithubToken,
        Self::GitlabToken,
        Self::GoogleKey,
        Self::Jwt,
        Self::LlmKey,
        Self::NpmToken,
        Self::PrivateKey,
        Self::SlackToken,
        Self::StripeKey,
        Self::UrlPassword,
    ];

    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Iban => "iban",
            Self::CreditCard => "credit-card",
            Self::Ssn => "ssn",
            Self::Nino => "nino",
            Self::Ip => "ip",
            Self::AwsKey => "aws-key",
            Self::BearerToken => "bearer-token",
            Self::GenericSecret => "generic-secret",
            Self::GithubToken => "github-token",
            Self::GitlabToken => "gitlab-token",
            Self::GoogleKey => "google-key",
            Self::Jwt => "jwt",
            Self::LlmKey => "llm-key",
            Self::NpmToken => "npm-token",
            Self::PrivateKey => "private-key",
            Self::SlackToken => "slack-token",
            Self::StripeKey => "stripe-key",
            Self::UrlPassword => "url-password",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|detector| detector.as_str() == name)
    }
}
