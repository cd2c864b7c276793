//! Mistakes planted in the engine, and the first seed that notices each.

use crate::report::{Lived, lived};
use ledger_engine::planted::{Planted, plants};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The first of `count` seeds in which a mistake shows, on so many threads; `None` where it shows in none.
#[must_use]
pub fn notices(mistake: Planted, count: u64, threads: usize) -> Option<Lived> {
    plants(Some(mistake));
    let next = Arc::new(AtomicU64::new(1));
    let found: Arc<Mutex<Option<Lived>>> = Arc::default();
    let workers: Vec<_> = (0..threads.max(1))
        .map(|_| {
            let (next, found) = (Arc::clone(&next), Arc::clone(&found));
            std::thread::spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let already = found.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                    if seed > count || already {
                        return;
                    }
                    let lived = lived(seed, |_| {});
                    if !lived.findings.is_empty() {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        if found.as_ref().is_none_or(|it| lived.seed < it.seed) {
                            *found = Some(lived);
                        }
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        let _ = worker.join();
    }
    plants(None);
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    found.clone()
}
