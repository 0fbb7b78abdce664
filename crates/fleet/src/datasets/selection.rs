// SPDX-License-Identifier: Apache-2.0
//! Which resources of a dataset are selected.

/// Of which dataset something was chosen, and which resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The name of the whole dataset.
    pub of: String,
    /// Patterns of which one matches a value of the resource; none if all are chosen.
    pub resources: Vec<Pattern>,
    /// The keys of tags, all of which a resource has, each with patterns of which one matches its value.
    pub tags: Vec<(String, Vec<Pattern>)>,
}

/// A text in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Selection {
    /// Whether a resource is chosen: one of its values matches a pattern.
    #[must_use]
    pub fn has<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        self.resources.is_empty()
            || values.into_iter().any(|value| self.resources.iter().any(|pattern| pattern.matches(value)))
    }

    /// Whether a resource is chosen by its tags.
    pub fn has_tags<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.tags.iter().all(|(key, patterns)| {
            value_of(key).is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
        })
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut left) = text.strip_prefix(first) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return left.ends_with(part);
            }
            // The first place leaves the most to the parts after it.
            match left.split_once(part) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a**b", "ab", true),
            ("a*bc*c", "abcc", true),
            ("a*bc*cc", "abcc", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(Pattern(pattern.to_owned()).matches(text), expected, "{pattern} {text}");
        }
    }
}
