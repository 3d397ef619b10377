//! A queue in which everybody has a line of their own, and the lines take turns.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits, by whose it is. Everybody's own comes out in its order; of several, one at a time, in turn. Each operation takes
/// the same time, however many wait.
///
/// Nobody holds more places than they leave free: one alone fills half of the queue, two fill a third each, and whoever has
/// nothing in it gets in. The places of what takes turns may be fewer for a while.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    lines: HashMap<K, Line<T>>,
    /// Whose turn it is. Every line that is not aside and holds anything is named once; others may still be.
    turns: VecDeque<K>,
    /// How many wait in all lines.
    waiting: usize,
    /// How many wait in lines that are not aside.
    ready: usize,
    places: usize,
    /// Of what takes turns, so many may wait now.
    ready_max: usize,
}

#[derive(Debug)]
struct Line<T> {
    items: VecDeque<T>,
    is_aside: bool,
    has_turn: bool,
}

impl<T> Line<T> {
    const fn new() -> Self {
        Self { items: VecDeque::new(), is_aside: false, has_turn: false }
    }
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    /// With so many places, at least one.
    pub fn new(places: usize) -> Self {
        let (places, lines, turns) = (places.max(1), HashMap::new(), VecDeque::new());
        Self { lines, turns, waiting: 0, ready: 0, places, ready_max: places }
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many could be taken now.
    pub const fn ready(&self) -> usize {
        self.ready
    }

    /// From now on so many lines' items may wait for their turns, at least one; what waits already stays. What is aside waits for
    /// something else.
    pub fn limit_ready(&mut self, ready_max: usize) {
        self.ready_max = ready_max.max(1);
    }

    /// Whether one more of its line has a place.
    pub fn has_place(&self, whose: K) -> bool {
        let (held, is_aside) =
            self.lines.get(&whose).map_or((0, false), |line| (line.items.len(), line.is_aside));
        let ready_free = if is_aside { usize::MAX } else { self.ready_max.saturating_sub(self.ready) };
        held < self.places.saturating_sub(self.waiting).min(ready_free)
    }

    /// Goes to the end of its line, or comes back where there is no place for it.
    pub fn push(&mut self, whose: K, item: T) -> Result<(), T> {
        if !self.has_place(whose) {
            return Err(item);
        }
        let line = self.lines.entry(whose).or_insert_with(Line::new);
        line.items.push_back(item);
        self.waiting = self.waiting.saturating_add(1);
        if !line.is_aside {
            self.ready = self.ready.saturating_add(1);
            if !std::mem::replace(&mut line.has_turn, true) {
                self.turns.push_back(whose);
            }
        }
        Ok(())
    }

    /// The first of the line whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        while let Some(whose) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&whose) else { continue };
            line.has_turn = false;
            if line.is_aside {
                continue;
            }
            let item = line.items.pop_front();
            if line.items.is_empty() {
                self.lines.remove(&whose);
            } else {
                line.has_turn = true;
                self.turns.push_back(whose);
            }
            if item.is_some() {
                self.waiting = self.waiting.saturating_sub(1);
                self.ready = self.ready.saturating_sub(1);
                return item;
            }
        }
        None
    }

    /// Takes a line out of the turns; what had been taken of it comes to its front again, in its order.
    pub fn set_aside(&mut self, whose: K, taken: Vec<T>) {
        let line = self.lines.entry(whose).or_insert_with(Line::new);
        if !std::mem::replace(&mut line.is_aside, true) {
            self.ready = self.ready.saturating_sub(line.items.len());
        }
        self.waiting = self.waiting.saturating_add(taken.len());
        taken.into_iter().rev().for_each(|item| line.items.push_front(item));
    }

    /// The first of a line that is aside, if it is as it has to be.
    pub fn pop_aside_if(&mut self, whose: K, is_so: impl FnOnce(&T) -> bool) -> Option<T> {
        let line = self.lines.get_mut(&whose).filter(|line| line.is_aside)?;
        line.items.front().filter(|item| is_so(item))?;
        let item = line.items.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        Some(item)
    }

    /// Has a line take turns again.
    pub fn resume(&mut self, whose: K) {
        let Some(line) = self.lines.get_mut(&whose) else { return };
        if !std::mem::replace(&mut line.is_aside, false) {
            return;
        }
        self.ready = self.ready.saturating_add(line.items.len());
        if line.items.is_empty() {
            if !line.has_turn {
                self.lines.remove(&whose);
            }
        } else if !std::mem::replace(&mut line.has_turn, true) {
            self.turns.push_back(whose);
        }
    }

    /// Empties it, lines that are aside as well.
    pub fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        (self.waiting, self.ready) = (0, 0);
        self.lines.drain().flat_map(|(_, line)| line.items).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn popped(queue: &mut FairQueue<u8, u32>, count: usize) -> Vec<u32> {
        (0..count).map_while(|_| queue.pop()).collect()
    }

    #[test]
    fn lines_take_turns_and_each_keeps_its_order() {
        let mut queue = FairQueue::new(100);
        for number in 0..6 {
            queue.push(1, 100 + number).unwrap();
        }
        queue.push(2, 200).unwrap();
        queue.push(2, 201).unwrap();
        queue.push(3, 300).unwrap();
        assert_eq!(popped(&mut queue, 9), [100, 200, 300, 101, 201, 102, 103, 104, 105]);
        assert!(queue.is_empty() && queue.lines.is_empty() && queue.turns.is_empty(), "nothing is kept");
    }

    #[test]
    fn nobody_holds_more_places_than_they_leave_free() {
        let mut queue = FairQueue::new(12);
        let mut fill = |whose| (0..12).filter(|number| queue.push(whose, *number).is_ok()).count();
        assert_eq!([fill(1), fill(2), fill(3), fill(4)], [6, 3, 2, 1]);
        assert_eq!(queue.push(5, 0), Err(0), "it is full");
        let mut least = FairQueue::new(1);
        assert_eq!((least.push(1, 0), least.push(2, 1)), (Ok(()), Err(1)));
    }

    #[test]
    fn fewer_places_are_shared_out_alike_and_those_of_lines_aside_are_not_among_them() {
        let mut queue = FairQueue::new(100);
        queue.limit_ready(12);
        let mut fill = |whose| (0..12).filter(|number| queue.push(whose, *number).is_ok()).count();
        assert_eq!([fill(1), fill(2), fill(3), fill(4)], [6, 3, 2, 1]);
        queue.set_aside(1, Vec::new());
        assert_eq!(queue.push(1, 12), Ok(()), "it does not wait for the lane");
        assert_eq!((queue.push(5, 0), queue.ready()), (Ok(()), 7));
        queue.limit_ready(5);
        assert_eq!((queue.push(6, 0), popped(&mut queue, 9).len()), (Err(0), 7), "what waits stays");
        assert_eq!(queue.push(6, 0), Ok(()));
    }

    #[test]
    fn a_line_that_is_aside_waits_and_comes_back_in_its_order() {
        let mut queue = FairQueue::new(100);
        for number in 0..4 {
            queue.push(1, number).unwrap();
        }
        queue.push(2, 200).unwrap();
        let taken = popped(&mut queue, 3);
        assert_eq!(taken, [0, 200, 1]);
        queue.set_aside(1, vec![0, 1]);
        queue.push(1, 4).unwrap();
        assert_eq!((queue.ready(), queue.pop(), queue.is_empty()), (0, None, false));
        assert_eq!(queue.pop_aside_if(1, |number| *number > 0), None);
        assert_eq!(queue.pop_aside_if(1, |number| *number == 0), Some(0));
        queue.set_aside(1, vec![0]);
        queue.resume(1);
        assert_eq!(queue.pop_aside_if(1, |_| true), None, "it is not aside any more");
        assert_eq!((queue.ready(), popped(&mut queue, 9)), (5, vec![0, 1, 2, 3, 4]));
        assert!(queue.lines.is_empty() && queue.turns.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Op {
        Push(u8),
        Pop,
        SetAside(u8),
        Probe(u8),
        Resume(u8),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = (0..8_u8, 0..4_u8).prop_map(|(kind, whose)| match kind {
            0..3 => Op::Push(whose),
            3 | 4 => Op::Pop,
            5 => Op::SetAside(whose),
            6 => Op::Probe(whose),
            _ => Op::Resume(whose),
        });
        proptest::collection::vec(op, 0..200)
    }

    proptest! {
        /// Against lines that are looked through one by one.
        #[test]
        fn everything_comes_out_once_in_its_order_and_nobody_is_passed_over(ops in ops()) {
            let places = 20;
            let mut queue = FairQueue::new(places);
            let mut lines: BTreeMap<u8, VecDeque<u32>> = BTreeMap::new();
            let mut aside: BTreeMap<u8, bool> = BTreeMap::new();
            // How often others came before a line that could have been taken.
            let mut passed: BTreeMap<u8, usize> = BTreeMap::new();
            for (number, op) in (0..).zip(ops) {
                match op {
                    Op::Push(whose) => {
                        let waiting: usize = lines.values().map(VecDeque::len).sum();
                        let line = lines.entry(whose).or_default();
                        let has_place = line.len() < places.saturating_sub(waiting);
                        prop_assert_eq!(queue.push(whose, u32::from(whose) << 16 | number).is_ok(), has_place);
                        if has_place {
                            line.push_back(u32::from(whose) << 16 | number);
                        }
                    }
                    Op::Pop => {
                        let could: Vec<u8> = lines.iter()
                            .filter(|(whose, line)| !line.is_empty() && !aside.contains_key(whose))
                            .map(|(whose, _)| *whose).collect();
                        let got = queue.pop();
                        prop_assert_eq!(got.is_some(), !could.is_empty());
                        let Some(got) = got else { continue };
                        let whose = u8::try_from(got >> 16).unwrap();
                        prop_assert!(could.contains(&whose));
                        prop_assert_eq!(lines.get_mut(&whose).unwrap().pop_front(), Some(got));
                        for other in could {
                            let passed = passed.entry(other).or_default();
                            *passed = if other == whose { 0 } else { *passed + 1 };
                            prop_assert!(*passed < 4, "line {} was passed over", other);
                        }
                    }
                    Op::SetAside(whose) => {
                        queue.set_aside(whose, Vec::new());
                        aside.insert(whose, true);
                        passed.remove(&whose);
                    }
                    Op::Probe(whose) => {
                        let expected = lines.entry(whose).or_default().front().copied()
                            .filter(|_| aside.contains_key(&whose));
                        prop_assert_eq!(queue.pop_aside_if(whose, |_| true), expected);
                        if let Some(probe) = expected {
                            // It was found so again.
                            queue.set_aside(whose, vec![probe]);
                        }
                    }
                    Op::Resume(whose) => {
                        queue.resume(whose);
                        aside.remove(&whose);
                    }
                }
                let ready: usize = lines.iter().filter(|(whose, _)| !aside.contains_key(whose))
                    .map(|(_, line)| line.len()).sum();
                prop_assert_eq!(queue.ready(), ready);
                prop_assert_eq!(queue.is_empty(), lines.values().all(VecDeque::is_empty));
                prop_assert!(queue.turns.len() <= 4, "each is named once");
            }
            let mut left = queue.drain();
            left.sort_unstable();
            let mut held: Vec<u32> = lines.into_values().flatten().collect();
            held.sort_unstable();
            prop_assert_eq!(left, held);
        }
    }
}
