//! Usage: what metering agents report, and what their reports come to.

mod buckets;
mod event;
mod month;
mod series;
mod together;
mod voiding;

pub use buckets::{Granularity, HOUR, SLOT, bucket_start, buckets, hour_of, next_bucket, slot_of};
pub use event::{
    ATTRIBUTES_MAX, Allowance, EVENT_ID_MAX, EVENTS_MAX, Fault, Outcome, QUANTITY_MAX, QUANTITY_PLACES,
    SUM_MAX, UsageEvent, check_id,
};
pub use month::{Gathering, Reports, at_this_pace, still_to_come, usage_in};
pub use series::{Gauge, Hour, Point, SlotReports, carried_from, carried_to, of_hours};
pub use together::Together;
pub use voiding::{ToVoid, VOIDED_AT_ONCE_MAX, Voided};
