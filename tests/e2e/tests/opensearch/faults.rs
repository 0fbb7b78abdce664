// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a `_bulk`: each fault fires, is counted, and leaves behind what it says.

use std::time::Duration;

use anyhow::Result;
use local_aws::{Fault, Service};
use tokio::time::timeout;

use crate::{bulk, double, statuses};

#[tokio::test]
async fn whole_answers_fail_and_nothing_is_stored() -> Result<()> {
    let (aws, search) = double().await?;
    for (fault, status, kind) in [
        (Fault::throttle(), 429, "rejected_execution_exception"),
        (Fault::unavailable(), 503, "cluster_block_exception"),
        (Fault::server_error(), 500, "exception"),
        (Fault::deny(), 403, "security_exception"),
        (Fault::error("circuit_breaking_exception", 429), 429, "circuit_breaking_exception"),
    ] {
        let fault = aws.fault(fault.service(Service::OpenSearch).on("Bulk").times(1));
        let answer = bulk(&search, 1).await?;
        let body = answer.json()?;
        assert_eq!((answer.status, body["error"]["type"].as_str()), (status, Some(kind)));
        assert_eq!(body["status"], status);
        assert!(body.get("items").is_none());
        assert_eq!(fault.fired(), 1);
    }
    assert!(search.documents("small").is_empty());
    assert_eq!(bulk(&search, 1).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn some_items_fail_and_the_others_are_stored() -> Result<()> {
    let (aws, search) = double().await?;
    let blocked = "index [small] blocked by: [FORBIDDEN/8/index write (api)];";
    let fault = aws.fault(Fault::failed_items(403, "cluster_block_exception", blocked, [0, 2]).times(3));
    let body = bulk(&search, 3).await?.json()?;
    assert_eq!((statuses(&body), &body["errors"]), (vec![403, 201, 403], &true.into()));
    assert_eq!(body["items"][0]["index"]["error"]["reason"], blocked);
    assert_eq!(search.documents("small").into_keys().collect::<Vec<_>>(), ["1"]);
    assert_eq!(statuses(&bulk(&search, 3).await?.json()?), [403, 200, 201]);
    assert_eq!(fault.fired(), 3);
    Ok(())
}

#[tokio::test]
async fn answers_stay_away_or_are_cut() -> Result<()> {
    let (aws, search) = double().await?;
    for (fault, stored) in [(Fault::hang(), 0), (Fault::lost_answer(), 1)] {
        let fault = aws.fault(fault.service(Service::OpenSearch).times(1));
        timeout(Duration::from_secs(1), bulk(&search, 1)).await.expect_err("no answer");
        assert_eq!((fault.fired(), search.documents("small").len()), (1, stored));
        fault.stop();
    }
    for (documents, fault) in [(2, Fault::truncated()), (3, Fault::reset_answer())] {
        let fault = aws.fault(fault.service(Service::OpenSearch).times(1));
        bulk(&search, documents).await.expect_err("no whole answer");
        assert_eq!((fault.fired(), search.documents("small").len()), (1, documents));
    }
    let versions: Vec<u64> = search.documents("small").values().map(|document| document.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    Ok(())
}

#[tokio::test]
async fn an_index_is_not_made_where_that_is_off() -> Result<()> {
    let (_aws, search) = double().await?;
    search.creates_indices(false);
    let body = bulk(&search, 1).await?.json()?;
    assert_eq!(statuses(&body), [404]);
    assert_eq!(body["items"][0]["index"]["error"]["type"], "index_not_found_exception");
    assert!(search.indices().is_empty());
    Ok(())
}
