//! Watches over everything that leaves the process for the client secret and for tokens.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// The client secret of the simulated tenant, and how each of its access tokens starts.
const FORBIDDEN: [&str; 2] = ["simulated-secret", "eyJ"];

/// What was found so far. Clones share it.
#[derive(Clone, Default)]
pub struct Secrets {
    found: Arc<Mutex<Vec<String>>>,
}

impl Secrets {
    /// Searches secrets in `bytes`, which left through `door`.
    pub fn search(&self, door: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for secret in FORBIDDEN {
            if let Some(at) = text.find(secret) {
                let before = text.get(at.saturating_sub(80)..at).unwrap_or_default();
                let mut found = self.found.lock();
                if found.len() < 5 {
                    found.push(format!("{secret:?} in {door}: …{before}{secret}…"));
                }
            }
        }
    }

    pub fn found(&self) -> Vec<String> {
        self.found.lock().clone()
    }

    /// Searches every line that this thread logs, at every level of ours, until the guard is dropped.
    pub fn watch_logs(&self) -> DefaultGuard {
        let filter = tracing_subscriber::EnvFilter::new("shared_mailbox_operator=trace,kube=debug,warn");
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

/// A log writer that keeps nothing; prints when `SMO_SIMULATION_LOGS` is set, for whoever examines one run.
pub struct Reader(Secrets, bool);

impl io::Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.search("a log line", bytes);
        if self.1 {
            eprint!("{}", String::from_utf8_lossy(bytes));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Secrets {
    type Writer = Reader;

    fn make_writer(&'a self) -> Reader {
        Reader(self.clone(), std::env::var_os("SMO_SIMULATION_LOGS").is_some())
    }
}
