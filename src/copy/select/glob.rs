//! Patterns over names with `/` between their parts. Matching takes time in proportion to pattern and name, never more: all
//! ways to match are followed at once, none is tried again.

/// Tokens between the literal ends of a pattern at most.
const LONGEST: usize = 255;

/// A compiled pattern: `*` and `?` within a part, `**` across parts, `[a-z]`, `[!a-z]`, `\` before what is meant literally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    // What a pattern begins and ends with is most often literal, and compared as such.
    prefix: String,
    middle: Vec<Token>,
    suffix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    // One character of a part.
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
    // Any number of characters of one part.
    Star,
    // `**/` at the beginning of a part: nothing, or whole parts with their slashes.
    Folders,
    // `**` elsewhere: anything.
    Everything,
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        let mut tokens = tokens(pattern)?;
        let literal = |token: &Token| if let Token::Char(letter) = token { Some(*letter) } else { None };
        let prefix: String = tokens.iter().map_while(literal).collect();
        tokens.drain(..prefix.chars().count());
        let mut suffix: Vec<char> = tokens.iter().rev().map_while(literal).collect();
        tokens.truncate(tokens.len() - suffix.len());
        suffix.reverse();
        if tokens.len() > LONGEST {
            return Err(format!(
                "it is too long: at most {LONGEST} characters may stand between the first and the last wildcard"
            ));
        }
        Ok(Self { prefix, middle: tokens, suffix: suffix.into_iter().collect() })
    }

    /// What everything that matches begins with.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(self.prefix.as_str()) else { return false };
        let Some(rest) = rest.strip_suffix(self.suffix.as_str()) else { return false };
        match self.middle.as_slice() {
            [] => rest.is_empty(),
            [Token::Star] => !rest.contains('/'),
            [Token::Everything] => true,
            [Token::Folders] => rest.is_empty() || rest.ends_with('/'),
            tokens => simulate(tokens, rest),
        }
    }
}

/// Positions in the tokens that the text so far can have led to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct States([u64; 4]);

impl States {
    fn set(&mut self, position: usize) {
        self.0[position / 64] |= 1 << (position % 64);
    }

    fn has(&self, position: usize) -> bool {
        self.0[position / 64] & (1 << (position % 64)) != 0
    }

    /// Sets a position, and those behind wildcards that may match nothing.
    fn reach(&mut self, tokens: &[Token], mut position: usize) {
        self.set(position);
        while matches!(tokens.get(position), Some(Token::Star | Token::Folders | Token::Everything)) {
            position += 1;
            self.set(position);
        }
    }
}

fn simulate(tokens: &[Token], text: &str) -> bool {
    let mut states = States::default();
    states.reach(tokens, 0);
    for letter in text.chars() {
        let mut next = States::default();
        for (position, token) in tokens.iter().enumerate().filter(|(position, _)| states.has(*position)) {
            match token {
                Token::Everything => next.reach(tokens, position),
                Token::Star if letter != '/' => next.reach(tokens, position),
                // Only whole parts: what follows begins after a slash.
                Token::Folders if letter == '/' => next.reach(tokens, position),
                Token::Folders => next.set(position),
                token if token.takes(letter) => next.reach(tokens, position + 1),
                _ => {}
            }
        }
        if next == States::default() {
            return false;
        }
        states = next;
    }
    states.has(tokens.len())
}

impl Token {
    /// Whether it takes this as its one character.
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Char(own) => *own == letter,
            Self::Any => letter != '/',
            Self::Class { negated, ranges } => {
                letter != '/' && ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *negated
            }
            _ => false,
        }
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let letters: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        at += 1;
        let token = match letter {
            '*' => {
                let first = at - 1;
                while letters.get(at) == Some(&'*') {
                    at += 1;
                }
                let begins_part = first == 0 || letters[first - 1] == '/';
                match at - first {
                    1 => Token::Star,
                    _ if begins_part && letters.get(at) == Some(&'/') => {
                        at += 1;
                        Token::Folders
                    }
                    _ => Token::Everything,
                }
            }
            '?' => Token::Any,
            '[' => class(&letters, &mut at)?,
            '\\' => {
                at += 1;
                Token::Char(*letters.get(at - 1).ok_or("it ends with a backslash; write two to mean one")?)
            }
            letter => Token::Char(*letter),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// Reads from behind the `[` to behind the `]`.
fn class(letters: &[char], at: &mut usize) -> Result<Token, String> {
    let unclosed = "it has a [ without a ]; write \\[ to mean the character";
    let negated = matches!(letters.get(*at), Some('!' | '^'));
    *at += usize::from(negated);
    let first = *at;
    let mut ranges = Vec::new();
    let one = |at: &mut usize| -> Result<char, String> {
        if letters.get(*at) == Some(&'\\') {
            *at += 1;
        }
        *at += 1;
        letters.get(*at - 1).copied().ok_or_else(|| unclosed.to_owned())
    };
    loop {
        match letters.get(*at) {
            None => return Err(unclosed.to_owned()),
            // As the first character it stands for itself.
            Some(']') if *at > first => break,
            Some(_) => {}
        }
        let low = one(at)?;
        let is_range = letters.get(*at) == Some(&'-') && letters.get(*at + 1).is_some_and(|next| *next != ']');
        let high = if is_range {
            *at += 1;
            one(at)?
        } else {
            low
        };
        if high < low {
            return Err(format!("its range {low}-{high} is the wrong way round"));
        }
        ranges.push((low, high));
    }
    *at += 1;
    Ok(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Glob, Token, tokens};

    #[test]
    fn matches_whole_names() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a", &["a"], &["", "b", "aa", "a/a"]),
            ("*", &["a", "a.b", ""], &["a/b", "/"]),
            ("*.txt", &[".txt", "a.txt"], &["a.txt.gz", "a/b.txt", "txt"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "acb", "a/bc"]),
            ("a/*", &["a/b", "a/"], &["a", "a/b/c", "ab"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "b/a/c"]),
            ("**", &["", "a", "a/b"], &[]),
            ("**/x", &["x", "a/x", "a/b/x"], &["ax", "a/bx", "x/a"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "b", "a/b/c"]),
            ("a**b", &["ab", "a/b", "axx/yb"], &["ba", "ac"]),
            ("**.txt", &["a.txt", "a/b.txt"], &["a.text"]),
            ("***", &["a/b"], &[]),
            ("?", &["a", "é", "😀"], &["", "ab", "/"]),
            ("a?c", &["abc"], &["a/c", "ac"]),
            ("[a-cx]", &["a", "c", "x"], &["d", "", "/"]),
            ("[!a-c]", &["d", "é"], &["a", "/"]),
            ("[^a]b", &["bb"], &["ab"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[\\]]", &["]"], &["\\"]),
            ("\\*", &["*"], &["a"]),
            ("a\\[b", &["a[b"], &["ab"]),
            ("{a,b}", &["{a,b}"], &["a"]),
            ("*/*/c", &["a/b/c"], &["a/c", "a/b/b/c"]),
            ("ab*ba", &["abba", "abXba"], &["aba"]),
        ];
        for (pattern, yes, no) in table {
            let glob = Glob::parse(pattern).unwrap();
            for name in *yes {
                assert!(glob.matches(name), "{pattern} should match {name:?}");
            }
            for name in *no {
                assert!(!glob.matches(name), "{pattern} should not match {name:?}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, words) in [("", "empty"), ("[a", "without a ]"), ("a\\", "backslash"), ("[b-a]", "wrong way"), ("[", "]")]
        {
            assert!(Glob::parse(pattern).unwrap_err().contains(words), "{pattern}");
        }
        assert!(Glob::parse(&"?".repeat(256)).is_err());
        assert!(Glob::parse(&"a".repeat(1024)).is_ok());
    }

    #[test]
    fn stays_quick() {
        let glob = Glob::parse(&"*a".repeat(100)).unwrap();
        assert!(!glob.matches(&format!("{}b", "a".repeat(1000))));
        let glob = Glob::parse(&format!("{}b", "**a".repeat(60))).unwrap();
        assert!(!glob.matches(&"a/".repeat(500)));
    }

    /// The definition, exponential and plain.
    fn matches_slowly(tokens: &[Token], text: &[char]) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
        let splits = |allowed: &dyn Fn(&[char]) -> bool| {
            (0..=text.len()).any(|split| allowed(&text[..split]) && matches_slowly(rest, &text[split..]))
        };
        match token {
            Token::Star => splits(&|taken| !taken.contains(&'/')),
            Token::Everything => splits(&|_| true),
            Token::Folders => splits(&|taken| taken.is_empty() || taken.ends_with(&['/'])),
            token => text.first().is_some_and(|letter| token.takes(*letter)) && matches_slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*?]{1,7}", name in "[ab/]{0,7}") {
            let letters: Vec<char> = name.chars().collect();
            let expected = matches_slowly(&tokens(&pattern).unwrap(), &letters);
            prop_assert_eq!(Glob::parse(&pattern).unwrap().matches(&name), expected);
        }

        #[test]
        fn never_panics(pattern in "\\PC{0,20}", name in "\\PC{0,20}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                glob.matches(&name);
            }
        }
    }
}
