//! Versions as bytes that compare as the versions do, so that "older than" is one comparison in any engine.
//!
//! Debian's order, deb-version(7): the epoch by value, then upstream version, then revision; each of these is
//! read as text and number in turns. In text `~` sorts before everything, even the end; letters sort before all
//! else. Numbers count by value; a missing one is 0.
//!
//! Each text is written as one byte a character, the end as one too; each number as its count of digits
//! without leading zeros and those digits.

/// `~`.
const TILDE: u8 = 1;
/// The end of a text.
const END: u8 = 2;
/// The letter A; letters follow in ASCII's order up to 60.
const LETTER_A: u8 = 3;
/// Before the byte of any other character.
const OTHER: u8 = 64;

/// The sort key of a version in the order of its package manager. All managers known so far are Debian's.
pub fn of(_manager: &str, version: &str) -> Vec<u8> {
    debian(version)
}

/// The sort key of a version in Debian's order.
pub fn debian(version: &str) -> Vec<u8> {
    let (epoch, upstream, revision) = split(version);
    let mut key = Vec::with_capacity(version.len() * 2 + 8);
    number(&mut key, epoch.as_bytes());
    part(&mut key, upstream.as_bytes());
    part(&mut key, revision.as_bytes());
    key
}

/// Epoch, upstream version, revision. What is no number is no epoch.
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
        _ => ("", version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

fn part(key: &mut Vec<u8>, mut rest: &[u8]) {
    loop {
        let digits_at = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(digits_at);
        for &byte in text {
            match byte {
                b'~' => key.push(TILDE),
                b'A'..=b'Z' | b'a'..=b'z' => key.push(byte - b'A' + LETTER_A),
                other => key.extend([OTHER, other]),
            }
        }
        key.push(END);
        let text_at = tail.iter().position(|b| !b.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(text_at);
        number(key, digits);
        if tail.is_empty() {
            return key.push(END);
        }
        rest = tail;
    }
}

fn number(key: &mut Vec<u8>, digits: &[u8]) {
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    match u8::try_from(digits.len()) {
        Ok(count) if count < u8::MAX => key.push(count),
        _ => {
            key.push(u8::MAX);
            key.extend(u32::try_from(digits.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    key.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;
    use std::process::Command;

    /// deb-version(7) said a second time, as a comparison of two texts.
    fn compare(a: &str, b: &str) -> Ordering {
        let (ea, ua, ra) = split(a);
        let (eb, ub, rb) = split(b);
        compare_part(ea, eb).then_with(|| compare_part(ua, ub)).then_with(|| compare_part(ra, rb))
    }

    fn compare_part(a: &str, b: &str) -> Ordering {
        let weight = |c: Option<&char>| match c {
            None => 0_i32,
            Some(c) if c.is_ascii_digit() => 0,
            Some('~') => -1,
            Some(c) if c.is_ascii_alphabetic() => *c as i32,
            Some(c) => *c as i32 + 256,
        };
        let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
        while a.peek().is_some() || b.peek().is_some() {
            while a.peek().is_some_and(|c| !c.is_ascii_digit()) || b.peek().is_some_and(|c| !c.is_ascii_digit()) {
                match weight(a.peek()).cmp(&weight(b.peek())) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                }
                a.next();
                b.next();
            }
            let digits = |it: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                let mut n = 0_u128;
                while let Some(c) = it.next_if(char::is_ascii_digit) {
                    n = n * 10 + u128::from(c.to_digit(10).expect("a digit"));
                }
                n
            };
            match digits(&mut a).cmp(&digits(&mut b)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        Ordering::Equal
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn keys_compare_as_versions_do(a in "([0-2]:)?[0-2a-bA~+.]{0,8}(-[0-1a~.+]{0,4})?", b in "([0-2]:)?[0-2a-bA~+.]{0,8}(-[0-1a~.+]{0,4})?") {
            prop_assert_eq!(debian(&a).cmp(&debian(&b)), compare(&a, &b), "{} and {}", a, b);
        }
    }

    /// In their order, the smallest first; from the manual and from real upgrades.
    const RISING: &[&str] = &[
        "0~~",
        "0~",
        "0",
        "0.9~rc1-1",
        "0.9-1",
        "1.0~beta1~svc1245",
        "1.0~beta1",
        "1.0",
        "1.0-0.1",
        "1.0-1",
        "1.0-1+b1",
        "1.0-10",
        "1.0a",
        "1.0+dfsg",
        "1.0.1",
        "1.2.3-4",
        "1.10",
        "3.0.15-1~deb12u1",
        "3.0.15-1",
        "20240203",
        "1:0.1",
        "1:1.2.13.dfsg-1",
        "2:8.2.4659-1",
        "10:0",
    ];

    #[test]
    fn real_versions_keep_their_order() {
        for pair in RISING.windows(2) {
            assert!(debian(pair[0]) < debian(pair[1]), "{pair:?}");
        }
        for (a, b) in [("1.0", "1.0-0"), ("0:1", "1"), ("1.01", "1.1"), ("a", "a0")] {
            assert_eq!(debian(a), debian(b), "{a} and {b}");
        }
        let long = "9".repeat(4000);
        assert!(debian(&long) > debian(&"9".repeat(254)) && debian(&long) < debian(&format!("1{long}")));
    }

    #[expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test beside the original")]
    #[test]
    fn dpkg_agrees() {
        let run = |a: &str, b: &str| Command::new("dpkg").args(["--compare-versions", a, "lt", b]).status();
        if run("1", "2").is_err() {
            return eprintln!("dpkg is missing: nothing compared");
        }
        for pair in RISING.windows(2) {
            assert!(run(pair[0], pair[1]).expect("dpkg").success(), "{pair:?}");
        }
    }
}
