//! The vocabulary of the tables: states, moves, what moves need, fields. Words only; what they mean for a ticket
//! the engine says.

use crate::desk::model::{Kind, Rel};

/// How tickets of one kind go from opened to closed.
pub struct Process {
    /// Which kind.
    pub kind: Kind,
    /// Where its tickets start.
    pub initial: &'static str,
    /// Where a ticket starts that is opened with this field at this value.
    pub entries: &'static [Entry],
    /// All states, in the usual order.
    pub states: &'static [State],
    /// All moves. Of several with the same ends the first whose condition holds counts.
    pub moves: &'static [Move],
    /// Where tickets go by themselves after a while.
    pub rests: &'static [Rest],
    /// What its tickets have that others have not.
    pub fields: &'static [Field],
    /// Values of fields that nobody gave.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Impact and urgency that nobody gave.
    pub levels: (u8, u8),
}

/// A place where a ticket can stand.
pub struct State {
    /// Its name.
    pub name: &'static str,
    /// What that means for work on it.
    pub phase: Phase,
}

/// What a state means for work on the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// There is something to do.
    Open,
    /// Nothing to do, but it may come back.
    Done,
    /// It ends here.
    Closed,
}

/// Another start than the usual one.
pub struct Entry {
    /// This field …
    pub field: &'static str,
    /// … with this value …
    pub value: &'static str,
    /// … starts here.
    pub state: &'static str,
}

/// A state in which a ticket stays only for so long. A rule makes the move, which must be in the table.
pub struct Rest {
    /// The state, one in which the work is done.
    pub state: &'static str,
    /// Days since it was done.
    pub days: i64,
    /// Where it goes then.
    pub to: &'static str,
    /// Why, in the words of the timeline.
    pub reason: &'static str,
    /// Where it goes instead if an incident that is linked with it was opened since.
    pub recurred: Option<&'static str>,
}

/// A step from one state to another.
pub struct Move {
    /// From any of these.
    pub from: &'static [&'static str],
    /// To this.
    pub to: &'static str,
    /// Who may.
    pub by: By,
    /// Only while this field has one of these values.
    pub when: Option<(&'static str, &'static [&'static str])>,
    /// What must be there.
    pub needs: &'static [Need],
}

/// Who makes a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A person, or a tool on a person's behalf.
    Person,
    /// One of Muster's own rules.
    Rule,
}

impl Move {
    /// A move that people make.
    pub const fn new(from: &'static [&'static str], to: &'static str, needs: &'static [Need]) -> Move {
        Move { from, to, by: By::Person, when: None, needs }
    }

    /// A move that only rules make.
    pub const fn rule(from: &'static [&'static str], to: &'static str, needs: &'static [Need]) -> Move {
        Move { from, to, by: By::Rule, when: None, needs }
    }

    /// The same, under a condition.
    pub const fn when(self, field: &'static str, values: &'static [&'static str]) -> Move {
        Move { when: Some((field, values)), ..self }
    }
}

/// What a move needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Why, in words.
    Reason,
    /// Somebody who works on it.
    Assignee,
    /// A resolution code, one of these.
    Code(&'static [&'static str]),
    /// A resolution in words.
    Text,
    /// This field.
    Field(&'static str),
    /// `window_start` and a later `window_end`.
    Window,
    /// A link of this kind from the ticket to something.
    LinkTo(Rel),
    /// A link of this kind from something to the ticket.
    LinkFrom(Rel),
    /// A link of this kind from a ticket that was closed with this code.
    ClosedFrom(Rel, &'static str),
    /// It was done at most so many days ago.
    DoneWithin {
        /// How many.
        days: i64,
    },
}

impl Need {
    /// In the words of the API: the field to send, and what it may hold.
    pub fn words(self) -> String {
        match self {
            Need::Reason => "reason".to_owned(),
            Need::Assignee => "assignee".to_owned(),
            Need::Code(codes) => format!("resolution_code: {}", codes.join(" | ")),
            Need::Text => "resolution_text".to_owned(),
            Need::Field(name) => name.to_owned(),
            Need::Window => "window_start and a later window_end".to_owned(),
            Need::LinkTo(rel) => format!("a link from it: {rel}"),
            Need::LinkFrom(rel) => format!("a link to it: {rel}"),
            Need::ClosedFrom(rel, code) => format!("a link to it: {rel}, from a ticket closed as {code}"),
            Need::DoneWithin { days } => format!("done at most {days} days ago"),
        }
    }
}

/// A field that only tickets of one kind have.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
    /// It is forgotten when the ticket leaves this state.
    pub only_in: Option<&'static str>,
    /// Once the ticket is opened, it is edited in these states only.
    pub edited_in: Option<&'static [&'static str]>,
}

impl Field {
    /// A field that stays.
    pub const fn new(name: &'static str, shape: Shape) -> Field {
        Field { name, shape, only_in: None, edited_in: None }
    }

    /// The same, forgotten when the ticket leaves this state.
    pub const fn only_in(self, state: &'static str) -> Field {
        Field { only_in: Some(state), ..self }
    }

    /// The same, edited in these states only.
    pub const fn edited_in(self, states: &'static [&'static str]) -> Field {
        Field { edited_in: Some(states), ..self }
    }
}

/// What a field may hold.
pub enum Shape {
    /// Words.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A moment, RFC 3339: `2026-07-01T22:00:00Z`.
    Time,
}
