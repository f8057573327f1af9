//! The command line as the shells hand it over.

use crate::cli::complete::Shell;
use crate::settings::env::Env;

/// The words before the cursor, and the one it is in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Words before the current one; the first is the program.
    pub(super) words: Vec<String>,
    /// The current word up to the cursor, without its quotes; empty between two words.
    pub(super) current: String,
    /// Bytes of the current word that the shell does not replace: up to an unquoted `:` or `=` in Bash.
    kept: usize,
    /// The quote that the current word is in.
    quote: Option<char>,
}

impl Line {
    /// Reads the variables that the shell's script sets.
    pub(super) fn read(shell: Shell, env: &Env) -> Self {
        let words = env.get("COMP_WORDS").unwrap_or_default();
        let index = || env.get("COMP_CWORD").and_then(|index| index.parse().ok()).unwrap_or_default();
        match shell {
            // The words of Bash end at `:` and `=`; the line says what the user wrote.
            Shell::Bash => match env.get("_MA_CLI_LINE") {
                Some(line) => Self::parse(line, env.get("_MA_CLI_BREAKS").unwrap_or_default(), false),
                None => Self::at(split(words), index()),
            },
            Shell::Zsh => Self::at(split(words), index()),
            // Fish hands over the line up to the cursor.
            Shell::Fish => Self::parse(words, "", true),
            // These take the words apart themselves.
            Shell::PowerShell | Shell::Elvish => Self::at(words.split('\n').map(str::to_owned).collect(), index()),
        }
    }

    fn at(mut words: Vec<String>, index: usize) -> Self {
        let current = words.get(index).cloned().unwrap_or_default();
        words.truncate(index);
        Self { words, current, kept: 0, quote: None }
    }

    /// What Bash is to put in the place of the part of the current word that it replaces. It inserts that as it is, so it is
    /// quoted here: Bash's own quoting of file names leaves `$` and `)` alone.
    pub(super) fn replacement(&self, value: &str) -> String {
        let kept = self.current.get(..self.kept).unwrap_or_default();
        let rest = match (value.get(..self.kept), value.get(self.kept..)) {
            (Some(start), Some(rest)) if start.eq_ignore_ascii_case(kept) => rest,
            _ => value,
        };
        match self.quote {
            Some('\'') => rest.replace('\'', r"'\''"),
            // Between these quotes `!` means the history, even after a backslash.
            Some(_) => escaped(rest, |character| r#"$`\""#.contains(character)).replace('!', r#""'!'""#),
            None => escaped(rest, |character| {
                character.is_whitespace()
                    || (character.is_ascii() && !character.is_ascii_alphanumeric() && !"_-.,:/@%+=".contains(character))
            }),
        }
    }

    /// Takes a line apart as a shell would, forgiving a quote that is still open. `breaks` are the characters at which the shell
    /// begins a word that it replaces.
    fn parse(line: &str, breaks: &str, is_fish: bool) -> Self {
        let mut parsed = Self::default();
        let mut word = None::<String>;
        // The quote that is open, and how much of the word stands before it.
        let mut quote = None::<(char, usize)>;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some((open, _)), _) if character == open => quote = None,
                (None, '\'' | '"') => quote = Some((character, word.get_or_insert_default().len())),
                (Some((open, _)), '\\') => {
                    let escapes = if open == '"' { "\"\\$`" } else { "'\\" };
                    let is_escape = (is_fish || open == '"') && characters.peek().is_some_and(|next| escapes.contains(*next));
                    let literal = if is_escape { characters.next() } else { Some('\\') };
                    word.get_or_insert_default().extend(literal);
                }
                (None, '\\') => word.get_or_insert_default().extend(characters.next()),
                (None, blank) if blank.is_whitespace() => {
                    parsed.words.extend(word.take());
                    parsed.kept = 0;
                }
                _ => {
                    let word = word.get_or_insert_default();
                    word.push(character);
                    if quote.is_none() && breaks.contains(character) {
                        parsed.kept = word.len();
                    }
                }
            }
        }
        if let Some((open, before)) = quote {
            parsed.kept = before;
            parsed.quote = Some(open);
        }
        parsed.current = word.unwrap_or_default();
        parsed
    }
}

fn escaped(text: &str, needs: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if needs(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// All words; the last one may be open.
fn split(text: &str) -> Vec<String> {
    let Line { mut words, current, .. } = Line::parse(text, "", false);
    if !current.is_empty() {
        words.push(current);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{Line, split};

    const BREAKS: &str = " \t\n\"'><=;|&(:";

    #[test]
    fn words_are_split_as_by_a_shell() {
        assert_eq!(split(r#"ma-cli 'a b' "c \" d" e\ f '' "open q"#), ["ma-cli", "a b", "c \" d", "e f", "", "open q"]);
    }

    #[test]
    fn the_current_word_ends_at_the_cursor() {
        let line = Line::parse("ma-cli obs ls ", BREAKS, false);
        assert_eq!((line.words.len(), line.current.as_str()), (3, ""));
        let line = Line::parse(r"ma-cli obs ls obs://b/a\ b", BREAKS, false);
        assert_eq!((line.words.len(), line.current.as_str()), (3, "obs://b/a b"));
        let fish = Line::parse(r"ma-cli -P 'it\'s", "", true);
        assert_eq!(fish.current, "it's");
        let bash = Line::parse(r"ma-cli -P 'a\b", BREAKS, false);
        assert_eq!(bash.current, r"a\b");
    }

    #[test]
    fn bash_replaces_what_follows_the_last_break() {
        let replaced = |line: &str, value: &str| Line::parse(line, BREAKS, false).replacement(value);
        assert_eq!(replaced("ma-cli obs ls obs://b/k", "obs://b/key"), "//b/key");
        assert_eq!(replaced("ma-cli --format=j", "--format=json"), "json");
        assert_eq!(replaced(r"ma-cli x obs\://b/k", "obs://b/key"), "obs://b/key");
        assert_eq!(replaced(r#"ma-cli x "obs://b/k"#, "obs://b/key"), "obs://b/key");
        assert_eq!(replaced("ma-cli --state=\"Fa", "--state=Failed"), "Failed");
        assert_eq!(replaced("ma-cli x S3://b", "obs://bucket/"), "obs://bucket/");
    }

    #[test]
    fn bash_is_given_quoted_words() {
        let replaced = |line: &str, value: &str| Line::parse(line, BREAKS, false).replacement(value);
        assert_eq!(replaced("ma-cli x a", "a$(id) `b`;'!~é"), r"a\$\(id\)\ \`b\`\;\'\!\~é");
        assert_eq!(replaced("ma-cli x 'a", "a'$b"), r"a'\''$b");
        assert_eq!(replaced("ma-cli x \"a", "a$(b) \"\\!"), r#"a\$(b) \"\\"'!'""#);
    }

    proptest::proptest! {
        /// What is put into the line is read back as the name, whatever quote is open.
        #[test]
        fn quoted_names_are_read_back(quote in "['\"]?", name in "[^\u{0}-\u{1f}]{1,12}") {
            let start: String = name.chars().take(1).filter(|first| first.is_ascii_alphanumeric()).collect();
            let line = format!("ma-cli -P {quote}{start}");
            let inserted = Line::parse(&line, BREAKS, false).replacement(&name);
            let whole = Line::parse(&format!("ma-cli -P {quote}{inserted}"), BREAKS, false);
            proptest::prop_assert_eq!(whole.current, name);
        }
    }
}
