// SPDX-License-Identifier: Apache-2.0
//! `worker collect`: a table of what there is, and what is missing of it by its place.

use anyhow::Result;
use kit::{HOME_REGION, expected::cells, finish};
use local_aws::Fault;

use super::{day, fleet_of};

#[tokio::test]
async fn a_region_that_does_not_answer_is_named_and_leaves_the_others_in_the_table() -> Result<()> {
    const FAR: &str = "us-west-2";
    let of = |operation: &'static str, fault: Fault, code: &'static str| async move {
        let (fleet, account) = fleet_of(1).await?;
        account.bucket("far", FAR).size("StandardStorage", day(), 7.0);
        let fault = fleet.aws.fault(fault.on(operation).region(FAR));
        let day = day().to_string();
        let ended =
            finish(fleet.worker(&["collect", "--account-name", "data", "--date", &day])).await?.status(1);
        assert!(fault.fired() > 1, "it is tried again");
        let rows = cells(&ended.stdout);
        let reported: Vec<_> =
            rows.iter().map(|row| [&*row["bucket_name"], &*row["size_total"], &*row["status"]]).collect();
        assert_eq!(reported, [["bucket-000", "7", "ok"], ["far", "", &format!("error:{code}")]]);
        let first = format!("the first: cloudwatch:{operation} in {FAR}: {code}");
        let error = ended.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: account data: the report is partial"), "{}", ended.stderr);
        assert!(error.contains(&first), "{}", ended.stderr);
        Ok::<_, anyhow::Error>(())
    };
    tokio::try_join!(
        of("ListMetrics", Fault::throttle(), "Throttling"),
        of("GetMetricData", Fault::error("InternalFailure", 500), "InternalFailure"),
    )?;
    Ok(())
}

#[tokio::test]
async fn a_call_that_fails_is_named_with_its_account_and_region() -> Result<()> {
    for (action, operation) in [
        ("sts:GetCallerIdentity", "GetCallerIdentity"),
        ("s3:ListAllMyBuckets", "ListBuckets"),
        ("cloudwatch:ListMetrics", "ListMetrics"),
        ("cloudwatch:GetMetricData", "GetMetricData"),
    ] {
        let (fleet, _) = fleet_of(1).await?;
        let fault = fleet.aws.fault(Fault::deny().on(operation));
        let day = day().to_string();
        let ended =
            finish(fleet.worker(&["collect", "--account-name", "data", "--date", &day])).await?.status(1);
        assert!(fault.fired() > 0);
        let reported =
            format!("error: account data could not be collected: {action} in {HOME_REGION}: AccessDenied");
        let error = ended.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with(&reported), "{}", ended.stderr);
    }
    Ok(())
}
