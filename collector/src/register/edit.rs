//! What people declare of an asset.

use super::model::{Asset, Declared};
use crate::event::{Actor, Changed, Event, Subject};
use crate::work::{AssetEdit, Context, Decision, Refusal, Reply, Row};
use shared::fact::Value;

/// Bytes of a declared text.
const TEXT_BYTES: usize = 512;

/// Changes declared columns.
///
/// # Errors
/// The caller's copy is old, or a value is out of its bounds.
pub fn edit(
    actor: &Actor,
    asset: &Asset,
    rev: Option<u64>,
    edit: &AssetEdit,
    context: &Context,
) -> Result<Decision, Refusal> {
    if rev.is_some_and(|rev| rev != asset.rev) {
        return Err(Refusal::Stale { what: format!("asset {}", asset.id), rev: asset.rev });
    }
    let declared = edit.over(&asset.declared);
    for (field, text) in [("tag", &declared.tag), ("owner", &declared.owner), ("location", &declared.location)] {
        if text
            .as_ref()
            .is_some_and(|text| text.trim().is_empty() || text.len() > TEXT_BYTES || text.chars().any(char::is_control))
        {
            return Err(Refusal::invalid(
                field,
                format!("1 to {TEXT_BYTES} bytes without control characters, or null"),
            ));
        }
    }
    if declared.criticality.is_some_and(|criticality| !(1..=4).contains(&criticality)) {
        return Err(Refusal::invalid("criticality", "1 (most critical) to 4, or null"));
    }
    let changed = changes(&asset.declared, &declared);
    if changed.is_empty() {
        return Ok(Decision::new(Reply::Asset(Box::new(asset.clone()))));
    }
    let next = Asset { rev: asset.rev + 1, updated: context.now, declared, ..asset.clone() };
    let mut decision = Decision::new(Reply::Asset(Box::new(next.clone())));
    decision.tell(actor, [Subject::Asset(asset.id)], Event::AssetEdited { changed });
    decision.keep(Row::Asset(Box::new(next)));
    Ok(decision)
}

fn changes(old: &Declared, new: &Declared) -> Vec<Changed> {
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let number = |number: Option<u8>| number.map(|number| Value::Int(i64::from(number)));
    [
        ("tag", text(&old.tag), text(&new.tag)),
        ("owner", text(&old.owner), text(&new.owner)),
        ("location", text(&old.location), text(&new.location)),
        ("criticality", number(old.criticality), number(new.criticality)),
    ]
    .into_iter()
    .filter(|(_, from, to)| from != to)
    .map(|(field, from, to)| Changed { field: field.to_owned(), from, to })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::event::Event;
    use crate::work::{Act, AssetEdit, Refusal};

    #[test]
    fn declared_columns_are_checked_and_told() {
        let mut world = World::new();
        let mut machine = laptop(world.enrolled("host-1"), 1);
        machine.settle(&mut world);
        world.told();
        let asset = world.asset_of(machine.agent);
        let mut edit = |rev, edit| world.act(Act::EditAsset { asset, rev, edit });
        let owner = AssetEdit { owner: Some(Some("ann".into())), criticality: Some(Some(2)), ..AssetEdit::default() };
        assert!(matches!(edit(Some(7), owner.clone()), Err(Refusal::Stale { rev: 1, .. })));
        for bad in [
            AssetEdit { tag: Some(Some("a\nb".into())), ..AssetEdit::default() },
            AssetEdit { tag: Some(Some("x".repeat(513))), ..AssetEdit::default() },
            AssetEdit { criticality: Some(Some(5)), ..AssetEdit::default() },
        ] {
            assert!(matches!(edit(None, bad), Err(Refusal::Invalid { .. })));
        }
        edit(Some(1), owner.clone()).expect("edited");
        // The same again changes nothing and is not told.
        edit(Some(2), owner).expect("as it was");
        let told = world.told();
        let [Event::AssetEdited { changed }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(changed.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["owner", "criticality"]);
        assert_eq!((world.assets[&asset].rev, world.assets[&asset].declared.criticality), (2, Some(2)));
    }
}
