//! How shells set and unset variables.

/// A shell that reads lines of `configure export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shell {
    /// sh, bash, zsh, ksh
    Posix,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
}

impl Shell {
    /// The line, with its end, that sets the variable to exactly this text, or unsets it.
    pub(super) fn line(self, name: &str, value: Option<&str>) -> String {
        match (self, value) {
            (Self::Posix, Some(value)) => format!("export {name}={}\n", shell_words::quote(value)),
            // Shells that know no unset (fish) understand the first half, and do not keep what another account left.
            (Self::Posix, None) => format!("export {name}=; unset {name}\n"),
            (Self::Fish, Some(value)) => format!("set -gx {name} '{}'\n", value.replace('\\', "\\\\").replace('\'', "\\'")),
            (Self::Fish, None) => format!("set -e {name}\n"),
            (Self::Powershell, Some(value)) => format!("$env:{name} = '{}'\n", value.replace('\'', "''")),
            (Self::Powershell, None) => format!("Remove-Item -ErrorAction Ignore Env:{name}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shell;

    #[test]
    fn each_shell_reads_the_text_as_it_is() {
        let secret = "a'b\\$(x)`";
        assert_eq!(Shell::Fish.line("N", Some(secret)), "set -gx N 'a\\'b\\\\$(x)`'\n");
        assert_eq!(Shell::Fish.line("N", None), "set -e N\n");
        assert_eq!(Shell::Powershell.line("N", Some(secret)), "$env:N = 'a''b\\$(x)`'\n");
        assert_eq!(Shell::Powershell.line("N", None), "Remove-Item -ErrorAction Ignore Env:N\n");
        assert_eq!(Shell::Posix.line("N", Some("a b")), "export N='a b'\n");
        assert_eq!(Shell::Posix.line("N", None), "export N=; unset N\n");
    }
}
