//! Nobody gives more than they have, and what is out of bounds is named.

use super::*;
use shared::id::ApiTokenId;
use shared::unit::At;
use uuid::Uuid;

const NOW: At = At(1_000_000_000_000);

fn token(number: u128, scopes: &[&str], cidr: Option<&str>, ttl_s: i64) -> ApiToken {
    ApiToken {
        id: ApiTokenId(Uuid::from_u128(number)),
        rev: 1,
        hash: [0; 32],
        name: "a tool".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        created: NOW,
        creator: "local:0".into(),
        expires: NOW.plus_secs(ttl_s),
        cidr: cidr.map(str::to_owned),
        revoked: false,
    }
}

fn made(maker: &ApiToken, token: &ApiToken) -> Result<(), String> {
    match create_api(&Actor::Token(maker.id), token, Some(maker)) {
        Ok(_) => Ok(()),
        Err(Refusal::Beyond { field, .. }) => Err(field),
        Err(other) => panic!("another refusal: {other}"),
    }
}

#[test]
fn a_token_never_makes_a_broader_one() {
    let maker = token(1, &["users:admin", "assets:read"], Some("192.0.2.0/24"), 3600);
    let new = |scopes: &[&str], cidr, ttl_s| made(&maker, &token(2, scopes, cidr, ttl_s));
    assert_eq!(new(&["assets:read"], Some("192.0.2.0/24"), 3600), Ok(()));
    assert_eq!(new(&["users:admin"], Some("192.0.2.7"), 1), Ok(()));
    assert_eq!(new(&["assets:read", "assets:write"], Some("192.0.2.0/24"), 60), Err("scopes".into()));
    for cidr in [None, Some("192.0.0.0/16"), Some("0.0.0.0/0"), Some("198.51.100.0/24"), Some("::/0")] {
        assert_eq!(new(&["assets:read"], cidr, 60), Err("cidr".into()), "{cidr:?}");
    }
    assert_eq!(new(&["assets:read"], Some("192.0.2.0/24"), 3601), Err("ttl_s".into()));
    // One without a network may give any.
    let free = ApiToken { cidr: None, ..maker.clone() };
    assert_eq!(made(&free, &token(2, &["assets:read"], Some("0.0.0.0/0"), 60)), Ok(()));
    // One that was revoked meanwhile, or is not there, gives nothing; the admin socket gives all.
    let revoked = ApiToken { revoked: true, ..maker.clone() };
    let wide = token(2, &["agents:revoke"], None, API_S);
    for maker in [None, Some(&revoked)] {
        let refused = create_api(&Actor::Token(revoked.id), &wide, maker);
        assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");
    }
    assert!(create_api(&Actor::Local(0), &wide, None).is_ok());
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let field = |token: &ApiToken| match create_api(&Actor::Local(0), token, None) {
        Err(Refusal::Invalid { field, why }) => format!("{field}: {why}"),
        other => panic!("not refused: {other:?}"),
    };
    let scopes = ["assets:read"];
    assert_eq!(field(&token(1, &scopes, None, 0)), "ttl_s: 1 to 31622400 seconds (366 days)");
    assert_eq!(field(&token(1, &scopes, None, API_S + 1)), "ttl_s: 1 to 31622400 seconds (366 days)");
    let twice = token(1, &["assets:read", "audit:read", "assets:read"], None, 60);
    assert_eq!(field(&twice), "scopes: assets:read stands there twice; name each scope once");
    assert!(field(&token(1, &[], None, 60)).starts_with("scopes: "));
    assert!(field(&token(1, &scopes, Some("192.0.2.0/33"), 60)).starts_with("cidr: "));
}
