//! Logs, on stderr.

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// Starts logging. A filter that can't be read falls back to `info` and says so.
pub fn start(format: LogFormat, filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let broken = parsed.is_err();
    let filter_in_use = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter_in_use)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.init(),
    }
    if broken {
        tracing::warn!(filter, "the log filter can't be read; logging at info");
    }
}
