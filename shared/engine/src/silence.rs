//! Noticing that nothing comes from a shop.
//!
//! The webhook notes when it heard from a shop, at most every [`HEARD_EVERY_MS`], and with it the longest silence of each
//! day: nights, weekends and holidays are a shop's rhythm. Twice the longest of the last days without a word is silence.
//! An entry of the agenda wakes the sweeper when that would be; it looks at the tenant's row and decides from that.

use crate::ports::{Heard, PortResult, ShopWatch};
use ledger_wire::rows::{AgendaRow, DayGap, TenantRow};

/// Kind of the agenda's entries.
pub const KIND: &str = "silence";
/// A shop that was heard less than this long ago is not noted again, in milliseconds (10 minutes).
pub const HEARD_EVERY_MS: i64 = 600_000;
/// Days, with something heard on each, whose silences are the rhythm.
const DAYS_KEPT: usize = 14;
/// With fewer days known the rhythm is not known yet: a weekend may be missing.
const DAYS_NEEDED: usize = 7;
/// No shop is silent before this, in milliseconds (a day).
const SOONEST_MS: i64 = DAY_MS;
/// Every shop is silent after this, in milliseconds (14 days).
const LATEST_MS: i64 = 14 * DAY_MS;
/// A shop whose rhythm is not known is silent after this, in milliseconds (7 days).
const UNKNOWN_MS: i64 = 7 * DAY_MS;
/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What to note now that something came; `None` where it was noted a short while ago.
#[must_use]
pub fn heard(tenant: &TenantRow, now: i64) -> Option<Heard> {
    let wakes = tenant.status == "silent";
    let recently = tenant.heard_at.is_some_and(|at| now.saturating_sub(at) < HEARD_EVERY_MS);
    if recently && !wakes {
        return None;
    }
    let gaps = match tenant.heard_at {
        Some(at) => with_gap(&tenant.gaps, now.div_euclid(DAY_MS), now.saturating_sub(at).max(0)),
        None => tenant.gaps.clone(),
    };
    let agenda = (tenant.heard_at.is_none() || wakes)
        .then(|| AgendaRow::new(KIND, &tenant.tenant, now.saturating_add(patience(&gaps))));
    Some(Heard { tenant: tenant.tenant.clone(), seen: tenant.heard_at, now, gaps, wakes, agenda })
}

fn with_gap(gaps: &[DayGap], day: i64, gap: i64) -> Vec<DayGap> {
    let mut gaps = gaps.to_vec();
    match gaps.last_mut() {
        Some(last) if last.day >= day => last.longest = last.longest.max(gap),
        _ => gaps.push(DayGap { day, longest: gap }),
    }
    let surplus = gaps.len().saturating_sub(DAYS_KEPT);
    gaps.drain(..surplus);
    gaps
}

/// How long a shop of this rhythm may be quiet, in milliseconds.
fn patience(gaps: &[DayGap]) -> i64 {
    if gaps.len() < DAYS_NEEDED {
        return UNKNOWN_MS;
    }
    let longest = gaps.iter().map(|gap| gap.longest).max().unwrap_or_default();
    longest.saturating_mul(2).clamp(SOONEST_MS, LATEST_MS)
}

/// When the shop counts as silent if nothing comes; `None` where nothing ever came.
#[must_use]
pub fn silent_at(tenant: &TenantRow) -> Option<i64> {
    tenant.heard_at.map(|at| at.saturating_add(patience(&tenant.gaps)))
}

/// Looks at a shop because the agenda says so: marks it silent, or looks again when it would be. True where it is marked.
///
/// # Errors
/// As the store.
pub async fn review<S: ShopWatch + ?Sized>(store: &S, entry: &AgendaRow, now: i64) -> PortResult<bool> {
    let tenant = store.tenancy(&entry.owner).await?.map(|tenancy| tenancy.tenant);
    let next = tenant.as_ref().and_then(|tenant| Some((tenant, tenant.heard_at?, silent_at(tenant)?)));
    let mut marked = false;
    if let Some((tenant, heard_at, at)) = next {
        let look_again = match tenant.status.as_str() {
            // The webhook writes a new entry when something comes.
            "silent" => None,
            _ if at > now => Some(at),
            "connected" => {
                store.shop_silent(&tenant.tenant, heard_at).await?;
                marked = true;
                None
            }
            // Something worse is known of it; silence is looked at when that may be over.
            _ => Some(now.saturating_add(DAY_MS)),
        };
        if let Some(at) = look_again {
            store.agenda_put(&AgendaRow::new(KIND, &tenant.tenant, at)).await?;
        }
    }
    store.agenda_remove(entry).await?;
    Ok(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn tenant(status: &str, heard_at: Option<i64>, gaps: &[(i64, i64)]) -> TenantRow {
        TenantRow {
            tenant: "t".to_owned(),
            status: status.to_owned(),
            heard_at,
            gaps: gaps.iter().map(|(day, longest)| DayGap { day: *day, longest: *longest }).collect(),
            ..TenantRow::default()
        }
    }

    #[test]
    fn a_shop_is_noted_every_ten_minutes_and_when_it_wakes() {
        let now = 100 * DAY_MS;
        assert_eq!(heard(&tenant("connected", Some(now - HEARD_EVERY_MS + 1), &[]), now), None);
        let first = heard(&tenant("connected", None, &[]), now).unwrap();
        assert_eq!((first.seen, first.gaps, first.wakes), (None, Vec::new(), false));
        assert_eq!(first.agenda, Some(AgendaRow::new("silence", "t", now + UNKNOWN_MS)));
        let later = heard(&tenant("connected", Some(now - HOUR_MS), &[(99, 5)]), now).unwrap();
        assert_eq!(later.gaps, [DayGap { day: 99, longest: 5 }, DayGap { day: 100, longest: HOUR_MS }]);
        assert_eq!(later.agenda, None);
        let awake = heard(&tenant("silent", Some(now - 1), &[]), now).unwrap();
        assert!(awake.wakes && awake.agenda.is_some());
    }

    #[test]
    fn a_days_longest_silence_counts() {
        let mut gaps = Vec::new();
        for day in 0..20 {
            gaps = with_gap(&gaps, day, day * HOUR_MS);
            gaps = with_gap(&gaps, day, HOUR_MS / 2);
        }
        assert_eq!(gaps.len(), DAYS_KEPT);
        assert_eq!(gaps[0], DayGap { day: 6, longest: 6 * HOUR_MS });
        assert_eq!(gaps[13], DayGap { day: 19, longest: 19 * HOUR_MS });
        // A clock that went back changes no earlier day.
        assert_eq!(with_gap(&gaps, 3, 0).len(), DAYS_KEPT);
    }

    #[test]
    fn patience_is_twice_the_longest_silence_within_bounds() {
        let days =
            |longest: i64, count: i64| patience(&(0..count).map(|day| DayGap { day, longest }).collect::<Vec<_>>());
        assert_eq!(days(HOUR_MS, 6), UNKNOWN_MS);
        assert_eq!(days(HOUR_MS, 7), SOONEST_MS);
        assert_eq!(days(60 * HOUR_MS, 7), 120 * HOUR_MS);
        assert_eq!(days(9 * DAY_MS, 14), LATEST_MS);
        assert_eq!(silent_at(&tenant("connected", None, &[])), None);
        assert_eq!(silent_at(&tenant("connected", Some(5), &[])), Some(5 + UNKNOWN_MS));
    }
}
