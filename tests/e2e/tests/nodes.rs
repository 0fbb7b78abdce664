// SPDX-License-Identifier: Apache-2.0
//! The OpenSearch nodes that tests run at.

/// The URLs of the nodes.
pub(crate) fn urls() -> Vec<String> {
    vec!["http://127.0.0.1:19200".to_owned()]
}
