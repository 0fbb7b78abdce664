// SPDX-License-Identifier: Apache-2.0
//! The parts that several inputs share, and the checks on them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::reply::ServiceError;

/// A dimension as it is sent and returned.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Dimension<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) value: Cow<'a, str>,
}

/// The dimensions as the store takes them.
pub(crate) fn pairs<'a>(dimensions: &'a [Dimension<'_>]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    dimensions.iter().map(|it| (Cow::Borrowed(it.name.as_ref()), Cow::Borrowed(it.value.as_ref()))).collect()
}

/// A value that breaks the model's constraints.
pub(crate) fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationError", message)
}

pub(crate) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::new("InvalidParameterValue", message).shape("InvalidParameterValueException")
}

pub(crate) fn invalid_combination(message: impl Into<String>) -> ServiceError {
    ServiceError::new("InvalidParameterCombination", message).shape("InvalidParameterCombinationException")
}

pub(crate) fn missing(name: &str) -> ServiceError {
    ServiceError::new("MissingParameter", format!("The parameter {name} is required."))
        .shape("MissingRequiredParameterException")
}

pub(crate) fn invalid_token() -> ServiceError {
    ServiceError::new("InvalidNextToken", "The next token specified is invalid.")
}
