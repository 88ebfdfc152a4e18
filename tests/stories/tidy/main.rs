//! The house's laws, checked on its own source: who may import whom, what SQL may say, how long a file
//! may be, what may not be left lying about. A law that is only remembered is broken once.

mod laws;
mod paths;
mod sources;
mod sql;
mod text;

/// Fails with every breach at once, each as `file:line: law`.
fn assert_none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn nobody_imports_what_they_must_not_know() {
    assert_none(sources::rust().iter().flat_map(laws::breaches).collect());
}

#[test]
fn sql_keeps_to_what_both_engines_understand() {
    assert_none(
        sources::rust().iter().flat_map(sql::in_rust).chain(sources::sql().iter().flat_map(sql::in_file)).collect(),
    );
}

#[test]
fn nothing_is_left_lying_about() {
    assert_none(sources::rust().iter().flat_map(text::breaches).collect());
}

#[test]
fn the_top_level_is_the_one_that_was_agreed() {
    assert_none(sources::top_level_breaches());
}
