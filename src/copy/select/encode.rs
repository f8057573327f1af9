//! `--conflict encode`: names for keys that cannot be placed as they are. Percent-decoding the path gives the key again, so no
//! two keys get the same name.

use std::fmt::Write as _;

use crate::copy::key::{Place, check_name, is_partial};

/// The place of a key, relative to the prefix, with what stands in the way percent-encoded. From byte `blocked` on, no slash
/// divides any more, because what is before it is a file. What is named like a folder becomes a file if `has_content`.
///
/// # Errors
/// Why it cannot be placed even so: a part of it is too long.
pub fn encode(relative: &str, blocked: Option<usize>, has_content: bool) -> Result<Place, String> {
    let blocked = blocked.unwrap_or(usize::MAX);
    let folder = relative.strip_suffix('/').filter(|path| !path.is_empty() && !has_content && path.len() < blocked);
    let path = folder.unwrap_or(relative);
    let bytes = path.as_bytes();
    let mut encoded = String::with_capacity(path.len());
    for (at, letter) in path.char_indices() {
        let is_escape = || bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let divides = || at > 0 && bytes[at - 1] != b'/' && at + 1 < bytes.len() && at < blocked;
        match letter {
            '/' if !divides() => percent(&mut encoded, '/'),
            '%' if is_escape() => percent(&mut encoded, '%'),
            letter if letter.is_control() => percent(&mut encoded, letter),
            letter => encoded.push(letter),
        }
    }
    let dotless = |part: &str| match part {
        "." | ".." => part.replace('.', "%2E"),
        part if is_partial(part) => part.replacen('.', "%2E", 1),
        part => part.to_owned(),
    };
    let path = encoded.split('/').map(dotless).collect::<Vec<_>>().join("/");
    path.split('/').try_for_each(check_name)?;
    Ok(if folder.is_some() { Place::Folder(path) } else { Place::File(path) })
}

/// The name with every letter of its last part encoded: for file systems that do not tell `A` from `a`.
pub fn encode_letters(path: &str) -> String {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let mut encoded = path[..start].to_owned();
    let last = &path[start..];
    let mut digits = 0;
    for (at, letter) in last.char_indices() {
        let escape =
            letter == '%' && last.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        match letter {
            // What is encoded already stays so.
            letter if escape || digits > 0 => {
                digits = if escape { 2 } else { digits - 1 };
                encoded.push(letter);
            }
            letter if letter.is_alphabetic() => percent(&mut encoded, letter),
            letter => encoded.push(letter),
        }
    }
    encoded
}

fn percent(encoded: &mut String, letter: char) {
    for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
        write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::{encode, encode_letters};
    use crate::copy::key::Place;

    #[test]
    fn encodes_what_is_in_the_way() {
        let table = [
            ("a", None, false, Place::File("a".into())),
            ("a//b", None, false, Place::File("a/%2Fb".into())),
            ("/etc/passwd", None, false, Place::File("%2Fetc/passwd".into())),
            ("../x", None, false, Place::File("%2E%2E/x".into())),
            ("a/./b", None, false, Place::File("a/%2E/b".into())),
            ("a\n", None, false, Place::File("a%0A".into())),
            ("100%", None, false, Place::File("100%".into())),
            ("%41", None, false, Place::File("%2541".into())),
            ("a/b/c", Some(1), false, Place::File("a%2Fb%2Fc".into())),
            ("a/", Some(1), false, Place::File("a%2F".into())),
            ("a/", None, false, Place::Folder("a".into())),
            ("a/", None, true, Place::File("a%2F".into())),
            ("a//", None, false, Place::Folder("a%2F".into())),
            ("/", None, false, Place::File("%2F".into())),
        ];
        for (key, blocked, has_content, expected) in table {
            assert_eq!(encode(key, blocked, has_content).unwrap(), expected, "{key}");
        }
        assert!(encode(&"x".repeat(256), None, false).is_err());
        assert_eq!(encode_letters("Dir/a1%2Fé"), "Dir/%611%2F%C3%A9");
    }

    proptest! {
        #[test]
        fn can_be_read_back(key in "[a./%25F\u{1}é]{1,12}", has_content: bool, blocked in proptest::option::of(1_usize..6)) {
            let decode = |path: &str| percent_decode_str(path).decode_utf8().unwrap().into_owned();
            match encode(&key, blocked, has_content).unwrap() {
                Place::File(path) => {
                    prop_assert_eq!(decode(&path), key.clone());
                    prop_assert_eq!(decode(&encode_letters(&path)), key);
                }
                Place::Folder(path) => prop_assert_eq!(decode(&path) + "/", key),
            }
        }
    }
}
