//! The book as the connector meets it: over HTTP.
