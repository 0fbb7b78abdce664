// SPDX-License-Identifier: Apache-2.0
//! The services that a region's series, tags and functions are asked for.

use std::sync::Arc;

use crate::{
    account::{functions::Functions, session::Session, tags::Tagging},
    cloudwatch::{calls::CloudWatch, limits::Limits},
    collect::scope::Scope,
};

/// What a region is asked through.
pub(super) struct Clients<'a> {
    pub(super) cloudwatch: CloudWatch,
    /// If the dataset asks for tags.
    pub(super) tagging: Option<Tagging<'a>>,
    /// If the dataset is about functions.
    pub(super) functions: Option<Functions>,
}

impl<'a> Clients<'a> {
    pub(super) fn new(session: &'a Session, limits: &Limits, scope: &Scope<'_>, region: &Arc<str>) -> Self {
        let limits = limits.of(scope.account_id, region, session.account().quota_share);
        Self {
            cloudwatch: CloudWatch::new(session, region, limits.clone()),
            tagging: Tagging::new(session, region, limits.clone(), scope.dataset),
            functions: Functions::new(session, region, limits, scope.dataset),
        }
    }
}
