//! What people call those whom an event is by and about, at the moment at which it is told: a machine that is
//! renamed, or a token that is revoked, leaves its history readable.
//!
//! What the work knows already is not read again.

use super::engine::{Engine, Error};
use crate::event::{Actor, Subject};
use crate::register::model::{Agent, Asset};
use crate::work::{Known, Row};
use shared::id::{AgentId, ApiTokenId, AssetId, TicketId};

/// What a join token is called: it has no name, and its id says nothing.
const JOIN_TOKEN: &str = "join token";

/// Finds names, after the rows of a work were written.
pub struct Names<'a> {
    /// The writer's connection, inside the transaction.
    pub engine: &'a mut dyn Engine,
    /// What was loaded for the work.
    pub known: &'a Known,
    /// What the work wrote.
    pub rows: &'a [Row],
}

impl Names<'_> {
    /// The name of an actor.
    ///
    /// # Errors
    /// [`Error`].
    pub fn actor(&mut self, actor: &Actor) -> Result<String, Error> {
        match actor {
            Actor::Local(_) | Actor::Rule(_) => Ok(actor.to_string()),
            Actor::Token(id) => self.api_token(*id),
            Actor::Agent(id) => self.agent(*id),
            Actor::Join(_) => Ok(JOIN_TOKEN.to_owned()),
        }
    }

    /// The name of a subject.
    ///
    /// # Errors
    /// [`Error`].
    pub fn subject(&mut self, subject: &Subject) -> Result<String, Error> {
        match subject {
            Subject::Asset(id) => self.asset(*id),
            Subject::Agent(id) => self.agent(*id),
            Subject::Ticket(id) => self.ticket(*id),
            Subject::JoinToken(_) => Ok(JOIN_TOKEN.to_owned()),
            Subject::ApiToken(id) => self.api_token(*id),
        }
    }

    fn asset(&mut self, id: AssetId) -> Result<String, Error> {
        if let Some(asset) = self.held_asset(id) {
            return Ok(asset.title().to_owned());
        }
        let asset = super::table::asset::by_id(self.engine, id)?;
        Ok(asset.map_or_else(|| "an asset".to_owned(), |asset| asset.title().to_owned()))
    }

    fn held_asset(&self, id: AssetId) -> Option<&Asset> {
        let written = self.rows.iter().rev().find_map(|row| match row {
            Row::Asset(asset) if asset.id == id => Some(&**asset),
            _ => None,
        });
        let known = self.known;
        let own = known.own.iter().chain(&known.candidates).map(|candidate| &candidate.asset);
        written.or_else(|| own.chain(known.assets.values()).find(|asset| asset.id == id))
    }

    /// The host that an agent speaks for; before it does, the name under which it enrolled.
    fn agent(&mut self, id: AgentId) -> Result<String, Error> {
        let Some(agent) = self.held_agent(id) else {
            let Some(agent) = super::table::agent::by_id(self.engine, id)? else { return Ok("an agent".to_owned()) };
            let asset = match agent.asset {
                Some(asset) => super::table::asset::by_id(self.engine, asset)?,
                None => None,
            };
            return Ok(asset.and_then(|asset| asset.observed.name).unwrap_or(agent.name));
        };
        let (asset, name) = (agent.asset, agent.name.clone());
        match asset {
            Some(asset) => self.asset(asset),
            None => Ok(name),
        }
    }

    fn held_agent(&self, id: AgentId) -> Option<&Agent> {
        let written = self.rows.iter().rev().find_map(|row| match row {
            Row::Agent(agent) if agent.id == id => Some(&**agent),
            _ => None,
        });
        written.or_else(|| self.known.agent.as_ref().filter(|agent| agent.id == id))
    }

    fn ticket(&mut self, id: TicketId) -> Result<String, Error> {
        let written = self.rows.iter().rev().find_map(|row| match row {
            Row::Ticket(ticket) if ticket.id == id => Some(&**ticket),
            _ => None,
        });
        if let Some(ticket) = written.or_else(|| self.known.tickets.get(&id)) {
            return Ok(ticket.key());
        }
        let ticket = super::table::desk::ticket(self.engine, id)?;
        Ok(ticket.map_or_else(|| "a ticket".to_owned(), |ticket| ticket.key()))
    }

    fn api_token(&mut self, id: ApiTokenId) -> Result<String, Error> {
        let written = self.rows.iter().find_map(|row| match row {
            Row::ApiToken(token) if token.id == id => Some(token.name.clone()),
            _ => None,
        });
        if let Some(name) = written {
            return Ok(name);
        }
        let token = super::table::token::api(self.engine, id)?;
        Ok(token.map(|token| token.name).unwrap_or_else(|| "an API token".to_owned()))
    }
}
