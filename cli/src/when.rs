//! Spans and points of time as people write and read them: `30s`, `24h`; ages; clock times; RFC 3339.
//!
//! Knows no clock but the one it is handed or asks for at the call.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// Reads `500ms`, `30s`, `15m`, `24h`, `7d`, or several of them in a row (`1h30m`).
///
/// # Errors
/// Says what is wanted, with the text that is not it; made for clap.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time: write 500ms, 30s, 15m, 24h or 7d");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit_ms: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        let part = number
            .checked_mul(unit_ms)
            .map(Duration::from_millis)
            .ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(total)
    }
}

/// A span in its largest whole unit: `12s`, `5m`, `21h`, `3d`.
pub fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => "0s".to_owned(),
        s if s < 120 => format!("{s}s"),
        s if s < 7_200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// Milliseconds since 1970, now.
pub fn now_unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// How long ago a point of time was: an age, or `-` for 0, which means never.
pub fn age(unix_ms: i64) -> String {
    relative(unix_ms, now_unix_ms().saturating_sub(unix_ms))
}

/// How long until a point of time: a span, `ended` when it is over, or `-` for 0, which means never.
pub fn until(unix_ms: i64) -> String {
    let left = unix_ms.saturating_sub(now_unix_ms());
    if unix_ms != 0 && left <= 0 {
        "ended".to_owned()
    } else {
        relative(unix_ms, left)
    }
}

fn relative(unix_ms: i64, distance_ms: i64) -> String {
    if unix_ms == 0 {
        return "-".to_owned();
    }
    span(Duration::from_millis(
        u64::try_from(distance_ms).unwrap_or(0),
    ))
}

/// The age of what is given as RFC 3339, or `-`.
pub fn age_of_text(rfc3339: &str) -> String {
    rfc3339
        .parse::<Timestamp>()
        .map_or_else(|_| "-".to_owned(), |t| age(t.as_millisecond()))
}

/// RFC 3339 in UTC to the millisecond; `None` for 0, which means never.
pub fn rfc3339_ms(unix_ms: i64) -> Option<String> {
    if unix_ms == 0 {
        return None;
    }
    Timestamp::from_millisecond(unix_ms)
        .ok()
        .map(|t| format!("{t:.3}"))
}

/// RFC 3339 in UTC to the microsecond.
pub fn rfc3339_ns(unix_ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(unix_ns))
        .map_or_else(|_| String::new(), |t| format!("{t:.6}"))
}

/// The local clock time, with the date before it where that is not today's.
pub fn clock(unix_ns: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(unix_ns)) else {
        return "-".to_owned();
    };
    let zone = TimeZone::system();
    let time = time.to_zoned(zone.clone());
    let today = Timestamp::now().to_zoned(zone).date();
    let form = if time.date() == today {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    time.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        assert_eq!(parse("1h30m").unwrap(), Duration::from_secs(5_400));
        for bad in [
            "",
            "10",
            "s",
            "10x",
            "-5s",
            "1.5h",
            "99999999999999999999s",
            "99999999999999999d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ages_have_one_unit() {
        for (s, text) in [
            (0, "0s"),
            (12, "12s"),
            (119, "119s"),
            (300, "5m"),
            (76_000, "21h"),
            (259_200, "3d"),
        ] {
            assert_eq!(span(Duration::from_secs(s)), text);
        }
        assert_eq!(age(0), "-");
        assert_eq!(until(1), "ended");
        assert_eq!(
            age(now_unix_ms() + 60_000),
            "0s",
            "a clock that is ahead is no age below nothing"
        );
    }

    #[test]
    fn machines_get_utc() {
        assert_eq!(
            rfc3339_ns(1_700_000_000_123_456_789),
            "2023-11-14T22:13:20.123456Z"
        );
        assert_eq!(
            rfc3339_ms(1_700_000_000_123).as_deref(),
            Some("2023-11-14T22:13:20.123Z")
        );
        assert_eq!(rfc3339_ms(0), None);
    }
}
