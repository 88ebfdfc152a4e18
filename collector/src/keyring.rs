//! The API tokens in memory, so that a request with one needs no database and a revoked one is dead on the
//! next request. Loaded when the collector starts, kept up to date by what each commit wrote.

use crate::register::model::ApiToken;
use crate::secret::{self, Shown};
use crate::work::Row;
use shared::id::ApiTokenId;
use shared::unit::At;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

/// All API tokens that may still be used, by id.
#[derive(Default)]
pub struct Keyring {
    tokens: RwLock<HashMap<ApiTokenId, ApiToken>>,
}

impl Keyring {
    /// Takes in what the database holds when the collector starts.
    pub fn load(&self, tokens: Vec<ApiToken>) {
        let mut held = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        held.extend(tokens.into_iter().map(|token| (token.id, token)));
    }

    /// Takes over what a commit wrote. Called by the store after the commit and before any answer.
    pub fn committed(&self, rows: &[Row]) {
        for row in rows {
            if let Row::ApiToken(token) = row {
                self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(token.id, token.clone());
            }
        }
    }

    /// The token that was shown, if it is right, not ended, not revoked, and may be used from `from`.
    pub fn check(&self, shown: &Shown, from: IpAddr, now: At) -> Option<ApiToken> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&ApiTokenId(shown.id));
        // The comparison is made also when there is no such token, so that both take the same time.
        let right = secret::same(&shown.hash, &token.map_or([0; 32], |token| token.hash));
        let token = token?;
        let within = token.cidr.as_deref().is_none_or(|cidr| crate::net::within(from, cidr));
        (right && !token.revoked && token.expires > now && within).then(|| token.clone())
    }
}
