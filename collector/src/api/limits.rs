//! The bounds on JSON, counted in one pass over the text before anything is built from it.
//!
//! Knows: depth, number of values, length of strings and names, NUL, reserved names. Does not know whether
//! the text is JSON at all: that is said by the parser afterwards, on a text that can no longer hurt it.

use super::ApiError;
use shared::checkin::RESERVED;
use shared::limit;

/// What one kind of body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Nesting of arrays and objects.
    pub depth: usize,
    /// Values of any kind.
    pub nodes: usize,
    /// Bytes of a string.
    pub text_bytes: usize,
    /// Bytes of an object's name.
    pub name_bytes: usize,
    /// Refuse the reserved names at the top and at the top of each record.
    pub reserved: bool,
}

impl Bounds {
    /// What agents send.
    pub const AGENT: Bounds = Bounds {
        depth: limit::JSON_DEPTH,
        nodes: limit::JSON_NODES,
        text_bytes: limit::TEXT_BYTES,
        name_bytes: limit::NAME_BYTES,
        reserved: true,
    };
    /// What people and tools send: texts of tickets are longer than facts of machines.
    pub const WEB: Bounds = Bounds { text_bytes: 64 * 1024, nodes: 20_000, reserved: false, ..Bounds::AGENT };
    /// What comes to enroll: a token, a request for a certificate, an old certificate.
    pub const ENROLL: Bounds = Bounds { depth: 2, nodes: 32, text_bytes: 8192, ..Bounds::AGENT };
}

/// Checks a text against its bounds.
///
/// # Errors
/// 422 naming the limit; 400 for a reserved name.
pub fn scan(text: &[u8], bounds: &Bounds) -> Result<(), ApiError> {
    let mut scan = Scan { bounds, depth: 0, objects: 0, nodes: 0, expect_name: false, in_records: false };
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'"' => scan.string(&text[at + 1..])?,
            b'{' | b'[' => scan.open(byte == b'{')?,
            b'}' | b']' => scan.close(),
            b',' => scan.comma(),
            b':' | b' ' | b'\t' | b'\n' | b'\r' => 1,
            _ => scan.scalar(&text[at..])?,
        };
    }
    Ok(())
}

struct Scan<'a> {
    bounds: &'a Bounds,
    depth: usize,
    /// One bit per level, the innermost lowest: whether it is an object. Levels beyond 64 are refused.
    objects: u64,
    nodes: usize,
    expect_name: bool,
    in_records: bool,
}

impl Scan<'_> {
    fn node(&mut self) -> Result<(), ApiError> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes {
            return Err(over("json_nodes", format!("more than {} JSON values", self.bounds.nodes)));
        }
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<usize, ApiError> {
        self.node()?;
        self.depth += 1;
        if self.depth > self.bounds.depth.min(64) {
            return Err(over("json_depth", format!("JSON is nested deeper than {}", self.bounds.depth)));
        }
        self.objects = self.objects << 1 | u64::from(object);
        self.expect_name = object;
        Ok(1)
    }

    fn close(&mut self) -> usize {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.expect_name = false;
        1
    }

    fn comma(&mut self) -> usize {
        self.expect_name = self.objects & 1 == 1;
        1
    }

    fn scalar(&mut self, rest: &[u8]) -> Result<usize, ApiError> {
        self.node()?;
        let end = rest.iter().position(|byte| b",:]}[{\" \t\r\n".contains(byte)).unwrap_or(rest.len());
        if end > 64 {
            return Err(over("json_number", "a number of more than 64 characters"));
        }
        Ok(end.max(1))
    }

    /// `rest` starts after the opening quote; tells how much of the text the string takes, with both quotes.
    fn string(&mut self, rest: &[u8]) -> Result<usize, ApiError> {
        let name = std::mem::take(&mut self.expect_name);
        if !name {
            self.node()?;
        }
        let (limit, field) =
            if name { (self.bounds.name_bytes, "name_bytes") } else { (self.bounds.text_bytes, "text_bytes") };
        let mut length = 0;
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            match byte {
                b'"' => break,
                0 => return Err(nul()),
                b'\\' => {
                    let (bytes, taken) = escape(&rest[at..])?;
                    length += bytes;
                    at += taken;
                }
                _ => {
                    length += 1;
                    at += 1;
                }
            }
            if length > limit {
                return Err(over(field, format!("a string of more than {limit} bytes")));
            }
        }
        if name && self.bounds.reserved {
            self.name(rest.get(..at).unwrap_or_default())?;
        }
        Ok(at + 2)
    }

    fn name(&mut self, raw: &[u8]) -> Result<(), ApiError> {
        if self.depth == 1 {
            self.in_records = raw == b"records";
        }
        let top = self.depth == 1 || (self.depth == 3 && self.in_records);
        let reserved = RESERVED.iter().find(|reserved| raw == reserved.as_bytes());
        match reserved {
            Some(name) if top => {
                Err(ApiError::bad(*name, format!("{name} may not be said: who speaks is known from the certificate")))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes that an escape stands for, and bytes that it takes. A half of a surrogate pair counts as two.
fn escape(rest: &[u8]) -> Result<(usize, usize), ApiError> {
    if rest.get(1) != Some(&b'u') {
        return Ok((1, 2));
    }
    let digits = rest.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
    match u32::from_str_radix(digits, 16) {
        Ok(0) => Err(nul()),
        Ok(0x01..=0x7f) => Ok((1, 6)),
        Ok(0x80..=0x7ff | 0xd800..=0xdfff) => Ok((2, 6)),
        _ => Ok((3, 6)),
    }
}

fn nul() -> ApiError {
    over("nul", "a string with NUL")
}

fn over(limit: &str, why: impl Into<String>) -> ApiError {
    ApiError::invalid(limit, why)
}

#[cfg(test)]
mod tests;
