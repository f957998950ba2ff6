//! Limits: how much may be called.

use std::time::Duration;

use crate::access::Subjects;
use crate::filter::OnError;
use crate::name::{Glob, LimitName};
use crate::quantity::{parse_duration, parse_size};

/// One limit. A call that any limit refuses is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: LimitName,
    /// Which calls it counts.
    pub matches: Match,
    /// Whose calls.
    pub subjects: Subjects,
    /// What is counted apart, in the order of [`Part::ALL`]. Empty: all calls together.
    pub per: Vec<Part>,
    /// Calls a period.
    pub calls: Option<Calls>,
    /// Calls under way at one time.
    pub concurrency: Option<u32>,
    /// Bytes of requests a period.
    pub request_bytes: Option<Rate>,
    /// Bytes of answers a period.
    pub response_bytes: Option<Rate>,
    /// Whether edges count together.
    pub scope: Scope,
    /// What happens where the store that edges share cannot be asked.
    pub on_store_error: OnError,
    /// Whether it refuses or only records.
    pub mode: Mode,
}

/// Which calls a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Servers, by name or glob. Empty: all.
    pub servers: Vec<Glob>,
    /// MCP methods, by name or glob. Never empty.
    pub methods: Vec<Glob>,
    /// Tools, by name or glob; where it is given, only `tools/call` matches.
    pub tools: Vec<Glob>,
}

/// Something of a call that is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Who calls.
    User,
    /// Each of the caller's groups.
    Group,
    /// The client application.
    Client,
    /// The server.
    Server,
    /// The tool.
    Tool,
}

impl Part {
    /// All of them, in the order in which they stand in a key.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Group,
        Self::Client,
        Self::Server,
        Self::Tool,
    ];

    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Client => "client",
            Self::Server => "server",
            Self::Tool => "tool",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == text)
    }
}

/// Whether edges count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All edges together, where they have a store that they share; else each for itself.
    Shared,
    /// Each edge for itself.
    Edge,
}

/// Whether a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It refuses what is over.
    Enforce,
    /// It counts and records, and refuses nothing.
    Observe,
}

/// Calls a period, and how many of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Calls {
    /// How many over time.
    pub rate: Rate,
    /// How many at once; at least one.
    pub burst: u32,
}

/// Shorter periods have a smaller burst, unless it is given: see [`Calls::burst_of`].
const SHORT: Duration = Duration::from_secs(10);
/// A burst that is never cut.
const SMALL_BURST: u64 = 10;

impl Calls {
    /// Most calls that may come at once.
    pub const BURST_MAX: u32 = 1_000_000;

    /// How many may come at once, unless it is given: the calls of one period. A limit of so many a second is meant to
    /// hold over seconds, so with short periods it is half of them, where that is more than 10.
    pub fn burst_of(rate: Rate) -> u32 {
        let whole = rate.amount;
        let burst = if rate.period < SHORT {
            whole.min((whole / 2).max(SMALL_BURST))
        } else {
            whole
        };
        u32::try_from(burst)
            .unwrap_or(u32::MAX)
            .clamp(1, Self::BURST_MAX)
    }

    /// The time of one call: so often one may come, for ever.
    pub fn interval(&self) -> Duration {
        let nanos = self.rate.period.as_nanos() / u128::from(self.rate.amount.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// So much a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How much; never 0.
    pub amount: u64,
    /// In what time.
    pub period: Duration,
}

/// A rate that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// Not of this form.
    #[error("{0:?} is not {1}")]
    Form(String, &'static str),
    /// Shorter or longer than can be counted.
    #[error("{0:?} is refused: a period is from 1s to 31d")]
    Period(String),
    /// More than can be told apart.
    #[error("{0:?} is refused: more than 1000000 a second is no limit")]
    TooMany(String),
}

impl Rate {
    /// Longest period.
    pub const PERIOD_MAX: Duration = Duration::from_secs(31 * 86_400);
    const PERIOD_MIN: Duration = Duration::from_secs(1);
    /// Shortest time between two calls: less cannot be told apart well.
    const INTERVAL_MIN: Duration = Duration::from_micros(1);

    /// `100/1m`: calls a period.
    pub fn calls(text: &str) -> Result<Self, BadRate> {
        let form = || {
            BadRate::Form(
                text.to_owned(),
                "calls a period such as 100/1m, 5/1s or 1000/1d",
            )
        };
        let (amount, period) = text.split_once('/').ok_or_else(form)?;
        let digits = !amount.is_empty() && amount.bytes().all(|b| b.is_ascii_digit());
        let amount: u64 = amount.parse().map_err(|_| form())?;
        if !digits || amount == 0 {
            return Err(form());
        }
        let rate = Self::of(text, amount, parse_period(period).ok_or_else(form)?)?;
        if rate.period.as_nanos() / u128::from(amount) < Self::INTERVAL_MIN.as_nanos() {
            return Err(BadRate::TooMany(text.to_owned()));
        }
        Ok(rate)
    }

    /// `10Mi/1m`: bytes a period.
    pub fn bytes(text: &str) -> Result<Self, BadRate> {
        let form = || {
            BadRate::Form(
                text.to_owned(),
                "bytes a period such as 10Mi/1m or 512Ki/1s",
            )
        };
        let (amount, period) = text.split_once('/').ok_or_else(form)?;
        let amount = parse_size(amount).ok_or_else(form)?;
        Self::of(text, amount, parse_period(period).ok_or_else(form)?)
    }

    fn of(text: &str, amount: u64, period: Duration) -> Result<Self, BadRate> {
        if (Self::PERIOD_MIN..=Self::PERIOD_MAX).contains(&period) {
            Ok(Self { amount, period })
        } else {
            Err(BadRate::Period(text.to_owned()))
        }
    }

    /// The time that so much takes.
    pub fn time_of(&self, amount: u64) -> Duration {
        let nanos = self.period.as_nanos() * u128::from(amount) / u128::from(self.amount.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// `90s`, `1m`, `24h`, `7d`.
fn parse_period(text: &str) -> Option<Duration> {
    let ms = match text.strip_suffix('d') {
        Some(days) => parse_duration(&format!("{days}h"))?.checked_mul(24)?,
        None => parse_duration(text)?,
    };
    Some(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        let calls = |text: &str| {
            let rate = Rate::calls(text).unwrap();
            (rate.amount, rate.period.as_secs())
        };
        assert_eq!(calls("100/1m"), (100, 60));
        assert_eq!(calls("5/90s"), (5, 90));
        assert_eq!(calls("1000/1d"), (1000, 86_400));
        assert_eq!(calls("1/31d"), (1, 31 * 86_400));
        let bytes = Rate::bytes("10Mi/1m").unwrap();
        assert_eq!((bytes.amount, bytes.period.as_secs()), (10 << 20, 60));
        assert_eq!(bytes.time_of(5 << 20), Duration::from_secs(30));
        for bad in [
            "",
            "100",
            "100/",
            "/1m",
            "0/1m",
            "-1/1m",
            "+1/1m",
            "1.5/1m",
            "100/1",
            "100/m",
            "10Mi/1m",
            "1/500ms",
            "1/32d",
            "1/0d",
            "1/1y",
            "1 /1m",
            "2000000/1s",
        ] {
            assert!(Rate::calls(bad).is_err(), "{bad}");
        }
        for bad in ["10/1m", "10M/1m", "0Mi/1m", "10Mi", "10Mi/500ms"] {
            assert!(Rate::bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_burst_is_a_period_unless_the_period_is_short() {
        let burst = |text: &str| Calls::burst_of(Rate::calls(text).unwrap());
        assert_eq!(burst("100/1m"), 100);
        assert_eq!(burst("3/1m"), 3);
        assert_eq!(burst("5/1s"), 5);
        assert_eq!(burst("10/1s"), 10);
        assert_eq!(burst("100/1s"), 50);
        assert_eq!(burst("5000000/31d"), Calls::BURST_MAX);
    }
}
