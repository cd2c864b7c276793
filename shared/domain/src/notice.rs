//! Who is told of what, and when: a pure step from what was told and what is wrong now to what is told next.
//!
//! A trouble is told at once when it is first seen, and again when it has been over for a while. In between a daily digest
//! repeats what is still wrong.

use crate::code::{Code, Owner};
use std::collections::BTreeMap;

/// A trouble that was told counts as over when it was not seen for this long, in milliseconds (10 minutes): a dead letter that
/// is tried again in vain, or a shop that answers once, is no news twice.
pub const OVER_AFTER_MS: i64 = 600_000;
/// Work that is held is told when it has been so for this long, in milliseconds (an hour).
pub const HELD_LONG_MS: i64 = 3_600_000;
/// A day, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// Minutes of a day.
pub const DAY_MINUTES: u16 = 1_440;
/// Most troubles told at once in one step; the others follow in the next.
pub const AT_ONCE_MAX: usize = 10;

/// Whom a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The shop's people.
    Merchant,
    /// Whoever keeps the book.
    Accountant,
    /// Whoever runs the stack; what is ours to mend, too.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Merchant, Self::Accountant, Self::Operator];

    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Accountant => "accountant",
            Self::Operator => "operator",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Who hears of a code.
    #[must_use]
    pub const fn of(owner: Owner) -> Self {
        match owner {
            Owner::Merchant => Self::Merchant,
            Owner::Accountant => Self::Accountant,
            Owner::Operator | Owner::Ledger => Self::Operator,
        }
    }

    /// True where this role is told of a code, if `there` are the roles that anybody has: what nobody else would hear is the
    /// operators'.
    #[must_use]
    pub fn hears_of(self, code: Code, there: &[Self]) -> bool {
        let whose = Self::of(code.owner());
        self == whose || self == Self::Operator && !there.contains(&whose)
    }
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleKind {
    /// A book refuses our grant, or a shop our token, or it can't be reached, or its module disconnected.
    ConnectionLost,
    /// Nothing came from a shop for long.
    ShopSilent,
    /// Dead letters of a family, where there were none.
    DeadLetters,
    /// Work that is held for more than an hour.
    HeldLong,
}

impl TroubleKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::ConnectionLost, Self::ShopSilent, Self::DeadLetters, Self::HeldLong];

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection_lost",
            Self::ShopSilent => "shop_silent",
            Self::DeadLetters => "dead_letters",
            Self::HeldLong => "held_long",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is, the same each time it is seen: `shop`, `binding:<id>`, `dead:<binding>:<code>`, `held:<binding>:<code>`.
    pub key: String,
    /// What it is news of: the first trouble of a news is told at once, what joins it is left to the digest. Its own key, but
    /// for dead letters `dead:<binding>:<family>:<owner>`: those of a family are mended alike, each owner's by its owner.
    pub news: String,
    /// Its kind.
    pub kind: TroubleKind,
    /// Why.
    pub code: Code,
    /// Since when, in milliseconds.
    pub since: i64,
    /// How many documents it concerns, as far as that is counted.
    pub count: u32,
}

/// A trouble that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its kind.
    pub kind: TroubleKind,
    /// Why.
    pub code: Code,
    /// Since when it is wrong, in milliseconds.
    pub since: i64,
    /// Since when it is not seen any more.
    pub gone_since: Option<i64>,
}

/// What is remembered of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What was told and is not over, by what it is news of.
    pub told: BTreeMap<String, Told>,
    /// When the next digest is due, in milliseconds; 0 before the first step.
    pub digest_at: i64,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A trouble, the first of its news.
    AtOnce(Trouble),
    /// News that are over.
    Healthy(Vec<(String, Told)>),
    /// Everything that is still wrong.
    Digest(Vec<Trouble>),
}

impl Notice {
    /// The notice's kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AtOnce(trouble) => trouble.kind.as_str(),
            Self::Healthy(_) => "healthy",
            Self::Digest(_) => "digest",
        }
    }
}

/// The first moment after `now` at which a day is so many minutes old, in UTC.
#[must_use]
pub fn next_digest(now: i64, minute: u16) -> i64 {
    let offset = i64::from(minute.min(DAY_MINUTES.saturating_sub(1))).saturating_mul(60_000);
    let today = now.div_euclid(DAY_MS).saturating_mul(DAY_MS).saturating_add(offset);
    if today > now { today } else { today.saturating_add(DAY_MS) }
}

/// One look at a tenant: what is told, and what is remembered afterwards. Of troubles that are news of the same, the first in
/// `seen` is told. `digest_minute` is the minute of the day, in UTC, at which the digest is due.
#[must_use]
pub fn step(memory: &Memory, seen: &[Trouble], now: i64, digest_minute: u16) -> (Memory, Vec<Notice>) {
    let mut next = memory.clone();
    let mut notices = Vec::new();
    for trouble in seen {
        match next.told.get_mut(&trouble.news) {
            Some(told) => told.gone_since = None,
            None if notices.len() < AT_ONCE_MAX => {
                let told = Told { kind: trouble.kind, code: trouble.code, since: trouble.since, gone_since: None };
                next.told.insert(trouble.news.clone(), told);
                notices.push(Notice::AtOnce(trouble.clone()));
            }
            None => {}
        }
    }
    let mut over = Vec::new();
    next.told.retain(|key, told| {
        if seen.iter().any(|trouble| trouble.news == *key) {
            return true;
        }
        let since = *told.gone_since.get_or_insert(now);
        let stays = now.saturating_sub(since) < OVER_AFTER_MS;
        if !stays {
            over.push((key.clone(), told.clone()));
        }
        stays
    });
    if !over.is_empty() {
        notices.push(Notice::Healthy(over));
    }
    if next.digest_at == 0 {
        next.digest_at = next_digest(now, digest_minute);
    } else if now >= next.digest_at {
        next.digest_at = next_digest(now, digest_minute);
        // What was told a moment ago is not repeated by a digest of its own.
        let still: Vec<Trouble> = seen.iter().filter(|it| memory.told.contains_key(&it.news)).cloned().collect();
        if !still.is_empty() {
            notices.push(Notice::Digest(still));
        }
    }
    (next, notices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 2_000_016_000_000;
    const MINUTE: i64 = 60_000;
    const SEVEN: u16 = 420;

    fn trouble(key: &str, kind: TroubleKind, code: Code) -> Trouble {
        Trouble { key: key.to_owned(), news: key.to_owned(), kind, code, since: NOW, count: 1 }
    }

    fn lost() -> Trouble {
        trouble("binding:b", TroubleKind::ConnectionLost, Code::NeedsReconnect)
    }

    fn dead(code: Code) -> Trouble {
        let news = format!("dead:b:{}:{}", code.family().as_str(), code.owner().as_str());
        Trouble { news, ..trouble(&format!("dead:b:{code}"), TroubleKind::DeadLetters, code) }
    }

    /// Looks once a minute; what is told, with the minute.
    fn told(looks: &[(i64, &[Trouble])]) -> Vec<(i64, String)> {
        let mut memory = Memory::default();
        let mut all = Vec::new();
        for (minute, seen) in looks {
            let (next, notices) = step(&memory, seen, NOW + minute * MINUTE, SEVEN);
            memory = next;
            all.extend(notices.iter().map(|notice| {
                let what = match notice {
                    Notice::AtOnce(trouble) => trouble.key.clone(),
                    Notice::Healthy(over) => over.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" "),
                    Notice::Digest(still) => still.iter().map(|it| it.key.as_str()).collect::<Vec<_>>().join(" "),
                };
                (*minute, format!("{} {what}", notice.kind()))
            }));
        }
        all
    }

    #[test]
    fn a_trouble_is_told_at_once_and_when_it_is_over() {
        let check = |looks: &[(i64, &[Trouble])], expected: &[(i64, &str)]| {
            let found = told(looks);
            let found: Vec<(i64, &str)> = found.iter().map(|(minute, text)| (*minute, text.as_str())).collect();
            assert_eq!(found, expected);
        };
        let lost = [lost()];
        check(&[(0, &[]), (1, &[])], &[]);
        check(&[(0, &lost), (1, &lost), (2, &lost)], &[(0, "connection_lost binding:b")]);
        // Over only when it has been gone for ten minutes.
        check(
            &[(0, &lost), (1, &[]), (10, &[]), (11, &[]), (30, &[])],
            &[(0, "connection_lost binding:b"), (11, "healthy binding:b")],
        );
        // Back within them, it was never over.
        check(&[(0, &lost), (1, &[]), (9, &lost), (12, &[]), (13, &lost)], &[(0, "connection_lost binding:b")]);
        // After that it is news again.
        check(
            &[(0, &lost), (1, &[]), (11, &[]), (12, &lost)],
            &[(0, "connection_lost binding:b"), (11, "healthy binding:b"), (12, "connection_lost binding:b")],
        );
        // The first of each family, not each cause of it.
        let one = [dead(Code::CategoryUnknown)];
        let family = [dead(Code::CategoryUnknown), dead(Code::TaxRateUnmapped)];
        let two = [dead(Code::CategoryUnknown), dead(Code::TaxRateUnmapped), dead(Code::ReferenceTaken)];
        check(
            &[(0, &one), (1, &family), (2, &two), (3, &two)],
            &[(0, "dead_letters dead:b:category_unknown"), (2, "dead_letters dead:b:reference_taken")],
        );
        // It is over when the last of it is, whichever came first.
        let other = [dead(Code::TaxRateUnmapped)];
        check(
            &[(0, &family), (1, &other), (12, &other), (13, &[]), (23, &[])],
            &[(0, "dead_letters dead:b:category_unknown"), (23, "healthy dead:b:settings:merchant")],
        );
        // Of a family that two have to mend, each hears of the first that is theirs.
        let both = [dead(Code::ReferenceTaken), dead(Code::ReverseCollision)];
        check(
            &[(0, &both)],
            &[(0, "dead_letters dead:b:reference_taken"), (0, "dead_letters dead:b:entity_xref_reverse_collision")],
        );
    }

    #[test]
    fn a_digest_comes_once_a_day_where_something_is_wrong() {
        // NOW is 2033-05-18, 08:00 UTC.
        assert_eq!(next_digest(NOW, 480), NOW + DAY_MS);
        assert_eq!(next_digest(NOW, 481), NOW + MINUTE);
        let lost = [lost()];
        let day = DAY_MS / MINUTE;
        let at_seven = day - 60;
        let found =
            told(&[(0, &lost), (at_seven - 1, &lost), (at_seven, &lost), (at_seven + 1, &lost), (2 * day, &lost)]);
        let kinds: Vec<(i64, &str)> = found.iter().map(|(minute, text)| (*minute, text.as_str())).collect();
        assert_eq!(
            kinds,
            [(0, "connection_lost binding:b"), (at_seven, "digest binding:b"), (2 * day, "digest binding:b")]
        );
        // Each cause of a family is in it.
        let family = [dead(Code::CategoryUnknown), dead(Code::TaxRateUnmapped)];
        assert_eq!(
            told(&[(0, &family), (at_seven, &family)]),
            [
                (0, "dead_letters dead:b:category_unknown".to_owned()),
                (at_seven, "digest dead:b:category_unknown dead:b:tax_rate_unmapped".to_owned())
            ]
        );
        assert_eq!(told(&[(0, &[]), (day, &[]), (2 * day, &[])]), []);
        // First seen when the digest is due: told at once, and not twice.
        assert_eq!(told(&[(0, &[]), (day, &lost)]), [(day, "connection_lost binding:b".to_owned())]);
    }

    #[test]
    fn many_troubles_at_once_are_told_in_turn() {
        let many: Vec<Trouble> = (0..25)
            .map(|number| trouble(&format!("dead:b-{number}"), TroubleKind::DeadLetters, Code::BookRefused))
            .collect();
        let found = told(&[(0, &many), (1, &many), (2, &many), (3, &many)]);
        let at = |minute: i64| found.iter().filter(|(it, _)| *it == minute).count();
        assert_eq!((at(0), at(1), at(2), at(3)), (10, 10, 5, 0));
    }

    #[test]
    fn everybody_hears_what_is_theirs_and_operators_what_nobody_would() {
        let check = |role: Role, code: Code, there: &[Role], hears: bool| {
            assert_eq!(role.hears_of(code, there), hears, "{role:?} of {code} beside {there:?}");
        };
        use Role::{Accountant, Merchant, Operator};
        check(Merchant, Code::CategoryUnknown, &Role::ALL, true);
        check(Accountant, Code::CategoryUnknown, &Role::ALL, false);
        check(Operator, Code::CategoryUnknown, &Role::ALL, false);
        check(Operator, Code::CategoryUnknown, &[Operator, Accountant], true);
        check(Accountant, Code::NeedsReconnect, &[Accountant], true);
        check(Operator, Code::Crashed, &Role::ALL, true);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for kind in TroubleKind::ALL {
            assert_eq!(TroubleKind::parse(kind.as_str()), Some(kind));
        }
    }

    fn some_troubles() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec(any::<bool>(), 4)
    }

    proptest! {
        /// Whatever comes and goes: a news is told, then over, then told again, never twice the same; and what was told stays
        /// remembered until it is told to be over.
        #[test]
        fn news_alternate(looks in prop::collection::vec((1_i64..700, some_troubles()), 1..80)) {
            let all = [lost(), dead(Code::CategoryUnknown), dead(Code::TaxRateUnmapped),
                trouble("shop", TroubleKind::ShopSilent, Code::ShopUnavailable)];
            let mut memory = Memory::default();
            let mut open: BTreeMap<String, bool> = BTreeMap::new();
            let (mut now, mut digests) = (NOW, Vec::new());
            for (minutes, there) in looks {
                now += minutes * MINUTE;
                let seen: Vec<Trouble> =
                    all.iter().zip(&there).filter(|(_, there)| **there).map(|(it, _)| it.clone()).collect();
                let (next, notices) = step(&memory, &seen, now, SEVEN);
                for notice in &notices {
                    match notice {
                        Notice::AtOnce(trouble) => {
                            prop_assert!(!open.get(&trouble.news).copied().unwrap_or_default(), "told twice");
                            prop_assert!(seen.contains(trouble));
                            open.insert(trouble.news.clone(), true);
                        }
                        Notice::Healthy(over) => for (key, _) in over {
                            prop_assert!(open.insert(key.clone(), false) == Some(true), "over, and was never told");
                            prop_assert!(seen.iter().all(|it| it.news != *key));
                        },
                        Notice::Digest(still) => {
                            prop_assert!(!still.is_empty() && still.iter().all(|it| seen.contains(it)));
                            digests.push(now);
                        }
                    }
                }
                let kept: Vec<&String> = next.told.keys().collect();
                let told: Vec<&String> = open.iter().filter(|(_, open)| **open).map(|(key, _)| key).collect();
                prop_assert_eq!(kept, told);
                // The same look once more says nothing.
                let (same, again) = step(&next, &seen, now, SEVEN);
                prop_assert!(again.is_empty() && same == next);
                memory = next;
            }
            prop_assert!(digests.windows(2).all(|pair| (pair[0] - 420 * MINUTE).div_euclid(DAY_MS)
                < (pair[1] - 420 * MINUTE).div_euclid(DAY_MS)), "two digests of one day");
        }
    }
}
