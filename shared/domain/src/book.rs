//! What a book asks of the documents that go to it, whoever makes it. Dialects state it; mapping and proof keep to it.

/// What a book asks of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookRules {
    /// How it computes totals.
    pub rounding: Rounding,
    /// Where its exchange rates come from.
    pub exchange: ExchangeRates,
    /// True where a line names a tax code of the book's; false where it names the rate itself.
    pub tax_codes: bool,
    /// True where a contact trades in one currency only.
    pub contact_per_currency: bool,
    /// Longest number of a document, in characters.
    pub number_length_max: usize,
    /// Most lines of a document.
    pub lines_max: usize,
    /// True where a document may stay a draft, or wait for approval; false where the book opens each at once.
    pub keeps_drafts: bool,
    /// Days until an invoice is due where the settings name none.
    pub payment_terms_in_days: u32,
}

/// How a book computes totals from lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Decimal places that the book keeps of a unit price.
    pub unit_price_places: u32,
    /// Most decimal places that the book keeps of lines and totals; a currency with fewer keeps its own.
    pub amount_places_max: u32,
    /// Where the tax of a line comes from.
    pub tax: TaxRounding,
}

/// Where the tax of a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaxRounding {
    /// The book computes it by line from the rate, rounded half away from zero.
    Computed,
    /// The document states it.
    Stated,
}

/// Where a book's exchange rates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeRates {
    /// It has its own of each day: a document may come without one.
    Own,
    /// A document in another currency must bring one.
    Ours,
}
