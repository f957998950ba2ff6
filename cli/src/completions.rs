//! `gatehouse completions`: a script that completes commands and flags in a shell.

use clap_complete::Shell;

use crate::app::App;
use crate::args;
use crate::fault::Failure;

/// Print the script by which a shell completes commands and flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse completions bash
  gatehouse completions zsh
  gatehouse completions fish

Where it goes: bash, ~/.local/share/bash-completion/completions/gatehouse; zsh, _gatehouse in a folder of $fpath; fish,
~/.config/fish/completions/gatehouse.fish; powershell and elvish, into the file that the shell reads at its start.

See also: gatehouse man")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// None; it is a script or nothing.
pub fn run(args: &Args, app: &App) -> Result<(), Failure> {
    app.show.text(&script(args.shell));
    Ok(())
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::whole(), "gatehouse", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["describe", "if-revision", "edge-listen", "public-url"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
