//! Command line and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::doctor;

/// Keeps Microsoft 365 shared mailboxes as their Kubernetes resources declare them.
#[derive(Debug, Parser)]
#[command(name = "shared-mailbox-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator.
    Run(Run),
    /// Checks on a real tenant what the operator assumes of Exchange and Graph.
    Doctor(doctor::args::Arguments),
    /// Prints the CRDs as YAML, for kubectl apply --server-side.
    Crd,
    /// Prints an example of every metric, as /metrics shows them: for whoever writes dashboards and alerts.
    #[command(hide = true)]
    Metrics,
    /// Prints the table of settings as Markdown, for docs/settings.md.
    #[command(hide = true)]
    Settings,
}

#[derive(Debug, Parser)]
pub struct Run {
    /// The namespace that holds credentials.
    #[arg(long, env = "SMO_OPERATOR_NAMESPACE", default_value = "shared-mailbox-system")]
    pub operator_namespace: String,

    /// The namespace in which a Lease for each tenant shows which installation serves it. All installations of a cluster
    /// must share it.
    #[arg(long, env = "SMO_TENANT_LEASE_NAMESPACE", default_value = "kube-system")]
    pub tenant_lease_namespace: String,

    /// Hosts that ExchangeTenants may name as endpoints, as HOST[:PORT], separated by commas. None by default.
    #[arg(
        long,
        env = "SMO_ALLOW_ENDPOINT_OVERRIDES",
        value_delimiter = ',',
        value_name = "HOST[:PORT]"
    )]
    pub allow_endpoint_overrides: Vec<String>,

    /// The service account token that workload identity federation exchanges for access tokens: a projected volume, whose
    /// audience Entra expects.
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    pub federated_token_file: Option<PathBuf>,

    /// Whether replicas agree, through a Lease in the operator's namespace, on one that works. Without it only one
    /// may run.
    #[arg(long, env = "SMO_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,

    /// The name of this replica in the Lease, unique among them: the pod's name. Random by default.
    #[arg(long, env = "SMO_IDENTITY")]
    pub identity: Option<String>,

    /// Where health and metrics are served.
    #[arg(
        long,
        env = "SMO_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,

    /// Mailboxes worked on at a time. Requests to Exchange have a limit of their own, for each tenant.
    #[arg(long, env = "SMO_CONCURRENCY", default_value_t = 64)]
    pub concurrency: usize,

    #[arg(long, env = "SMO_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// What is logged, as in info,kube=warn.
    #[arg(long, env = "SMO_LOG", default_value = "info")]
    pub log: String,

    /// A file whose text replaces --log while the operator runs, such as a mounted ConfigMap: read every five
    /// seconds; --log holds while it is empty or not there.
    #[arg(long, env = "SMO_LOG_FROM", value_name = "FILE")]
    pub log_from: Option<PathBuf>,

    /// Certificates (PEM) of authorities that are trusted for Exchange, Entra and Graph beside the system's, such as
    /// a proxy's that inspects TLS.
    #[arg(long, env = "SMO_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_booleans_and_addresses_are_read_as_documented() {
        let cli = Cli::try_parse_from([
            "shared-mailbox-operator",
            "run",
            "--operator-namespace=mail",
            "--allow-endpoint-overrides=127.0.0.1:8800,simulator.mail.svc:80",
            "--leader-elect=false",
            "--listen=127.0.0.1:0",
        ])
        .unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert_eq!(
            run.allow_endpoint_overrides,
            ["127.0.0.1:8800", "simulator.mail.svc:80"]
        );
        assert!(!run.leader_elect);
        assert_eq!(run.listen.port(), 0);
        assert!(Cli::try_parse_from(["shared-mailbox-operator", "run", "--leader-elect=perhaps"]).is_err());
    }
}
