//! `streamgauge completions`: scripts that let a shell complete commands and flags.

use std::io::Write as _;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Ending;
use crate::output;

/// Print a shell's completion script.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge completions bash > ~/.local/share/bash-completion/completions/streamgauge
  streamgauge completions zsh  > \"${fpath[1]}/_streamgauge\"
  streamgauge completions fish > ~/.config/fish/completions/streamgauge.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Ending> {
    let shell = match args.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    // The generator panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "streamgauge", &mut script);
    output::print(|out| out.write_all(&script))?;
    Ok(Ending::Done)
}
