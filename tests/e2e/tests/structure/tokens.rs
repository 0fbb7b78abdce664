// SPDX-License-Identifier: Apache-2.0
//! The tokens of a Rust file, as far as imports need them: names, `::` and single characters. Comments and literals are
//! left out, and so is what is compiled for tests alone.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Name(String),
    PathSeparator,
    Other(char),
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self, Self::Name(name) if name == text)
    }
}

/// The tokens of a text, without those of tests.
pub(crate) fn of(text: &str) -> Vec<Token> {
    without_tests(&all(text))
}

fn all(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if first == '_' || first.is_alphabetic() {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..length].to_owned()));
            length
        } else if rest.starts_with("::") {
            tokens.push(Token::PathSeparator);
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Other(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long the string, character or lifetime is that a text begins with.
fn literal(text: &str) -> Option<usize> {
    let after_prefix = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - after_prefix.len();
    if let Some(raw) = after_prefix.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 1;
            return Some(prefix + 1 + begin + raw[begin..].find(&end)? + end.len());
        }
    }
    let quote = after_prefix.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let mut characters = after_prefix.char_indices().skip(1).peekable();
    if quote == '\'' {
        // A lifetime has no second quote.
        let mut ahead = after_prefix.chars().skip(1);
        let (first, second) = (ahead.next()?, ahead.next());
        if first != '\\' && second != Some('\'') {
            return Some(prefix + 1);
        }
    }
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return Some(prefix + at + 1);
        }
    }
    None
}

/// The tokens without each item that `#[cfg(test)]` is put on.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let marker = all("#[cfg(test)]");
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&marker) {
            at = end_of_item(tokens, at + marker.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item ends that begins there: after its `;` or its block.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Other('{') => depth += 1,
            Token::Other('}') => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(token, Token::Other(';' | '}')) {
            // A use tree ends with both.
            let is_use = tokens.get(at + 1) == Some(&Token::Other(';'));
            return at + 1 + usize::from(is_use && *token == Token::Other('}'));
        }
    }
    tokens.len()
}

#[test]
fn comments_literals_and_tests_are_left_out() {
    let text = r##"
        // use crate::comment;
        use crate::kept; /* use crate::comment; */
        fn f<'a>(x: &'a str) -> char { g("use crate::string \" ;", r#"crate::"raw" x"#, b'\'', '"', crate::also) }
        #[cfg(test)]
        use crate::for_tests::{A, B};
        #[cfg(test)]
        mod tests { use crate::for_tests; fn h() { } }
        fn last() {}
    "##;
    let names: Vec<String> = of(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Name(name) => Some(name),
            _ => None,
        })
        .collect();
    let expected = "use crate kept fn f x str char g crate also fn last";
    assert_eq!(names.iter().filter(|name| *name != "a").cloned().collect::<Vec<_>>().join(" "), expected);
}
