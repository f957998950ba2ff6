//! Durations, sizes and parts of processors, as people write them.

/// `500ms`, `30s`, `15m`, `24h` in milliseconds. Nothing else: one number, one unit, not zero.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    parse(text, &DURATIONS).filter(|ms| *ms > 0)
}

/// The shortest text of a duration.
pub(crate) fn format_duration(ms: u64) -> String {
    format(ms, &DURATIONS)
}

/// `512Mi`, `1Gi`, `1000B` in bytes; not zero.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES).filter(|bytes| *bytes > 0)
}

/// The shortest text of a size.
pub(crate) fn format_size(bytes: u64) -> String {
    format(bytes, &SIZES)
}

/// `2`, `0.5`, `0.125` processors in thousandths; not zero.
pub(crate) fn parse_cpu(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let thousandths: u32 = format!("{part:0<3}").parse().ok()?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(thousandths)
        .filter(|millis| *millis > 0)
}

/// The shortest text of a part of processors.
pub(crate) fn format_cpu(millis: u32) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Units, smallest first: each is a multiple of the one before.
type Units = [(&'static str, u64)];

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 5] = [
    ("B", 1),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

fn parse(text: &str, units: &Units) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(value: u64, units: &Units) -> String {
    let fits = units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    let (unit, factor) = fits.copied().unwrap_or(units[0]);
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("24h", 86_400_000),
            ("90s", 90_000),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1d",
            "1h30m",
            "30 s",
            "0s",
            "99999999999999999999h",
            "٣s",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(
            (format_duration(60_000), format_duration(90_000)),
            ("1m".to_owned(), "90s".to_owned())
        );
    }

    #[test]
    fn sizes_and_processors() {
        assert_eq!(parse_size("512Mi"), Some(512 << 20));
        assert_eq!(parse_size("1000B"), Some(1000));
        assert_eq!(
            (parse_size("512"), parse_size("512M"), parse_size("0Mi")),
            (None, None, None)
        );
        assert_eq!(
            (parse_cpu("0.5"), parse_cpu("2"), parse_cpu("0.125")),
            (Some(500), Some(2000), Some(125))
        );
        for bad in [
            "",
            ".5",
            "1.",
            "0",
            "0.0001",
            "-1",
            "500m",
            "1e3",
            "99999999999",
        ] {
            assert_eq!(parse_cpu(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 1..u64::MAX, millis in 1..u32::MAX) {
            prop_assert_eq!(parse_duration(&format_duration(value)), Some(value));
            prop_assert_eq!(parse_size(&format_size(value)), Some(value));
            prop_assert_eq!(parse_cpu(&format_cpu(millis)), Some(millis));
        }
    }
}
