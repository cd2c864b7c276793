//! The bench, and the stub AWS endpoints that it and the tests of built functions run against.
//!
//! * [`aws`]: DynamoDB, SQS and KMS over TLS, in memory, strict about what Ledger uses, counting calls and capacity.
//! * [`scene`]: a shop, a book, a tenant with its binding, and the built functions between them.
//! * [`measure`]: start-up, processor time, memory and calls of a built function.
//! * [`report`]: the measurements as a table and as JSON, against their limits.

pub mod ambient;
pub mod aws;
pub mod measure;
pub mod report;
pub mod scene;
