//! What an agent of another version says that this one has no place for: fields that are passed over, and words for
//! states, reasons and goodbyes that are taken as the nearest that there is. Counted, so that an admin learns that
//! the collector is to be upgraded. Sections and kinds of items are no such thing: they are kept as they came.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::checkin::{CheckIn, Goodbye, State, Why};

/// Reads a check-in, and counts what is not known in it.
///
/// # Errors
/// It is none.
pub(super) fn counted(text: &[u8]) -> Result<(CheckIn, u64), serde_json::Error> {
    let mut fields = 0;
    let mut parser = serde_json::Deserializer::from_slice(text);
    let said = serde_ignored::deserialize(&mut parser, |_| fields += 1)?;
    parser.end()?;
    Ok((said, fields + serde_json::from_slice::<Words>(text)?.unknown()))
}

/// The words of a check-in that a later version may have more of, as they were written.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Words {
    goodbye: Option<String>,
    records: Vec<OfRecord>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OfRecord {
    sections: Vec<OfSection>,
}

#[derive(Deserialize)]
struct OfSection {
    state: String,
    #[serde(default)]
    problems: Vec<OfProblem>,
}

#[derive(Deserialize)]
struct OfProblem {
    why: String,
}

impl Words {
    fn unknown(&self) -> u64 {
        let sections = || self.records.iter().flat_map(|record| &record.sections);
        let goodbyes = self.goodbye.iter().filter(|word| !is_known::<Goodbye>(word)).count();
        let states = sections().filter(|section| !is_known::<State>(&section.state)).count();
        let problems = sections().flat_map(|section| &section.problems);
        let whys = problems.filter(|problem| !is_known::<Why>(&problem.why)).count();
        u64::try_from(goodbyes + states + whys).unwrap_or(u64::MAX)
    }
}

/// Whether this version writes it as it reads it.
fn is_known<T: DeserializeOwned + Serialize>(word: &str) -> bool {
    let word = Value::String(word.to_owned());
    T::deserialize(&word).and_then(serde_json::to_value).is_ok_and(|own| own == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn unknown(said: &Value) -> Option<u64> {
        counted(said.to_string().as_bytes()).ok().map(|(_, unknown)| unknown)
    }

    #[test]
    fn fields_and_words_count_and_what_is_known_does_not() {
        let zero = "0".repeat(32);
        let mut said = json!({
            "stream": zero, "seq": 1, "root": zero, "goodbye": "sleep",
            "records": [{"seq": 1, "at": 1, "root": zero, "sections": [{
                "section": "holograms", "state": "seen", "digest": zero,
                "put": [{"kind": "hologram", "key": "h", "attrs": {"anything": {"deep": 1}}}],
                "problems": [{"why": "denied", "what": "x"}],
            }]}],
        });
        assert_eq!(unknown(&said), Some(0));
        said["transport"] = json!({"a": [1, {"b": 2}]});
        said["records"][0]["boot"] = json!("b");
        said["records"][0]["sections"][0]["put"][0]["confidence"] = json!(0.5);
        assert_eq!(unknown(&said), Some(3));
        said["records"][0]["sections"][0]["state"] = json!("partial");
        said["records"][0]["sections"][0]["problems"][0]["why"] = json!("timed_out");
        said["goodbye"] = json!("hibernate");
        assert_eq!(unknown(&said), Some(6));
        said["root"] = json!(1);
        assert_eq!(unknown(&said), None);
    }
}
