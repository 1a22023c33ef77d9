//! Logs, on stderr, with a filter that can be changed while the operator runs.
//!
//! The filter comes from a file, such as a mounted ConfigMap: who may change it is a question for Kubernetes, no
//! port is open for it, and all replicas follow.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::args::LogFormat;
use crate::clock::Clock;

/// How often the file is read. The kubelet brings a changed ConfigMap within about a minute.
const LOOK: Duration = Duration::from_secs(5);
/// More is no filter.
const LONGEST_FILTER: usize = 4096;

/// Changes the filter of the running process.
pub struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    /// What the command line says, for when the file says nothing.
    standard: String,
    /// What was last read, readable or not.
    read: String,
}

/// Starts logging. A filter that can't be read falls back to `info` and says so. Must be called within a tokio
/// runtime.
pub fn start(format: LogFormat, filter: &str, extra_roots: Option<&[u8]>) -> LogFilter {
    let parsed = EnvFilter::try_new(filter);
    let broken = parsed.is_err();
    let filter_in_use = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let (reloaded, handle) = reload::Layer::new(filter_in_use);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let registry = tracing_subscriber::registry().with(reloaded);
    let (spans, failed) = spans(extra_roots);
    registry.with(spans).with(lines).init();
    if let Some(error) = failed {
        tracing::error!(error, "spans can't be sent");
    }
    if broken {
        tracing::warn!(filter, "the log filter can't be read; logging at info");
    }
    LogFilter {
        handle,
        standard: filter.to_owned(),
        read: String::new(),
    }
}

/// What sends spans, and why it does not.
#[cfg(feature = "otlp")]
fn spans<S>(extra_roots: Option<&[u8]>) -> (Option<impl tracing_subscriber::Layer<S>>, Option<String>)
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let http = crate::exchange::http::client(extra_roots).map_err(|error| error.to_string());
    match http.and_then(super::otlp::layer) {
        Ok(layer) => (layer, None),
        Err(error) => (None, Some(error)),
    }
}

/// Nothing sends spans.
#[cfg(not(feature = "otlp"))]
fn spans(_: Option<&[u8]>) -> (tracing_subscriber::layer::Identity, Option<String>) {
    (tracing_subscriber::layer::Identity::new(), None)
}

impl LogFilter {
    /// Follows what `file` says, for ever.
    pub async fn follow(mut self, file: PathBuf, clock: Clock) {
        loop {
            self.reread(&file);
            clock.sleep(LOOK).await;
        }
    }

    fn reread(&mut self, file: &Path) {
        // A file that is not there, or not there yet, says nothing.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let text = text.trim();
        if text == self.read || text.len() > LONGEST_FILTER {
            return;
        }
        text.clone_into(&mut self.read);
        let filter = if text.is_empty() { &self.standard } else { text };
        match EnvFilter::try_new(filter) {
            Ok(parsed) => {
                let changed = self.handle.reload(parsed);
                if let Err(error) = changed {
                    tracing::warn!(%error, "the log filter could not be changed");
                } else {
                    tracing::info!(filter, "the log filter was changed");
                }
            }
            Err(error) => tracing::warn!(%error, filter, "the log filter can't be read; it stays as it was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn the_filter_follows_the_file_and_comes_back_when_the_file_is_removed() {
        let folder = std::env::temp_dir().join(format!("log-filter-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("log");
        let (layer, handle) = reload::Layer::new(EnvFilter::new("info"));
        let mut filter = LogFilter {
            handle,
            standard: "info".to_owned(),
            read: String::new(),
        };
        let mut level_after = |text: Option<&str>| {
            match text {
                Some(text) => fs::write(&file, text).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            filter.reread(&file);
            filter.handle.with_current(EnvFilter::max_level_hint).unwrap()
        };
        assert_eq!(level_after(Some("debug\n")), Some(LevelFilter::DEBUG));
        assert_eq!(level_after(Some("no=such=filter")), Some(LevelFilter::DEBUG));
        assert_eq!(level_after(Some("warn,kube=trace")), Some(LevelFilter::TRACE));
        assert_eq!(level_after(None), Some(LevelFilter::INFO));
        // The handle is of no use without its layer.
        drop(layer);
        fs::remove_dir_all(&folder).unwrap();
    }
}
