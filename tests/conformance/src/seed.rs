//! Chance that can be replayed: the same seed gives the same choices on every machine.

use rust_decimal::Decimal;

/// A stream of choices (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The stream of a number.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        let width = most.saturating_sub(least).saturating_add(1);
        self.number().checked_rem(width).unwrap_or_default().saturating_add(least)
    }

    /// True so often in a thousand.
    pub fn happens(&mut self, per_thousand: u64) -> bool {
        self.between(1, 1_000) <= per_thousand
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(of.len()).unwrap_or(u64::MAX).saturating_sub(1);
        of.get(usize::try_from(self.between(0, last)).unwrap_or_default())
    }

    /// An amount between two numbers of its smallest unit, with so many decimal places.
    pub fn amount(&mut self, least: u64, most: u64, places: u32) -> Decimal {
        Decimal::new(i64::try_from(self.between(least, most)).unwrap_or(i64::MAX), places)
    }
}
