//! Every dialect is held to its word.

#[cfg(test)]
mod fifth;
#[cfg(test)]
mod penny;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod walk;
