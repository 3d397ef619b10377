//! Chance that a seed repeats: SplitMix64 (Steele, Lea and Flood, 2014).

use std::time::Duration;

pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Others, for somebody else.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Up to so many milliseconds, most of the time few of them.
    pub fn millis(&mut self, most: u64) -> Duration {
        let most = 1 + self.below(most);
        Duration::from_micros(self.below(1_000 * most))
    }
}
