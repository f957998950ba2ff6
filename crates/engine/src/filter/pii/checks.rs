//! What a pattern cannot tell: checksums, ranges, and whether a value is one or only stands for one.

use core::net::{Ipv4Addr, Ipv6Addr};

use model::filter::Detector;

/// Whether a match is one; by the match, the whole text, and where in it the match begins.
pub(super) type Check = fn(&str, &str, usize) -> bool;

pub(super) fn always(_: &str, _: &str, _: usize) -> bool {
    true
}

/// One spelling of a value, so that equal values have equal tokens.
pub(super) fn plain(what: Detector, value: &str) -> String {
    match what {
        Detector::Email => value.to_lowercase(),
        Detector::Phone | Detector::CreditCard | Detector::Ssn => digits(value),
        Detector::Iban | Detector::Nino => value
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect(),
        _ => value.to_owned(),
    }
}

fn digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

/// The characters right before and behind a match.
fn around(text: &str, start: usize, length: usize) -> (Option<u8>, Option<u8>) {
    let bytes = text.as_bytes();
    let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied();
    (before, bytes.get(start + length).copied())
}

/// Payment cards: issuers' ranges and lengths, Luhn's sum, not one digit over and over.
pub(super) fn card(value: &str, text: &str, start: usize) -> bool {
    let number = digits(value);
    let prefix = |length: usize| {
        number
            .get(..length)
            .and_then(|p| p.parse::<u32>().ok())
            .unwrap_or(0)
    };
    let issued = match number.len() {
        13 => prefix(1) == 4,
        14 => prefix(2) == 36 || prefix(2) == 38 || (300..=305).contains(&prefix(3)),
        15 => matches!(prefix(2), 34 | 37),
        16 | 19 => {
            prefix(1) == 4
                || (51..=55).contains(&prefix(2))
                || (2221..=2720).contains(&prefix(4))
                || prefix(4) == 6011
                || prefix(2) == 65
                || (3528..=3589).contains(&prefix(4))
        }
        _ => false,
    };
    let (before, behind) = around(text, start, value.len());
    let is_part = |c: Option<u8>| {
        c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
    };
    let ends = behind != Some(b'.') && is_part(behind);
    issued && luhn(&number) && !is_part(before) && !ends
}

/// The beginning of what was taken for such a value that is as long as one is: a word behind an account's number is no
/// part of it.
pub(super) fn cut(what: Detector, value: &str) -> Option<&str> {
    if what != Detector::Iban {
        return None;
    }
    let country = value.get(..2)?;
    let (_, length) = IBAN_LENGTHS.iter().find(|(code, _)| *code == country)?;
    let mut digits = value.bytes().enumerate().filter(|(_, b)| *b != b' ');
    let (last, _) = digits.nth(length - 1)?;
    value.get(..=last)
}

fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match place % 2 {
                0 => digit,
                _ => digit * 2 / 10 + digit * 2 % 10,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Lengths of accounts' numbers by country.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VG", 24),
    ("XK", 20),
];

/// Accounts: length by country, and the sum (ISO 13616).
pub(super) fn iban(value: &str, _: &str, _: usize) -> bool {
    let account = plain(Detector::Iban, value);
    let Some((country, rest)) = account.split_at_checked(4) else {
        return false;
    };
    let long = IBAN_LENGTHS
        .iter()
        .any(|(code, length)| country.starts_with(code) && account.len() == *length);
    let sum = rest
        .bytes()
        .chain(country.bytes())
        .try_fold(0_u32, |sum, c| {
            let value = char::from(c).to_digit(36)?;
            let base = if value > 9 { 100 } else { 10 };
            Some((sum * base + value) % 97)
        });
    long && sum == Some(1)
}

/// Numbers that are issued: no part is all zero, and no area of 666 or from 900.
pub(super) fn ssn(value: &str, _: &str, _: usize) -> bool {
    let number = digits(value);
    let part = |from: usize, to: usize| {
        number
            .get(from..to)
            .and_then(|p| p.parse::<u32>().ok())
            .unwrap_or(0)
    };
    let area = part(0, 3);
    area != 0 && area != 666 && area < 900 && part(3, 5) != 0 && part(5, 9) != 0
}

/// Prefixes that are issued.
pub(super) fn nino(value: &str, _: &str, _: usize) -> bool {
    let number = plain(Detector::Nino, value);
    let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];
    !never.iter().any(|prefix| number.starts_with(prefix))
}

/// Addresses that parse, that are no loopback, any or version, and no part of a longer number.
pub(super) fn ip(value: &str, text: &str, start: usize) -> bool {
    let (before, behind) = around(text, start, value.len());
    if let Ok(v4) = value.parse::<Ipv4Addr>() {
        let joined = |c: Option<u8>| {
            c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        };
        let continued = behind == Some(b'.')
            && text
                .as_bytes()
                .get(start + value.len() + 1)
                .is_some_and(u8::is_ascii_digit);
        let dotted = before == Some(b'.');
        let strange = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_loopback();
        // Versions and object identifiers begin small; addresses that do are rare and dull.
        let small = v4.octets().iter().all(|octet| *octet < 10) && v4.octets()[0] != 9;
        return !joined(before) && !joined(behind) && !continued && !dotted && !strange && !small;
    }
    let joined = |c: Option<u8>| {
        c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b':' | b'-' | b'_'))
    };
    let groups = value.split(':').filter(|group| !group.is_empty()).count();
    let v6 = value.parse::<Ipv6Addr>();
    v6.is_ok_and(|v6| !v6.is_loopback() && !v6.is_unspecified())
        && groups >= 3
        && !joined(before)
        && !joined(behind)
}

/// Digits as many as numbers have, and grouped as people group them.
pub(super) fn phone(value: &str, text: &str, start: usize) -> bool {
    let count = digits(value).len();
    let (before, behind) = around(text, start, value.len());
    let joined = |c: Option<u8>| {
        c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'/'))
    };
    (9..=15).contains(&count) && !joined(before) && !joined(behind) && behind != Some(b':')
}

/// A mail address and no version, handle or remote of git.
pub(super) fn email(value: &str, _: &str, _: usize) -> bool {
    let Some((local, domain)) = value.rsplit_once('@') else {
        return false;
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    local != "git" && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// A value of a password, secret or key, and no word that stands for one.
pub(super) fn secret(value: &str, _: &str, _: usize) -> bool {
    let lower = value.to_ascii_lowercase();
    let stands_for = [
        "hidden",
        "redacted",
        "example",
        "changeme",
        "placeholder",
        "your",
        "null",
        "none",
        "true",
        "false",
        "undefined",
        "xxxx",
        "****",
        "....",
        "required",
        "optional",
    ];
    if stands_for.iter().any(|word| lower.contains(word)) {
        return false;
    }
    let has = |class: fn(&u8) -> bool| value.bytes().any(|byte| class(&byte));
    let kinds = [
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        has(u8::is_ascii_digit),
        has(u8::is_ascii_punctuation),
    ];
    let kinds = kinds.iter().filter(|there| **there).count();
    // Words of a sentence have letters only; values have something else in them, or are long.
    has(u8::is_ascii_digit) && kinds >= 2 || kinds >= 3 || (value.len() >= 20 && kinds >= 2)
}

/// A credential of a header.
pub(super) fn credential(value: &str, _: &str, _: usize) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
        || value.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_checked() {
        let alone = |check: Check, value: &str| check(value, value, 0);
        assert!(alone(card, "4111 1111 1111 1111") && !alone(card, "4111 1111 1111 1112"));
        assert!(alone(card, "378282246310005") && !alone(card, "1111111111111111"));
        assert!(
            alone(iban, "DE89 3704 0044 0532 0130 00") && !alone(iban, "DE88370400440532013000")
        );
        assert!(alone(iban, "GB82WEST12345698765432") && !alone(iban, "ZZ82WEST12345698765432"));
        assert!(
            alone(ssn, "123-45-6789") && !alone(ssn, "000-45-6789") && !alone(ssn, "666-45-6789")
        );
        assert!(alone(ip, "192.168.0.1") && !alone(ip, "256.1.1.1") && !alone(ip, "127.0.0.1"));
        assert!(!ip("1.3.6.1", "1.3.6.1.4.1", 0) && !alone(ip, "1.2.3.4"));
        assert!(alone(ip, "2001:db8::1:2") && !alone(ip, "::1"));
    }

    #[test]
    fn spellings_of_one_value_are_one() {
        assert_eq!(plain(Detector::Iban, "de89 3704"), "DE893704");
        assert_eq!(plain(Detector::CreditCard, "4111-1111"), "41111111");
        assert_eq!(plain(Detector::Email, "A@B.example"), "a@b.example");
    }
}
