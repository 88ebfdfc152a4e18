//! The words of a rotation of the certificate authority: its steps, its phases, and what a rule must know of one. Which
//! keys and files it is about is not known here.

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next roots are made and handed out; nothing is signed by them yet.
    Prepare,
    /// The next roots are taken back before they ever signed, and their keys are destroyed.
    Abandon,
    /// The next roots sign from now on; those before are still trusted.
    Activate,
    /// The roots before are trusted no more, and their keys are destroyed.
    Retire,
}

impl Step {
    /// Its name, in paths and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Step::Prepare => "prepare",
            Step::Abandon => "abandon",
            Step::Activate => "activate",
            Step::Retire => "retire",
        }
    }

    /// The only phase in which it is taken.
    pub fn starts(self) -> Phase {
        match self {
            Step::Prepare => Phase::Settled,
            Step::Abandon | Step::Activate => Phase::Prepared,
            Step::Retire => Phase::Activated,
        }
    }
}

/// Where a rotation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// None is under way.
    Settled,
    /// The next roots are handed out.
    Prepared,
    /// They sign; the old ones are still trusted.
    Activated,
}

impl Phase {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Settled => "settled",
            Phase::Prepared => "prepared",
            Phase::Activated => "activated",
        }
    }

    /// The step that leads on.
    pub fn following(self) -> Step {
        match self {
            Phase::Settled => Step::Prepare,
            Phase::Prepared => Step::Activate,
            Phase::Activated => Step::Retire,
        }
    }
}

/// Whom a step would lock out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Agents that may speak and have the roots that the step relies on.
    pub ready: u64,
    /// Those that have not, and whose certificate is good: they would be locked out.
    pub behind: u64,
    /// The first of those by name.
    pub names: Vec<String>,
    /// Seconds in which those that run have the roots.
    pub wait_s: u32,
}

/// What is on the disk once a step was written: it counts when it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The number of the step.
    pub revision: u16,
    /// SHA-256 of the server CA that the step is about, hexadecimal: the next one where there is one, else the one
    /// that signs.
    pub server: String,
    /// The same of the agent CA.
    pub agents: String,
}

/// A step that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Which.
    pub step: Step,
    /// Where the rotation stands before it.
    pub phase: Phase,
    /// Also where agents are locked out by it.
    pub force: bool,
    /// Whom it would lock out.
    pub standing: Standing,
    /// What was written for it; none where it was refused before that.
    pub written: Option<Written>,
}
