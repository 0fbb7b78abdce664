// SPDX-License-Identifier: Apache-2.0
//! A TOML file of settings, read key by key. What is wrong is collected, so that a reader learns all of it at once.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt::{self, Write},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::account::shorten;

/// All that is wrong with a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    line: usize,
    /// The key and those of the tables around it; empty if TOML itself is at fault.
    key: String,
    said: String,
}

/// The text of a file, and what is wrong with it so far.
#[derive(Debug)]
struct Source<'a> {
    text: &'a str,
    faults: RefCell<Vec<Fault>>,
}

/// A table whose keys are taken one by one; those that are left at its end are unknown.
#[derive(Debug)]
pub struct Table<'a> {
    source: &'a Source<'a>,
    /// Where it begins.
    at: usize,
    path: String,
    entries: &'a DeTable<'a>,
    taken: RefCell<BTreeSet<&'static str>>,
}

/// A value, and the key that it has.
#[derive(Debug, Clone)]
pub struct Value<'a> {
    source: &'a Source<'a>,
    at: usize,
    key: String,
    is: &'a DeValue<'a>,
}

/// Reads a file by `take`, which returns `None` only if it has recorded a fault.
///
/// # Errors
/// All that is wrong with the file.
pub fn read<T>(text: &str, take: impl FnOnce(&Table<'_>) -> Option<T>) -> Result<T, Faults> {
    let source = Source { text, faults: RefCell::default() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        source.refuse(error);
    }
    source.end()?;
    let taken = take(&Table::new(&source, 0, String::new(), document.get_ref()));
    source.end()?;
    Ok(taken.expect("cannot fail: what is missing is a fault"))
}

impl Source<'_> {
    /// What TOML itself says is wrong.
    fn refuse(&self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.fault(at, String::new(), error.message().to_owned());
    }

    /// What is wrong, if anything is.
    fn end(&self) -> Result<(), Faults> {
        let mut faults = self.faults.take();
        faults.sort();
        faults.dedup();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    fn fault(&self, at: usize, key: String, said: String) {
        let line = self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        self.faults.borrow_mut().push(Fault { line, key, said });
    }
}

impl<'a> Table<'a> {
    fn new(source: &'a Source<'a>, at: usize, path: String, entries: &'a DeTable<'a>) -> Self {
        Self { source, at, path, entries, taken: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub fn optional(&self, key: &'static str) -> Option<Value<'a>> {
        self.taken.borrow_mut().insert(key);
        let (_, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(self.value(key, value))
    }

    /// The value of a key that has to be there.
    pub fn required(&self, key: &'static str) -> Option<Value<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            self.fault(key, "is missing");
        }
        value
    }

    /// A key that is not there, or takes no effect, is wrong.
    pub fn fault(&self, key: &str, said: impl Into<String>) {
        self.source.fault(self.at, self.name(key), said.into());
    }

    /// Every key of a table whose keys are names, with its value, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut entries: Vec<_> =
            self.entries.iter().map(|(key, value)| (key.span().start, key.get_ref(), value)).collect();
        entries.sort_unstable_by_key(|(at, ..)| *at);
        entries.into_iter().map(|(_, key, value)| (&**key, self.value(key, value))).collect()
    }

    /// Refuses the keys that were not asked for.
    pub fn end(&self) {
        let taken = self.taken.borrow();
        for key in self.entries.keys().filter(|key| !taken.contains(&**key.get_ref())) {
            let known = taken.iter().copied().collect::<Vec<_>>().join(", ");
            let said = format!("is no key of this table, which has {known}");
            self.source.fault(key.span().start, self.name(&shorten(key.get_ref())), said);
        }
    }

    fn value(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        Value { source: self.source, at: value.span().start, key: self.name(key), is: value.get_ref() }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Value<'a> {
    pub fn fault(&self, said: impl Into<String>) {
        self.source.fault(self.at, self.key.clone(), said.into());
    }

    /// Whether it is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.is, DeValue::Table(_))
    }

    #[must_use]
    pub fn is_text(&self) -> bool {
        self.plain().is_some()
    }

    /// Its text, if it is one; if it is not, that is no fault.
    #[must_use]
    pub fn plain(&self) -> Option<&'a str> {
        match self.is {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        let DeValue::String(text) = self.is else {
            self.fault("is not a text; write it in quotes");
            return None;
        };
        if text.is_empty() || text.contains(char::is_control) {
            self.fault("is empty or has a control character in it");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        let flag = if let DeValue::Boolean(flag) = self.is { Some(*flag) } else { None };
        if flag.is_none() {
            self.fault("is neither true nor false");
        }
        flag
    }

    /// A whole number above 0.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        let count = match self.is {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let count = count.filter(|count| *count > 0);
        if count.is_none() {
            self.fault("is not a whole number above 0");
        }
        count
    }

    /// A list with at least one item, in which none is there twice.
    #[must_use]
    pub fn texts(&self) -> Vec<(Self, &'a str)> {
        let mut texts: Vec<(Self, &'a str)> = Vec::new();
        for item in self.items() {
            let Some(text) = item.text() else { continue };
            if texts.iter().any(|(_, known)| *known == text) {
                item.fault(format!("{:?} is there twice", shorten(text)));
            } else {
                texts.push((item, text));
            }
        }
        texts
    }

    /// A list of tables, each under a header of its own.
    pub fn tables(&self) -> Vec<Table<'a>> {
        self.items().iter().filter_map(Self::table).collect()
    }

    #[must_use]
    pub fn table(&self) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.is else {
            self.fault("is not a table");
            return None;
        };
        Some(Table::new(self.source, self.at, self.key.clone(), entries))
    }

    /// One of some names.
    pub fn one_of<T: Copy>(&self, known: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = known.iter().find(|(name, _)| *name == text).map(|(_, found)| *found);
        if found.is_none() {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            self.fault(format!("{:?} is none of {}", shorten(text), names.join(", ")));
        }
        found
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.is, DeValue::Array(items) if items.is_empty())
    }

    fn items(&self) -> Vec<Self> {
        match self.is {
            DeValue::Array(items) if !items.is_empty() => items
                .iter()
                .enumerate()
                .map(|(nth, item)| Self {
                    at: item.span().start,
                    key: format!("{}[{nth}]", self.key),
                    is: item.get_ref(),
                    ..self.clone()
                })
                .collect(),
            _ => {
                self.fault("is not a list with an item in it");
                Vec::new()
            }
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Fault { line, key, said }) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_char('\n')?;
            }
            match &**key {
                "" => write!(f, "line {line}: {said}")?,
                key => write!(f, "line {line}, {key}: {said}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
