//! Conditions as the API writes them: with generation and time.

use fairway_api::meta::Time;
use fairway_api::status::{Condition as Written, ConditionStatus};

use crate::verdict::{Condition, Conditions, Holds, Verdict};

/// What every condition of one object is stamped with.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) generation: i64,
    pub(super) now: Time,
}

/// The API's limit on a message.
const MAX_MESSAGE: usize = 32_768;

impl Stamp {
    /// Writes conditions. A time is kept unless the status changes; conditions of a type that we never
    /// write belong to somebody else and stay.
    pub(super) fn write(self, said: &Conditions, before: &[Written]) -> Vec<Written> {
        let mut written: Vec<Written> =
            said.iter().map(|verdict| self.one(verdict, before)).collect();
        written.extend(before.iter().filter(|known| !is_ours(&known.kind)).cloned());
        written
    }

    /// Says whether these conditions stand there already, in order and nothing of ours behind them.
    pub(super) fn is_written(self, said: &Conditions, before: &[Written]) -> bool {
        let mut known = before.iter();
        let same = |verdict: &Verdict| {
            let (condition, holds) = verdict.reason.condition();
            known.next().is_some_and(|known| {
                known.kind == condition.name()
                    && known.status.as_str() == holds.name()
                    && known.reason == verdict.reason.word()
                    && known.message == *verdict.message
                    && known.observed_generation == Some(self.generation)
            })
        };
        said.iter().all(same) && !known.any(|left| is_ours(&left.kind))
    }

    fn one(self, verdict: &Verdict, before: &[Written]) -> Written {
        let (condition, holds) = verdict.reason.condition();
        let status = match holds {
            Holds::True => ConditionStatus::True,
            Holds::False => ConditionStatus::False,
            Holds::Unknown => ConditionStatus::Unknown,
        };
        let known = before.iter().find(|k| k.kind == condition.name() && k.status == status);
        let message: String = if verdict.message.len() > MAX_MESSAGE {
            verdict.message.chars().take(MAX_MESSAGE / 4).collect()
        } else {
            verdict.message.as_ref().to_owned()
        };
        Written {
            kind: condition.name().to_owned(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: known.map_or(self.now, |known| known.last_transition_time),
            reason: verdict.reason.word().to_owned(),
            message,
        }
    }
}

fn is_ours(kind: &str) -> bool {
    Condition::ALL.iter().any(|condition| condition.name() == kind)
}
