//! How long what is no part of the books is kept, and the books themselves.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;

use crate::domain::retention::{
    BOOKS_KEPT_LEAST, EVENTS_KEPT_AFTER_LATE, EVENTS_KEPT_LEAST, GAUGE_SLOTS_KEPT_LEAST, KEYS_KEPT_LEAST,
    NOTICES_KEPT_LEAST, QUOTES_KEPT_LEAST, Retention,
};

/// How long things are kept; give the same to servers and to `abacus jobs`.
#[derive(Debug, Clone, Args)]
pub struct RetentionArgs {
    /// How many days ago usage may be that is still reported
    #[arg(long, env = "ABACUS_USAGE_LATE_DAYS", default_value_t = 35, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub usage_late_days: u16,
    /// How long an idempotency key counts: 90d at least
    #[arg(long, env = "ABACUS_KEYS_KEPT", default_value = "100d", value_parser = keys)]
    pub keys_kept: TimeDelta,
    /// How long an offer of a prepayment is kept after it has expired: 1d at least
    #[arg(long, env = "ABACUS_QUOTES_KEPT", default_value = "400d", value_parser = quotes)]
    pub quotes_kept: TimeDelta,
    /// How long it is kept in which 5 minutes gauges were reported: 7d at least
    #[arg(long, env = "ABACUS_GAUGE_SLOTS_KEPT", default_value = "90d", value_parser = gauge_slots)]
    pub gauge_slots_kept: TimeDelta,
    /// How long usage events are kept after their month, as they came: 92d at least, and 62d longer than they may come late
    #[arg(long, env = "ABACUS_USAGE_EVENTS_KEPT", default_value = "400d", value_parser = usage_events)]
    pub usage_events_kept: TimeDelta,
    /// How long notices are kept after they were acknowledged, or raised where nobody has to do anything: 30d at least
    #[arg(long, env = "ABACUS_NOTICES_KEPT", default_value = "400d", value_parser = notices)]
    pub notices_kept: TimeDelta,
    /// How long the books of a closed account are kept before it may be erased: 365d at least
    #[arg(long, env = "ABACUS_BOOKS_KEPT", default_value = "3653d", value_parser = books)]
    pub books_kept: TimeDelta,
}

impl RetentionArgs {
    /// The ages, if they agree with each other.
    pub fn ages(&self) -> Result<Retention, String> {
        let late = TimeDelta::days(i64::from(self.usage_late_days));
        let least = late.checked_add(&EVENTS_KEPT_AFTER_LATE).unwrap_or(TimeDelta::MAX);
        let both =
            [("ABACUS_USAGE_EVENTS_KEPT", self.usage_events_kept), ("ABACUS_BOOKS_KEPT", self.books_kept)];
        if let Some((name, given)) = both.into_iter().find(|(_, given)| *given < least) {
            return Err(format!(
                "{name}: {} is less than {}, which is ABACUS_USAGE_LATE_DAYS ({}d) and {} more",
                told(given),
                told(least),
                self.usage_late_days,
                told(EVENTS_KEPT_AFTER_LATE)
            ));
        }
        Ok(Retention {
            keys: self.keys_kept,
            quotes: self.quotes_kept,
            gauge_slots: self.gauge_slots_kept,
            usage_events: self.usage_events_kept,
            notices: self.notices_kept,
        })
    }
}

/// Nothing is kept longer than this: a hundred years.
const MOST: TimeDelta = TimeDelta::days(36_525);

fn told(age: TimeDelta) -> String {
    let exact = age.to_std().unwrap_or_default();
    if exact.as_secs().is_multiple_of(86_400) {
        return format!("{}d", age.num_days());
    }
    humantime::format_duration(exact).to_string()
}

fn age(text: &str, least: TimeDelta) -> Result<TimeDelta, String> {
    let given: Duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let given = TimeDelta::from_std(given).unwrap_or(TimeDelta::MAX);
    if given < least {
        return Err(format!("{} is less than {}, the least", told(given), told(least)));
    }
    if given > MOST {
        return Err(format!("{text} is more than {}, the most", told(MOST)));
    }
    Ok(given)
}

fn keys(text: &str) -> Result<TimeDelta, String> {
    age(text, KEYS_KEPT_LEAST)
}

fn quotes(text: &str) -> Result<TimeDelta, String> {
    age(text, QUOTES_KEPT_LEAST)
}

fn gauge_slots(text: &str) -> Result<TimeDelta, String> {
    age(text, GAUGE_SLOTS_KEPT_LEAST)
}

fn usage_events(text: &str) -> Result<TimeDelta, String> {
    age(text, EVENTS_KEPT_LEAST)
}

fn notices(text: &str) -> Result<TimeDelta, String> {
    age(text, NOTICES_KEPT_LEAST)
}

fn books(text: &str) -> Result<TimeDelta, String> {
    age(text, BOOKS_KEPT_LEAST)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;
    use crate::domain::retention::BOOKS_KEPT_DEFAULT;

    fn read(given: &[&str]) -> Result<RetentionArgs, String> {
        let cli = Cli::try_parse_from(std::iter::once("abacus").chain(given.iter().copied()));
        Ok(cli.map_err(|error| error.to_string())?.serve.retention)
    }

    #[test]
    fn what_nobody_sets_is_as_usual() {
        let args = read(&[]).unwrap();
        assert_eq!(args.ages(), Ok(Retention::default()));
        assert_eq!(args.books_kept, BOOKS_KEPT_DEFAULT);
    }

    #[test]
    fn an_age_below_the_least_is_refused_with_both() {
        for (option, given, least) in [
            ("--keys-kept", "89d", "90d"),
            ("--quotes-kept", "23h", "1d"),
            ("--gauge-slots-kept", "6d", "7d"),
            ("--usage-events-kept", "91d", "92d"),
            ("--notices-kept", "29d", "30d"),
            ("--books-kept", "364d", "365d"),
        ] {
            let said = read(&[option, given]).unwrap_err();
            assert!(said.contains(&format!("{given} is less than {least}, the least")), "{said}");
            assert!(read(&[option, least]).is_ok(), "{option} {least}");
        }
        assert!(read(&["--keys-kept", "101y"]).unwrap_err().contains("is more than 36525d, the most"));
    }

    #[test]
    fn events_are_kept_longer_than_they_may_come_late() {
        let args = read(&["--usage-late-days", "100", "--usage-events-kept", "161d"]).unwrap();
        let said = args.ages().unwrap_err();
        assert!(
            said.contains("161d is less than 162d, which is ABACUS_USAGE_LATE_DAYS (100d) and 62d more"),
            "{said}"
        );
        assert!(read(&["--usage-late-days", "100", "--usage-events-kept", "162d"]).unwrap().ages().is_ok());
        let args = read(&["--usage-late-days", "400", "--usage-events-kept", "500d", "--books-kept", "400d"])
            .unwrap();
        assert!(args.ages().unwrap_err().starts_with("ABACUS_BOOKS_KEPT: 400d is less than 462d"));
    }
}
