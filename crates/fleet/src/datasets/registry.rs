// SPDX-License-Identifier: Apache-2.0
//! Datasets by name: those that the program has, and those of a configuration file.

use super::{Dataset, builtin, own};
use crate::account::shorten;

/// Every dataset: those that the program has by name, then those of the configuration file.
pub fn all() -> impl Iterator<Item = &'static Dataset> {
    with_own(builtin::all())
}

/// Some of the program's datasets, each as the configuration file changes it, then those that only the file has.
fn with_own(builtin: impl Iterator<Item = &'static Dataset>) -> impl Iterator<Item = &'static Dataset> {
    let (changed, own): (Vec<_>, Vec<_>) = own::all().into_iter().partition(|own| is_builtin(own));
    let as_changed = move |dataset: &'static Dataset| {
        changed.iter().find(|changed| changed.name == dataset.name).copied().unwrap_or(dataset)
    };
    builtin.map(as_changed).chain(own)
}

fn is_builtin(dataset: &Dataset) -> bool {
    builtin::names().any(|name| name == dataset.name)
}

/// The names of all datasets, for messages.
#[must_use]
pub fn names() -> String {
    let own = own::all();
    let own = own.iter().filter(|dataset| !is_builtin(dataset)).map(|dataset| dataset.name);
    builtin::names().chain(own).collect::<Vec<_>>().join(", ")
}

/// Says why a name is none of a dataset.
#[must_use]
pub fn unknown(name: &str) -> String {
    let group = Dataset::named(name);
    if group.is_empty() {
        return format!("dataset {:?} is unknown; this version has {}", shorten(name), names());
    }
    let members: Vec<_> = group.iter().map(|dataset| dataset.name).collect();
    format!("{name:?} is a group of datasets; name one of them: {}", members.join(", "))
}

impl Dataset {
    /// The dataset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        with_own(builtin::named(name)).find(|dataset| dataset.name == name)
    }

    /// The datasets of a group of that name, or the one of that name.
    #[must_use]
    pub fn named(name: &str) -> Vec<&'static Self> {
        let named = with_own(builtin::named(name));
        let (mut of_group, mut of_name) = (Vec::new(), Vec::new());
        for dataset in named {
            if dataset.group == name {
                of_group.push(dataset);
            } else if dataset.name == name {
                of_name.push(dataset);
            }
        }
        if of_group.is_empty() { of_name } else { of_group }
    }
}
