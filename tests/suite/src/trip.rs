//! A tripwire on the port calls: records them, and kills at one of them.

use std::future::Future;
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::sync::Notify;

/// On which side of a call the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The call never happens.
    Before,
    /// The call happens, its answer is lost.
    After,
}

#[derive(Debug, Default)]
struct Wire {
    recording: bool,
    calls: Vec<&'static str>,
    armed: Option<(usize, Side)>,
    struck: Option<&'static str>,
}

/// The tripwire.
#[derive(Debug, Default)]
pub struct Trip {
    wire: Mutex<Wire>,
    killed: Notify,
}

impl Trip {
    fn with<T>(&self, change: impl FnOnce(&mut Wire) -> T) -> T {
        change(&mut self.wire.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts to record, and kills at the call with that number where one is named.
    pub fn arm(&self, at: Option<(usize, Side)>) {
        self.with(|wire| *wire = Wire { recording: true, armed: at, ..Wire::default() });
    }

    /// Stops recording. The calls, and the one at which the process was killed.
    pub fn disarm(&self) -> (Vec<&'static str>, Option<&'static str>) {
        self.with(|wire| {
            let seen = (std::mem::take(&mut wire.calls), wire.struck.take());
            *wire = Wire::default();
            seen
        })
    }

    /// True once a call of that name was recorded.
    #[must_use]
    pub fn has_seen(&self, name: &str) -> bool {
        self.with(|wire| wire.calls.contains(&name))
    }

    /// A port call.
    pub async fn through<T>(&self, name: &'static str, call: impl Future<Output = T>) -> T {
        let number = self.with(|wire| {
            wire.recording.then(|| {
                wire.calls.push(name);
                wire.calls.len().saturating_sub(1)
            })
        });
        self.strike(number, Side::Before, name).await;
        let out = call.await;
        self.strike(number, Side::After, name).await;
        out
    }

    async fn strike(&self, number: Option<usize>, side: Side, name: &'static str) {
        let hit = self.with(|wire| {
            let hit = number.is_some_and(|number| wire.armed == Some((number, side)));
            if hit {
                wire.armed = None;
                wire.recording = false;
                wire.struck = Some(name);
            }
            hit
        });
        if hit {
            self.killed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Runs a process until it ends or is killed; `None` where it was killed.
    pub async fn lives<T>(&self, process: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            out = process => Some(out),
            () = self.killed.notified() => None,
        }
    }
}
