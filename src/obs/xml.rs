//! A reader for the store's lists: the few constructs their documents are made of, over the bytes as they came.
//!
//! Pure, and safe with hostile input: it holds no more than the document, goes no deeper than `DEEPEST`, and never ends before
//! the document's end without an error. Unknown elements are skipped, prefixes of names are ignored.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem};

/// Elements may be nested this deep; the documents of stores have four levels.
const DEEPEST: usize = 32;

/// A document that cannot be read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document is malformed: {reason} (at byte {position})")]
pub struct Malformed {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, in bytes from the start.
    pub position: usize,
}

/// Reads a document element by element.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    // Full names of the elements around the position.
    open: Vec<&'a [u8]>,
    // The element just opened was written `<name/>`: its end is still to be told.
    is_empty: bool,
}

enum Token<'a> {
    Open(&'a [u8]),
    Close,
    // As written, or literal.
    Text { bytes: &'a [u8], escaped: bool },
    End,
}

impl<'a> Reader<'a> {
    /// A reader at the start of a document.
    pub fn new(bytes: &'a [u8]) -> Self {
        let position = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Self { bytes, position, open: Vec::with_capacity(8), is_empty: false }
    }

    /// The next element inside the current one, its prefix cut off; `None` at the end of the current one. What is then not
    /// read with [`Self::text`] or by further calls must be left with [`Self::skip`].
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn child(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        loop {
            match self.token()? {
                Token::Open(name) => return Ok(Some(name)),
                Token::Close | Token::End => return Ok(None),
                Token::Text { .. } => {}
            }
        }
    }

    /// The text of the element just opened, to its end; what is nested in it is skipped.
    ///
    /// # Errors
    /// [`Malformed`], also for text that is not UTF-8.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.token()? {
                Token::Open(_) => self.skip()?,
                Token::Close | Token::End => return Ok(text),
                Token::Text { bytes, escaped } => {
                    let piece = std::str::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))?;
                    let piece = if escaped { self.unescape(piece)? } else { Cow::Borrowed(piece) };
                    if text.is_empty() { text = piece } else { text.to_mut().push_str(&piece) }
                }
            }
        }
    }

    /// Leaves the element just opened.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn skip(&mut self) -> Result<(), Malformed> {
        let depth = self.open.len();
        while self.open.len() >= depth {
            self.token()?;
        }
        Ok(())
    }

    /// Makes sure that nothing but blanks and comments follows the end of the root element.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn end(&mut self) -> Result<(), Malformed> {
        match self.token()? {
            Token::End => Ok(()),
            _ => Err(self.malformed("something follows its end")),
        }
    }

    fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed { reason, position: self.position.min(self.bytes.len()) }
    }

    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        if std::mem::take(&mut self.is_empty) {
            self.open.pop();
            return Ok(Token::Close);
        }
        loop {
            let rest = &self.bytes[self.position..];
            match rest {
                [] if self.open.is_empty() => return Ok(Token::End),
                [] => return Err(self.malformed("it ends early")),
                [b'<', b'/', ..] => return self.close().map(|()| Token::Close),
                [b'<', b'?', ..] => self.past(b"?>")?,
                [b'<', b'!', ..] if rest.starts_with(b"<!--") => self.past(b"-->")?,
                [b'<', b'!', ..] if rest.starts_with(b"<![CDATA[") => {
                    let start = self.position + b"<![CDATA[".len();
                    self.past(b"]]>")?;
                    if self.open.is_empty() {
                        return Err(self.malformed("text outside of any element"));
                    }
                    return Ok(Token::Text { bytes: &self.bytes[start..self.position - b"]]>".len()], escaped: false });
                }
                // Definitions of entities are how small documents become large ones; stores send none.
                [b'<', b'!', ..] => return Err(self.malformed("a document type")),
                [b'<', ..] => return self.open(),
                _ => {
                    let length = memchr(b'<', rest).unwrap_or(rest.len());
                    let text = &rest[..length];
                    if self.open.is_empty() && !text.iter().all(u8::is_ascii_whitespace) {
                        return Err(self.malformed("text outside of any element"));
                    }
                    self.position += length;
                    if !self.open.is_empty() {
                        return Ok(Token::Text { bytes: text, escaped: true });
                    }
                }
            }
        }
    }

    /// Moves past the next occurrence of what ends the construct at the position.
    fn past(&mut self, end: &'static [u8]) -> Result<(), Malformed> {
        // The start of a construct is no part of its end: `<!-->` is not closed.
        let from = (self.position + end.len() + 1).min(self.bytes.len());
        let found = memmem::find(&self.bytes[from..], end).ok_or_else(|| self.malformed("it ends early"))?;
        self.position = from + found + end.len();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Malformed> {
        let start = self.position + 2;
        let length = memchr(b'>', &self.bytes[start..]).ok_or_else(|| self.malformed("it ends early"))?;
        let name = self.bytes[start..start + length].trim_ascii_end();
        if self.open.pop() != Some(name) {
            return Err(self.malformed("an end without its start"));
        }
        self.position = start + length + 1;
        Ok(())
    }

    fn open(&mut self) -> Result<Token<'a>, Malformed> {
        if self.open.len() == DEEPEST {
            return Err(self.malformed("elements nested too deep"));
        }
        let start = self.position + 1;
        let mut end = start;
        loop {
            let found = memchr3(b'>', b'"', b'\'', &self.bytes[end..]).ok_or_else(|| self.malformed("it ends early"))?;
            end += found;
            if self.bytes[end] == b'>' {
                break;
            }
            // A value in quotes may hold what else ends the element.
            let closed = memchr(self.bytes[end], &self.bytes[end + 1..]).ok_or_else(|| self.malformed("it ends early"))?;
            end += closed + 2;
        }
        let inner = &self.bytes[start..end];
        let inner = match inner {
            [inner @ .., b'/'] => {
                self.is_empty = true;
                inner
            }
            inner => inner,
        };
        let name = &inner[..inner.iter().position(u8::is_ascii_whitespace).unwrap_or(inner.len())];
        if name.is_empty() {
            return Err(self.malformed("an element without a name"));
        }
        self.open.push(name);
        self.position = end + 1;
        Ok(Token::Open(memchr(b':', name).map_or(name, |colon| &name[colon + 1..])))
    }

    fn unescape(&self, text: &'a str) -> Result<Cow<'a, str>, Malformed> {
        let Some(first) = memchr(b'&', text.as_bytes()) else { return Ok(Cow::Borrowed(text)) };
        let mut plain = String::with_capacity(text.len());
        let (start, mut rest) = text.split_at(first);
        plain.push_str(start);
        while let Some(escape) = rest.strip_prefix('&') {
            let unknown = || self.malformed("an escape that means nothing");
            let (name, after) = escape.split_once(';').ok_or_else(unknown)?;
            plain.push(character(name).ok_or_else(unknown)?);
            let next = memchr(b'&', after.as_bytes()).unwrap_or(after.len());
            let (literal, following) = after.split_at(next);
            plain.push_str(literal);
            rest = following;
        }
        Ok(Cow::Owned(plain))
    }
}

/// What stands between `&` and `;`.
fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
    }
}

/// Text as the content of an element.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\r']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DEEPEST, Reader, escape};

    /// Texts of the root's children.
    fn children(document: &[u8]) -> Result<Vec<(String, String)>, super::Malformed> {
        let mut reader = Reader::new(document);
        let mut found = Vec::new();
        if reader.child()?.is_some() {
            while let Some(name) = reader.child()? {
                let name = String::from_utf8_lossy(name).into_owned();
                found.push((name, reader.text()?.into_owned()));
            }
        }
        reader.end()?;
        Ok(found)
    }

    #[test]
    fn reads_what_stores_write() {
        let document = b"\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- a > b --><r xmlns=\"http://x/>y\" a='\"'>\n <a>1 &lt;&#65;&#x4e2D;&amp;amp;</a>\
            <ns:b x=\"1\">t<deep><er/>no</deep>u</ns:b><c/><d  ></d ><e><![CDATA[a<b&c]]>d</e></r>\n";
        let expected = [("a", "1 <A中&amp;"), ("b", "tu"), ("c", ""), ("d", ""), ("e", "a<b&cd")];
        let found = children(document).unwrap();
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn refuses_what_is_malformed() {
        let deep = "<a>".repeat(DEEPEST + 1);
        let table: [&[u8]; 17] = [
            b"<r>",
            b"<r><a></r>",
            b"<r></r></r>",
            b"<r></r><s/>",
            b"<r>",
            b"<r><a>&unknown;</a></r>",
            b"<r><a>&#xD800;</a></r>",
            b"<r><a>&amp</a></r>",
            b"<r><a>\xFF</a></r>",
            b"<!DOCTYPE r [<!ENTITY a \"b\">]><r/>",
            b"<r><a x=\"></a></r>",
            b"<r>< a/></r>",
            b"<r><!--></r>",
            b"<r><![CDATA[</r>",
            b"text",
            b"<r/>text",
            deep.as_bytes(),
        ];
        for document in table {
            assert!(children(document).is_err(), "{}", String::from_utf8_lossy(document));
        }
        assert_eq!(children(b"").unwrap(), [], "who wants a root looks for one");
    }

    proptest! {
        #[test]
        fn reads_any_text_back(texts in proptest::collection::vec("\\PC*", 0..4)) {
            let body: String = texts.iter().map(|text| format!("<t>{}</t>", escape(text))).collect();
            let found = children(format!("<r>{body}</r>").as_bytes()).unwrap();
            prop_assert_eq!(found.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), texts);
        }

        #[test]
        fn never_panics_nor_runs_for_ever(document in "[<>/!?\\[\\]&;#xCDAT\"' \n:a-]{0,80}") {
            let _ = children(document.as_bytes());
        }

        #[test]
        fn a_document_cut_short_is_refused(cut in 1usize..60) {
            let document = b"<?xml version=\"1.0\"?><r x='y'><a>text</a><b><c/>&lt;</b></r>";
            prop_assert!(cut >= document.len() || cut < 24 || children(&document[..cut]).is_err());
        }
    }
}
