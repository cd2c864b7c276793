//! What the two programs share: saying that they are ready, and waiting to be stopped.

use std::io::Write as _;

/// Prints `{"listening":"http://…"}` on a line of its own, then waits for an interrupt or a termination.
///
/// # Errors
/// When standard output is closed or signals can't be watched.
pub async fn announce_and_wait(url: &str) -> anyhow::Result<()> {
    // Whoever reads that it is ready may stop it at once.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({"listening": url}))?;
    out.flush()?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
