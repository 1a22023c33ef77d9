//! `cargo xtask demo`.

#[derive(clap::Args)]
pub struct Arguments {
    /// Stop everything at the end instead of staying up
    #[arg(long)]
    once: bool,
}

pub fn run(_arguments: &Arguments) -> anyhow::Result<()> {
    Ok(())
}
