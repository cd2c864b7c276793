//! Holds every dialect to its word.
//!
//! * [`lives`]: whole lives of orders, counted by a model of Magento's own collectors;
//! * [`drive`]: the executor's law against a book in this process;
//! * [`law`]: what holds whatever a book answers;
//! * [`walk`]: every kind of document, for the table of what a dialect does;
//! * [`cases`]: what goes wrong every week;
//! * [`switches`]: all of that again under each thing that isn't known of the real book.

pub mod books;
pub mod cases;
pub mod drive;
pub mod law;
pub mod lives;
pub mod output;
pub mod penny;
pub mod seed;
pub mod switches;
pub mod trade;
pub mod walk;
