//! The nearest name, for "did you mean".

/// How near a name must be to be offered, from 0 to 1 (Jaro-Winkler). Below this, offers are guesses.
const SIMILAR_MIN: f64 = 0.8;

/// The nearest of `names` to `wanted`. One that differs in case alone is always near.
pub(super) fn nearest<'n>(
    wanted: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let lower = wanted.to_lowercase();
    let score = |name: &'n str| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name);
    let near = names
        .into_iter()
        .map(score)
        .filter(|(score, _)| *score >= SIMILAR_MIN);
    near.max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_offered() {
        let names = ["memory", "cpu", "processes", "idle", "startup", "call"];
        for (wanted, offered) in [
            ("idel", Some("idle")),
            ("Startup", Some("startup")),
            ("start", Some("startup")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, names), offered, "{wanted}");
        }
    }
}
