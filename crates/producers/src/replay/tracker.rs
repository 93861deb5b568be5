//! How far a replay is *surely* done: up to which position every row was acknowledged.
//!
//! Rows go to several partitions, so acknowledgements come out of order. A position counts as safe only when every row
//! before it was acknowledged or needs no acknowledgement. A row that failed is never acknowledged, so nothing after it
//! becomes safe.

use std::collections::VecDeque;

/// Follows positions and acknowledgements. `P` is a position: the place behind a row.
#[derive(Debug)]
pub(super) struct Tracker<P> {
    /// The tag of the oldest row that waits.
    oldest: u64,
    /// For each row that waits, the position behind it and whether it was acknowledged. The front one never was.
    waiting: VecDeque<(P, bool)>,
    safe: P,
}

impl<P: Copy> Tracker<P> {
    /// A replay that begins at `start`.
    pub(super) fn new(start: P) -> Self {
        Self { oldest: 0, waiting: VecDeque::new(), safe: start }
    }

    /// A row is about to be sent; `position` is behind it. Returns the tag to send it with.
    pub(super) fn sending(&mut self, position: P) -> u64 {
        self.waiting.push_back((position, false));
        self.oldest + self.waiting.len() as u64 - 1
    }

    /// The row announced last was not taken after all.
    pub(super) fn not_taken(&mut self) {
        self.waiting.pop_back();
    }

    /// Rows up to `position` need no acknowledgement: it is as good as the position behind the row before them.
    pub(super) fn passed(&mut self, position: P) {
        match self.waiting.back_mut() {
            Some((last, _)) => *last = position,
            None => self.safe = position,
        }
    }

    /// The row with this tag was acknowledged.
    pub(super) fn acknowledged(&mut self, tag: u64) {
        let index = tag.checked_sub(self.oldest).map(|index| index as usize);
        if let Some((_, acknowledged)) = index.and_then(|index| self.waiting.get_mut(index)) {
            *acknowledged = true;
        }
        while let Some((position, true)) = self.waiting.front() {
            self.safe = *position;
            self.oldest += 1;
            self.waiting.pop_front();
        }
    }

    /// The position before which everything is done.
    pub(super) fn safe(&self) -> P {
        self.safe
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is done to a tracker.
    #[derive(Debug, Clone, Copy)]
    enum Action {
        Send,
        SendInVain,
        Pass,
        /// Acknowledge one of the rows that wait, picked by this number.
        Acknowledge(usize),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let action = prop_oneof![
            4 => Just(Action::Send),
            1 => Just(Action::SendInVain),
            1 => Just(Action::Pass),
            4 => any::<usize>().prop_map(Action::Acknowledge),
        ];
        prop::collection::vec(action, 0..300)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_model(actions in actions()) {
            let mut tracker = Tracker::new(0);
            // The model: every row with its tag and whether it needs no more acknowledgement. Row n ends at position n.
            let mut rows: Vec<(Option<u64>, bool)> = Vec::new();
            for action in actions {
                let position = rows.len() + 1;
                match action {
                    Action::Send => rows.push((Some(tracker.sending(position)), false)),
                    Action::SendInVain => { tracker.sending(position); tracker.not_taken(); }
                    Action::Pass => { tracker.passed(position); rows.push((None, true)); }
                    Action::Acknowledge(pick) => {
                        let mut waiting: Vec<_> = rows.iter_mut().filter(|row| !row.1).collect();
                        if !waiting.is_empty() {
                            let index = pick % waiting.len();
                            waiting[index].1 = true;
                            tracker.acknowledged(waiting[index].0.expect("a row that waits has a tag"));
                        }
                    }
                }
                let safe = rows.iter().take_while(|row| row.1).count();
                prop_assert_eq!(tracker.safe(), safe);
            }
        }
    }

    #[test]
    fn unknown_tags_change_nothing() {
        let mut tracker = Tracker::new('a');
        let tag = tracker.sending('b');
        tracker.acknowledged(tag + 1);
        assert_eq!(tracker.safe(), 'a');
        tracker.acknowledged(tag);
        tracker.acknowledged(tag);
        assert_eq!(tracker.safe(), 'b');
    }
}
