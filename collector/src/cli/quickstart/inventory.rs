//! What the API says of the agent's machine.

use crate::cli::Session;
use crate::cli::exit::Failure;
use serde_json::Value;
use shared::unit::At;
use std::time::Duration;

/// How often is asked.
const EVERY: Duration = Duration::from_millis(500);

/// An inventory that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The asset's id.
    pub(super) asset: String,
    /// Its name, or its id where it has none.
    pub(super) name: String,
    /// Sections that were seen.
    pub(super) sections: usize,
    /// Rows in them.
    pub(super) rows: u64,
}

/// Asks until the machine of this agent has an inventory, the agent was heard since then, and nothing more
/// came between two looks.
pub(super) async fn first(session: &Session, agent: &str, since: At) -> Result<Found, Failure> {
    let mut before = None;
    loop {
        let now = look(session, agent, since).await?;
        match now {
            Some(found) if before.as_ref() == Some(&found) => return Ok(found),
            now => before = now,
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(session: &Session, agent: &str, since: At) -> Result<Option<Found>, Failure> {
    let agent = session.client.get(&format!("/v1/agents/{agent}"), &[]).await?.body;
    let Some(asset) = heard(&agent, since) else { return Ok(None) };
    let asset = session.client.get(&format!("/v1/assets/{asset}"), &[]).await?.body;
    Ok(inventory(&asset))
}

/// The asset of an agent that was heard since then.
fn heard(agent: &Value, since: At) -> Option<&str> {
    agent.get("last_seen")?.as_i64().filter(|&seen| seen >= since.0)?;
    agent.get("asset")?.as_str()
}

fn inventory(asset: &Value) -> Option<Found> {
    let id = asset.get("id")?.as_str()?;
    let sections = asset.get("sections")?.as_array().filter(|sections| !sections.is_empty())?;
    let rows = sections.iter().filter_map(|section| section.get("rows")?.as_u64()).sum();
    let name = asset.get("name").and_then(Value::as_str).unwrap_or(id);
    Some(Found { asset: id.to_owned(), name: name.to_owned(), sections: sections.len(), rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_agent_counts_when_it_spoke_since_then_and_has_an_asset() {
        assert_eq!(heard(&json!({"last_seen": 7, "asset": "a"}), At(7)), Some("a"));
        assert_eq!(heard(&json!({"last_seen": 6, "asset": "a"}), At(7)), None);
        assert_eq!(heard(&json!({"last_seen": 7, "asset": null}), At(7)), None);
        assert_eq!(heard(&json!({"last_seen": null}), At(7)), None);
    }

    #[test]
    fn an_inventory_is_sections_with_rows() {
        assert_eq!(inventory(&json!({"id": "a", "sections": []})), None);
        let asset = json!({"id": "a", "name": "host", "sections": [{"rows": 2}, {"rows": 40}, {"name": "failed"}]});
        let found = Found { asset: "a".into(), name: "host".into(), sections: 3, rows: 42 };
        assert_eq!(inventory(&asset), Some(found));
    }
}
