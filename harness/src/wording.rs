//! Counts and times in sentences for people.

use std::time::Duration;

/// So many of a thing whose plural ends in an s: `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    }
}

/// The verb for so many.
#[must_use]
pub fn are(number: usize) -> &'static str {
    match number {
        1 => "is",
        _ => "are",
    }
}

/// A length of time as it is felt: `300 ms`, `1.5 s`, `60 s`. What is left of a limit is never whole,
/// and its nanoseconds say nothing.
#[must_use]
pub fn time(length: Duration) -> String {
    let millis = (length.as_micros() + 500) / 1000;
    if millis < 1000 {
        return format!("{millis} ms");
    }
    let tenths = (millis + 50) / 100;
    match (tenths / 10, tenths % 10) {
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenth) => format!("{seconds}.{tenth} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let told = [0, 1, 2].map(|number| format!("{} {}", count(number, "file"), are(number)));
        assert_eq!(told, ["0 files are", "1 file is", "2 files are"]);
    }

    #[test]
    fn times_are_rounded() {
        for (nanos, told) in [
            (0, "0 ms"),
            (50_000_000, "50 ms"),
            (999_400_000, "999 ms"),
            (999_600_000, "1 s"),
            (1_440_000_000, "1.4 s"),
            (1_991_446_864, "2 s"),
            (59_999_997_897, "60 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), told);
        }
    }
}
