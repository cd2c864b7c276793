//! How much goes wrong, and the lots that decide where.

use ledger_conformance::seed::Seed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that AWS does now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// A transaction is cancelled, or a write refused, because another transaction holds an item.
    Conflict,
    /// DynamoDB is asked too often.
    ThrottledDynamodb,
    /// SQS is asked too often, or not there for a moment.
    ThrottledSqs,
    /// KMS is asked too often.
    ThrottledKms,
    /// The connection breaks before the call arrives.
    RequestLost,
    /// The call is carried out, and the connection breaks before its answer.
    ReplyLost,
    /// An index does not show an item yet, or shows it as it was.
    IndexLate,
    /// An index still shows an item that has left it.
    IndexStale,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Conflict,
        Self::ThrottledDynamodb,
        Self::ThrottledSqs,
        Self::ThrottledKms,
        Self::RequestLost,
        Self::ReplyLost,
        Self::IndexLate,
        Self::IndexStale,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::ThrottledDynamodb => "throttled_dynamodb",
            Self::ThrottledSqs => "throttled_sqs",
            Self::ThrottledKms => "throttled_kms",
            Self::RequestLost => "request_lost",
            Self::ReplyLost => "reply_lost",
            Self::IndexLate => "index_late",
            Self::IndexStale => "index_stale",
        }
    }
}

/// How much goes wrong: of a thousand calls that it can happen to, how many it happens to. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weather {
    /// Decides which ones.
    pub seed: u64,
    /// Writes to DynamoDB that meet another transaction.
    pub conflicts: u64,
    /// Calls to DynamoDB that are throttled.
    pub dynamodb_throttles: u64,
    /// Calls to SQS that are throttled.
    pub sqs_throttles: u64,
    /// Calls to KMS that are throttled.
    pub kms_throttles: u64,
    /// Calls that never arrive.
    pub lost_requests: u64,
    /// Writes and sends that are carried out and not answered.
    pub lost_replies: u64,
    /// Queries of an index that are answered by the index of a moment ago.
    pub index_lag: u64,
    /// That moment, in milliseconds.
    pub index_lag_milliseconds: i64,
}

impl Weather {
    pub(super) const fn per_thousand(&self, trouble: Trouble) -> u64 {
        match trouble {
            Trouble::Conflict => self.conflicts,
            Trouble::ThrottledDynamodb => self.dynamodb_throttles,
            Trouble::ThrottledSqs => self.sqs_throttles,
            Trouble::ThrottledKms => self.kms_throttles,
            Trouble::RequestLost => self.lost_requests,
            Trouble::ReplyLost => self.lost_replies,
            Trouble::IndexLate | Trouble::IndexStale => self.index_lag,
        }
    }
}

/// A seed's chance, one stream to a trouble: another trouble's calls do not move its lots.
#[derive(Debug)]
pub(super) struct Lots {
    seed: u64,
    streams: BTreeMap<Trouble, Seed>,
    other: Seed,
}

impl Lots {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, streams: BTreeMap::new(), other: Seed::of(seed) }
    }

    /// Whether it strikes this time.
    pub(super) fn draws(&mut self, trouble: Trouble, per_thousand: u64) -> bool {
        let seed = self.seed;
        let place = Trouble::ALL.into_iter().position(|it| it == trouble).unwrap_or_default();
        let offset = u64::try_from(place).unwrap_or_default().saturating_add(1);
        let stream =
            self.streams.entry(trouble).or_insert_with(|| Seed::of(seed.wrapping_mul(31).wrapping_add(offset)));
        stream.happens(per_thousand)
    }

    /// A number to choose by.
    pub(super) fn number(&mut self) -> u64 {
        self.other.number()
    }
}
