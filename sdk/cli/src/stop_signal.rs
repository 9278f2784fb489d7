//! Wait until this process is asked to stop.

/// Ctrl-C, or what a service manager sends.
pub(crate) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler Ctrl-C ends the process; the store is safe at any point.
        std::future::pending::<()>().await;
    }
}
