//! Holds every dialect to its word.
//!
//! * [`lives`]: whole lives of orders, counted by a model of Magento's own collectors;
//! * [`drive`]: the executor's law against a book in this process.

pub mod books;
pub mod drive;
pub mod lives;
pub mod output;
pub mod penny;
pub mod seed;
pub mod walk;
