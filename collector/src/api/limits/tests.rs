use super::*;
use proptest::prelude::*;

/// The limit that a text breaks.
fn broken(text: &str, bounds: &Bounds) -> Option<String> {
    let error = scan(text.as_bytes(), bounds).err()?;
    let problem = format!("{error:?}");
    let field = problem.split("field: Some(\"").nth(1)?.split('"').next()?;
    Some(format!("{} {field}", error.status().as_u16()))
}

#[test]
fn a_body_at_the_limit_passes_and_one_beyond_does_not() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(broken(&nested(32), &Bounds::AGENT), None);
    assert_eq!(broken(&nested(33), &Bounds::AGENT).as_deref(), Some("422 json_depth"));
    // The array itself is a value too.
    let many = |nodes: usize| format!("[{}]", vec!["1"; nodes - 1].join(","));
    assert_eq!(broken(&many(200_000), &Bounds::AGENT), None);
    assert_eq!(broken(&many(200_001), &Bounds::AGENT).as_deref(), Some("422 json_nodes"));
    let long = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(broken(&long(4096), &Bounds::AGENT), None);
    assert_eq!(broken(&long(4097), &Bounds::AGENT).as_deref(), Some("422 text_bytes"));
    let name = |bytes: usize| format!(r#"{{"{}":1}}"#, "x".repeat(bytes));
    assert_eq!(broken(&name(512), &Bounds::AGENT), None);
    assert_eq!(broken(&name(513), &Bounds::AGENT).as_deref(), Some("422 name_bytes"));
}

#[test]
fn a_string_is_measured_as_it_will_be_held() {
    let escaped = |times: usize| format!(r#"["{}"]"#, r"\u0041".repeat(times));
    assert_eq!(broken(&escaped(4096), &Bounds::AGENT), None);
    assert_eq!(broken(&escaped(4097), &Bounds::AGENT).as_deref(), Some("422 text_bytes"));
    assert_eq!(broken(&format!(r#"["{}"]"#, r"\n".repeat(4096)), &Bounds::AGENT), None);
    assert_eq!(broken(&format!(r#"["{}"]"#, "é".repeat(2049)), &Bounds::AGENT).as_deref(), Some("422 text_bytes"));
}

#[test]
fn nul_is_refused_in_every_form() {
    for text in [r#"["a\u0000"]"#, "[\"a\0\"]", r#"{"\u0000":1}"#] {
        assert_eq!(broken(text, &Bounds::AGENT).as_deref(), Some("422 nul"), "{text:?}");
    }
}

#[test]
fn reserved_names_are_refused_where_they_would_claim_something() {
    for text in [
        r#"{"agent_id":"x"}"#,
        r#"{"seq":1,"actor":{}}"#,
        r#"{"records":[{"seq":1,"asset_id":"x"}]}"#,
        r#"{"a":[{"b":1}],"records":[{},{"actor":"x"}]}"#,
    ] {
        assert!(broken(text, &Bounds::AGENT).is_some_and(|limit| limit.starts_with("400 ")), "{text}");
        assert_eq!(broken(text, &Bounds::WEB), None, "{text}");
    }
    for text in [
        r#"{"records":[{"sections":[{"put":[{"attrs":{"actor":"x"}}]}]}]}"#,
        r#"{"note":"agent_id","list":["actor","asset_id"]}"#,
        r#"{"other":[{"actor":"x"}]}"#,
    ] {
        assert_eq!(broken(text, &Bounds::AGENT), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = scan(&bytes, &Bounds::AGENT);
    }

    #[test]
    fn json_within_bounds_passes(names in proptest::collection::vec("\\PC{0,40}", 0..40)) {
        let text = serde_json::to_string(&names).expect("json");
        prop_assert_eq!(broken(&text, &Bounds::AGENT), None);
    }
}
