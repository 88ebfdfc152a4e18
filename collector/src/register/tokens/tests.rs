//! Tokens are made within their bounds, told without secrets, and ended once.

use super::super::testing::World;
use super::*;
use crate::work::Act;
use shared::id::{ApiTokenId, JoinTokenId};
use shared::unit::At;
use std::collections::BTreeMap;
use uuid::Uuid;

fn join(now: At) -> JoinToken {
    JoinToken {
        id: JoinTokenId(Uuid::from_u128(1)),
        rev: 1,
        hash: [0xab; 32],
        created: now,
        creator: "local:0".into(),
        expires: now.plus_secs(3600),
        uses: 10,
        used: 0,
        cidr: Some("192.0.2.0/24".into()),
        approve: true,
        labels: BTreeMap::from([("site".into(), "Zürich".into())]),
        revoked: false,
    }
}

fn api(now: At) -> ApiToken {
    ApiToken {
        id: ApiTokenId(Uuid::from_u128(2)),
        rev: 1,
        hash: [0xcd; 32],
        name: "cmdb".into(),
        scopes: vec!["assets:read".into()],
        created: now,
        creator: "local:0".into(),
        expires: now.plus_secs(API_S),
        cidr: None,
        revoked: false,
    }
}

fn field(result: Result<Reply, Refusal>) -> String {
    match result {
        Err(Refusal::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_join_token_is_kept_and_told_without_its_hash() {
    let mut world = World::new();
    let token = join(world.now);
    world.act(Act::CreateJoinToken { token: Box::new(token.clone()) }).expect("made");
    assert_eq!(world.join_tokens[&token.id], token);
    let told = world.told();
    let expected = Event::JoinTokenCreated {
        uses: 10,
        expires: token.expires,
        cidr: token.cidr.clone(),
        approve: true,
        labels: token.labels.clone(),
    };
    assert_eq!(told, [expected]);
    assert!(!serde_json::to_string(&told).expect("json").contains("171"), "0xab is 171");
}

#[test]
fn a_join_token_out_of_its_bounds_is_refused_by_name() {
    let mut world = World::new();
    let good = join(world.now);
    let mut refused = |token: JoinToken| field(world.act(Act::CreateJoinToken { token: Box::new(token) }));
    let labels = |count: usize, value: &str| (0..count).map(|n| (format!("l{n}"), value.to_owned())).collect();
    assert_eq!(refused(JoinToken { uses: 0, ..good.clone() }), "uses");
    assert_eq!(refused(JoinToken { uses: USES + 1, ..good.clone() }), "uses");
    assert_eq!(refused(JoinToken { expires: good.created.plus_secs(JOIN_S + 1), ..good.clone() }), "ttl_s");
    for cidr in ["", "192.0.2.0/33", "2001:db8::/129", "any"] {
        assert_eq!(refused(JoinToken { cidr: Some(cidr.into()), ..good.clone() }), "cidr", "{cidr:?}");
    }
    for wrong in [labels(LABELS + 1, "x"), labels(1, ""), labels(1, "a\nb"), labels(1, &"x".repeat(NAME_BYTES + 1))] {
        assert_eq!(refused(JoinToken { labels: wrong, ..good.clone() }), "labels");
    }
    assert!(world.journal.is_empty() && world.join_tokens.is_empty(), "nothing of it is kept");
    let most = JoinToken {
        uses: USES,
        expires: good.created.plus_secs(JOIN_S),
        labels: labels(LABELS, &"x".repeat(NAME_BYTES)),
        ..good
    };
    world.act(Act::CreateJoinToken { token: Box::new(most) }).expect("just within");
}

#[test]
fn an_api_token_out_of_its_bounds_is_refused_by_name() {
    let mut world = World::new();
    let good = api(world.now);
    let mut refused = |token: ApiToken| field(world.act(Act::CreateApiToken { token: Box::new(token) }));
    for name in ["", "a\u{1b}[2J", &"x".repeat(NAME_BYTES + 1)] {
        assert_eq!(refused(ApiToken { name: name.into(), ..good.clone() }), "name", "{name:?}");
    }
    assert_eq!(refused(ApiToken { scopes: vec![], ..good.clone() }), "scopes");
    assert_eq!(refused(ApiToken { expires: good.created.plus_secs(API_S + 1), ..good.clone() }), "ttl_s");
    assert_eq!(refused(ApiToken { cidr: Some("10.0.0.0/8/8".into()), ..good.clone() }), "cidr");
    assert!(world.journal.is_empty() && world.api_tokens.is_empty(), "nothing of it is kept");
    world.act(Act::CreateApiToken { token: Box::new(good.clone()) }).expect("a year");
    let told = Event::ApiTokenCreated { name: good.name, scopes: good.scopes, expires: good.expires };
    assert_eq!(world.told(), [told]);
}

#[test]
fn tokens_end_once_and_only_those_that_are_there() {
    let mut world = World::new();
    let (join, api) = (join(world.now), api(world.now));
    world.act(Act::CreateJoinToken { token: Box::new(join.clone()) }).expect("made");
    world.act(Act::CreateApiToken { token: Box::new(api.clone()) }).expect("made");
    world.told();
    for _ in 0..2 {
        world.act(Act::RevokeJoinToken { token: join.id }).expect("ended");
        world.act(Act::RevokeApiToken { token: api.id }).expect("ended");
    }
    assert_eq!(world.told(), [Event::JoinTokenRevoked {}, Event::ApiTokenRevoked { name: "cmdb".into() }]);
    assert_eq!(world.join_tokens[&join.id], JoinToken { rev: 2, revoked: true, ..join });
    assert_eq!(world.api_tokens[&api.id], ApiToken { rev: 2, revoked: true, ..api });
    let nobody = Uuid::from_u128(9);
    for act in [Act::RevokeJoinToken { token: JoinTokenId(nobody) }, Act::RevokeApiToken { token: ApiTokenId(nobody) }]
    {
        assert!(matches!(world.act(act), Err(Refusal::NotFound(_))));
    }
}
