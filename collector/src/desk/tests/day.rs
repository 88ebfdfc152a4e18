//! What a day brings at most.

use super::*;

#[test]
fn faults_that_come_and_go_open_only_so_many_incidents_a_day() {
    let mut world = World::new();
    for i in 0..30 {
        world.fault(&format!("/{i}"), FaultState::Raised);
        world.fault(&format!("/{i}"), FaultState::Cleared);
        world.now = world.now.plus_secs(60);
    }
    let of_rule = |world: &World, name: &str| {
        world.known.tickets.values().filter(|ticket| ticket.rule.as_deref() == Some(name)).count()
    };
    assert_eq!((of_rule(&world, "auto_incident"), of_rule(&world, "incident_overflow")), (20, 1));
    world.now = world.now.plus_secs(86_400);
    assert!(world.fault("/30", FaultState::Raised).ticket.is_some(), "it is another day");
}
