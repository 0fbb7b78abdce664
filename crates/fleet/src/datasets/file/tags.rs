// SPDX-License-Identifier: Apache-2.0
//! The keys about tags: of which type the resources of a dataset are, and which tags a configuration file names.

use std::collections::HashSet;

use super::columns::is_column;
use crate::{
    datasets::{
        Dataset, Shape,
        selection::Pattern,
        tag_columns::column_of,
        tags::{ArnPattern, Tags},
    },
    settings::{Table, Value},
};

/// As many as a resource has.
/// Source: <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
const MOST_KEYS: usize = 50;

/// Source: <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagFilter.html>
const MAX_KEY: usize = 128;

/// The keys `tags` and `arn` of a dataset.
pub(super) fn of_dataset(file: &Table<'_>, shape: Option<Shape>, resource: &[String]) -> Option<Tags> {
    let (resource_type, arn) = match (file.optional("tags"), file.optional("arn")) {
        (None, None) => return None,
        (Some(_), None) => {
            file.fault("arn", "is missing; tags are found by it");
            return None;
        }
        (None, Some(arn)) => {
            arn.fault("takes no effect without tags");
            return None;
        }
        (Some(resource_type), Some(arn)) => (resource_type, arn),
    };
    if shape == Some(Shape::NewestDay) {
        resource_type.fault("are not read in a dataset of shape newest_day");
    }
    let text = resource_type.text()?;
    if !is_resource_type(text) {
        resource_type.fault("is no type of resources; write it as ecs:service or sqs");
    }
    let pattern = ArnPattern::parse(arn.text()?, resource).map_err(|wrong| arn.fault(wrong)).ok()?;
    Some(Tags { resource_type: text.to_owned(), arn: pattern, keys: Vec::new() })
}

/// Whether a text is a service, and perhaps one of its types.
/// Source: <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html>
fn is_resource_type(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte))
    };
    match text.split_once(':') {
        Some((service, kind)) => is_word(service) && is_word(kind),
        None => is_word(text),
    }
}

/// The key `tag_keys` of a configuration file.
pub(in crate::datasets) fn keys(file: &Table<'_>) -> Vec<String> {
    let Some(list) = file.optional("tag_keys") else { return Vec::new() };
    let mut keys: Vec<String> = Vec::new();
    for (value, key) in list.texts() {
        let column = column_of(key);
        let same = keys.iter().find(|known| column_of(known) == column);
        if !is_key(key) {
            value.fault(format!("is longer than {MAX_KEY} characters"));
        } else if column == "tag_" || !is_column(&column) {
            value.fault(
                "makes no name of a column: it has no letters a to z or digits, or more than 60 characters",
            );
        } else if let Some(same) = same {
            value.fault(format!("makes the column {column}, as {same:?} does; leave one of them out"));
        } else {
            keys.push(key.to_owned());
        }
    }
    if keys.len() > MOST_KEYS {
        list.fault(format!("has more than {MOST_KEYS} keys"));
    }
    keys
}

/// Refuses keys whose columns a dataset has already.
pub(in crate::datasets) fn check_columns(file: &Table<'_>, dataset: &Dataset) {
    let Some(list) = file.optional("tag_keys").filter(|_| dataset.tags.is_some()) else { return };
    let mut names = HashSet::new();
    for column in &dataset.columns {
        if !names.insert(&column.name) {
            list.fault(format!(
                "makes the column {}, which the dataset {} has already",
                column.name, dataset.name
            ));
        }
    }
}

/// The key `tags` of a selection.
pub(super) fn of_selection(value: &Value<'_>, whole: Option<&Dataset>) -> Vec<(String, Vec<Pattern>)> {
    if let Some(whole) = whole.filter(|whole| whole.tags.is_none()) {
        value.fault(format!("is not chosen: the tags of {} are not known", whole.name));
    }
    let Some(table) = value.table() else { return Vec::new() };
    let entries = table.entries();
    if entries.is_empty() {
        value.fault("is empty; write it as { team = [\"shop\"] }");
    }
    let selected = entries.into_iter().map(|(key, value)| {
        if !is_key(key) {
            value.fault(format!("has a key that is empty or longer than {MAX_KEY} characters"));
        }
        let patterns = value.texts().into_iter().map(|(_, text)| Pattern(text.to_owned()));
        (key.to_owned(), patterns.collect())
    });
    selected.collect()
}

fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.chars().count())
}
