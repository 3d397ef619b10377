//! Cuts a sequence that fails down to what is needed for that.

use super::moves::Step;
use super::player::Deviation;

/// How often it is tried.
const TRIALS_MAX: usize = 300;

/// The shortest sequence found that still deviates, and how.
pub async fn shortest(
    mut steps: Vec<Step>,
    mut deviation: Deviation,
    play: impl AsyncFn(&[Step]) -> Result<(), Deviation>,
) -> (Vec<Step>, Deviation) {
    let mut trials = 0;
    let mut length = steps.len() / 2;
    while length > 0 && trials < TRIALS_MAX {
        let mut from = 0;
        while from < steps.len() && trials < TRIALS_MAX {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + length).min(steps.len()));
            trials += 1;
            match play(&fewer).await {
                Err(still) => (steps, deviation) = (fewer, still),
                Ok(()) => from += length,
            }
        }
        length /= 2;
    }
    (steps, deviation)
}
