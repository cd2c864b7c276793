//! Timers and limits of a stack, read once at start-up. `docs/settings.md` lists them.

/// A variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Timers of a stack. Tests shorten them; the defaults are what `template.yaml` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Seconds that the clocks of shop and ledger may differ.
    pub clock_skew_seconds: i64,
    /// Percent of the retry delays.
    pub retry_scale_percent: u64,
    /// Percent of the dialects' settle times.
    pub settle_scale_percent: u64,
    /// Seconds after which a queued run that nobody claimed is sent again.
    pub stall_seconds: u64,
    /// Seconds after which a held run turns its chip to failed.
    pub chip_held_seconds: u64,
    /// Seconds of refusal after which a shop counts as revoked.
    pub shop_revoked_seconds: u64,
    /// Seconds for which a message is given back while its book is busy.
    pub give_back_seconds: u32,
    /// Seconds that a worker waits for a busy book before it gives the message back.
    pub lease_wait_seconds: u64,
    /// When the tables were restored from a backup, in milliseconds: documents without a cross-reference are looked
    /// for before they are created.
    pub restored_at: Option<i64>,
    /// True on stacks of one machine: shops and books may live on private addresses, and apps may name addresses of their
    /// own for a provider.
    pub allow_private_addresses: bool,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            clock_skew_seconds: 300,
            retry_scale_percent: 100,
            settle_scale_percent: 100,
            stall_seconds: 600,
            chip_held_seconds: 900,
            shop_revoked_seconds: 300,
            give_back_seconds: 5,
            lease_wait_seconds: 10,
            restored_at: None,
            allow_private_addresses: false,
        }
    }
}

impl Timers {
    /// Reads the timers from the environment as `lookup` gives it; what is absent or empty has its default.
    ///
    /// # Errors
    /// The variable that is no number or no moment.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        fn number<T: std::str::FromStr>(
            lookup: &dyn Fn(&str) -> Option<String>,
            name: &'static str,
            default: T,
        ) -> Result<T, ConfigError> {
            match lookup(name).filter(|text| !text.is_empty()) {
                None => Ok(default),
                Some(text) => text.parse().map_err(|_| ConfigError { name, reason: "not a whole number in range" }),
            }
        }
        let defaults = Self::default();
        let restored_at = match lookup("RESTORED_AT").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(
                text.parse::<jiff::Timestamp>()
                    .map_err(|_| ConfigError { name: "RESTORED_AT", reason: "not a moment in ISO 8601" })?
                    .as_millisecond(),
            ),
        };
        Ok(Self {
            clock_skew_seconds: number(lookup, "CLOCK_SKEW_SECONDS", defaults.clock_skew_seconds)?,
            retry_scale_percent: number(lookup, "RETRY_SCALE_PERCENT", defaults.retry_scale_percent)?,
            settle_scale_percent: number(lookup, "SETTLE_SCALE_PERCENT", defaults.settle_scale_percent)?,
            stall_seconds: number(lookup, "STALL_SECONDS", defaults.stall_seconds)?,
            chip_held_seconds: number(lookup, "CHIP_HELD_SECONDS", defaults.chip_held_seconds)?,
            shop_revoked_seconds: number(lookup, "SHOP_REVOKED_SECONDS", defaults.shop_revoked_seconds)?,
            give_back_seconds: number(lookup, "GIVE_BACK_SECONDS", defaults.give_back_seconds)?,
            lease_wait_seconds: number(lookup, "LEASE_WAIT_SECONDS", defaults.lease_wait_seconds)?,
            restored_at,
            allow_private_addresses: lookup("ALLOW_PRIVATE_ADDRESSES").as_deref() == Some("true"),
        })
    }
}

/// Milliseconds of so many seconds, for adding to moments.
#[must_use]
pub fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_from_the_environment_or_have_their_defaults() {
        assert_eq!(Timers::from_lookup(&|_| None), Ok(Timers::default()));
        assert_eq!(Timers::from_lookup(&|_| Some(String::new())), Ok(Timers::default()));
        let timers = Timers::from_lookup(&|name| (name == "STALL_SECONDS").then(|| "3".to_owned()));
        assert_eq!(timers.map(|timers| timers.stall_seconds), Ok(3));
        let bad = Timers::from_lookup(&|name| (name == "RESTORED_AT").then(|| "yesterday".to_owned()));
        assert_eq!(bad.map_err(|error| error.name), Err("RESTORED_AT"));
        let bad = Timers::from_lookup(&|name| (name == "STALL_SECONDS").then(|| "-1".to_owned()));
        assert_eq!(bad.map_err(|error| error.name), Err("STALL_SECONDS"));
    }
}
