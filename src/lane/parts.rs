//! A batch in parts: what the database does not take is halved, until the poisoned one fails alone.

use super::retry::ATTEMPTS_MAX;

/// What can be halved.
pub trait Part: Sized {
    fn size(&self) -> usize;

    /// What comes first, and the rest.
    fn halves(self) -> (Self, Self);
}

impl<T> Part for Vec<T> {
    fn size(&self) -> usize {
        self.len()
    }

    fn halves(mut self) -> (Self, Self) {
        let rest = self.split_off(self.len() / 2);
        (self, rest)
    }
}

impl<T> Part for &[T] {
    fn size(&self) -> usize {
        self.len()
    }

    fn halves(self) -> (Self, Self) {
        self.split_at(self.len() / 2)
    }
}

/// What is left of a batch.
pub struct Parts<P> {
    /// The next is the last.
    left: Vec<P>,
    attempts: u32,
}

impl<P: Part> Parts<P> {
    pub fn of(batch: P) -> Self {
        Self::of_each(vec![batch])
    }

    /// What is written part by part from the beginning, in this order.
    pub fn of_each(mut parts: Vec<P>) -> Self {
        parts.reverse();
        Self { left: parts, attempts: ATTEMPTS_MAX }
    }

    /// The next in the order of the batch; those from which everything was taken are passed over.
    pub fn pop(&mut self) -> Option<P> {
        while let Some(part) = self.left.pop() {
            if part.size() > 0 {
                return Some(part);
            }
        }
        None
    }

    /// Has a part tried again in halves, in its order. Whatever is left has been tried often enough.
    pub fn halve(&mut self, part: P) {
        self.attempts = 1;
        let (first, rest) = part.halves();
        self.left.extend([rest, first]);
    }

    /// How often a part is tried that may fail in the same way again.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Those that are still to come, in the order of the batch.
    pub fn to_come(&mut self) -> impl Iterator<Item = &mut P> {
        self.left.iter_mut().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poisoned_one_fails_alone_and_the_others_keep_their_order() {
        for poisoned in 0..7_u32 {
            let batch: Vec<u32> = (0..7).collect();
            let mut parts = Parts::of(batch.as_slice());
            assert_eq!(parts.attempts(), ATTEMPTS_MAX);
            let (mut written, mut failed) = (Vec::new(), Vec::new());
            while let Some(part) = parts.pop() {
                match part {
                    [one] if *one == poisoned => failed.push(*one),
                    part if part.contains(&poisoned) => parts.halve(part),
                    part => written.extend_from_slice(part),
                }
            }
            assert_eq!((parts.attempts(), failed), (1, vec![poisoned]));
            assert_eq!(written, (0..7).filter(|number| *number != poisoned).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_still_to_come_can_be_taken_away() {
        let mut parts = Parts::of(vec![0, 1, 2, 3]);
        let whole = parts.pop().unwrap();
        parts.halve(whole);
        assert_eq!(parts.to_come().map(|part| part.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3]]);
        parts.to_come().next().unwrap().clear();
        assert_eq!((parts.pop(), parts.pop()), (Some(vec![2, 3]), None));
    }
}
