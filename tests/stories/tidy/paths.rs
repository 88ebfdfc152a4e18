//! Every path that a Rust file names: in `use` trees, in expressions, types and macros.
//!
//! Works on tokens, so that comments and strings do not count and macros do. Paths that begin with `self`
//! or `super` are resolved against the file's own module.

use proc_macro2::{TokenStream, TokenTree};

/// One path with the line it stands on.
pub struct Named {
    /// Its segments: `crate`, `store`, `Store`; or an external crate first.
    pub segments: Vec<String>,
    /// Line, from 1.
    pub line: usize,
}

/// All paths of two and more segments in a file. `module` is the file's own module path within its crate.
pub fn all(text: &str, module: &[String]) -> Result<Vec<Named>, String> {
    let tokens: TokenStream = text.parse().map_err(|e| format!("does not lex: {e}"))?;
    let mut found = Vec::new();
    collect(tokens, &[], &mut found);
    for named in &mut found {
        named.segments = resolve(std::mem::take(&mut named.segments), module);
    }
    Ok(found)
}

fn collect(tokens: TokenStream, prefix: &[String], found: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Ident(_) => i = path(&tokens, i, prefix, found),
            TokenTree::Group(group) => {
                // A group that does not follow `::` starts afresh, but for the inside of a `use` tree.
                collect(group.stream(), prefix, found);
                i += 1;
            }
            _ => i += 1,
        }
    }
}

/// Reads one path from `i` on; returns where to go on.
fn path(tokens: &[TokenTree], mut i: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    while let Some(TokenTree::Ident(ident)) = tokens.get(i) {
        if line == 0 {
            line = ident.span().start().line;
        }
        segments.push(ident.to_string().trim_start_matches("r#").to_owned());
        if !(is_colon(tokens.get(i + 1)) && is_colon(tokens.get(i + 2))) {
            i += 1;
            break;
        }
        i += 3;
        if let Some(TokenTree::Group(group)) = tokens.get(i) {
            collect(group.stream(), &segments, found);
            return i + 1;
        }
    }
    if segments.len() > 1 {
        found.push(Named { segments, line });
    }
    i
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

fn resolve(segments: Vec<String>, module: &[String]) -> Vec<String> {
    let supers = segments.iter().take_while(|s| *s == "super").count();
    let skip = supers + usize::from(supers == 0 && segments[0] == "self");
    if skip == 0 {
        return segments;
    }
    let kept = module.len().saturating_sub(supers);
    let own = module[..kept].iter().cloned();
    std::iter::once("crate".to_owned()).chain(own).chain(segments[skip..].iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let module = ["a".to_owned(), "b".to_owned()];
        all(text, &module).expect("lexes").into_iter().map(|named| named.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        assert_eq!(of("use crate::{x::y, z::{self, w}};"), ["crate::x::y", "crate::z::self", "crate::z::w"]);
    }

    #[test]
    fn super_and_self_are_resolved() {
        assert_eq!(of("use super::c; fn f() { self::d::e() }"), ["crate::a::c", "crate::a::b::d::e"]);
    }

    #[test]
    fn comments_and_strings_do_not_count_and_macros_do() {
        assert_eq!(of("// std::fs\nfn f() { m!(\"std::net\", std::fs::read) }"), ["std::fs::read"]);
    }
}
