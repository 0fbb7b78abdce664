// SPDX-License-Identifier: Apache-2.0
//! What a report says is what CloudWatch has, to the byte.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use kit::{
    Fleet, HOME_REGION, days_ago, end,
    expected::{STORAGE_TYPES, cells, table},
    finish, until,
    zoo::{self, Listing},
};
use local_aws::{Account, Fault, ResultStatus, Service, Synthetic};

/// A day that `ListMetrics` still knows, with all of its lookback.
fn recent() -> NaiveDate {
    days_ago(4)
}

fn old() -> NaiveDate {
    days_ago(120)
}

/// The table of one account, collected without a queue.
async fn collect(fleet: &Fleet, account: &str, date: NaiveDate) -> Result<String> {
    let date = date.to_string();
    Ok(finish(fleet.worker(&["collect", "--account-name", account, "--date", &date])).await?.status(0).stdout)
}

/// Fills an account with everything that a bucket can be; gives the report that must come of it.
fn fill(account: &Account, name: (&str, &str), date: NaiveDate, recent: bool) -> String {
    let created = "2021-03-04T23:59:59Z".parse::<DateTime<Utc>>().expect("a moment");
    let mut buckets = Vec::new();
    for region in ["eu-west-1", "us-east-1", "ap-southeast-2"] {
        let place = zoo::Setting { account: name, region, date, created: created.date_naive(), recent };
        for bucket in zoo::buckets(&place) {
            match bucket.listing {
                Listing::Buckets => {
                    account.bucket(&bucket.name, region).created(created);
                }
                Listing::DirectoryBuckets => {
                    account.directory_bucket(&bucket.name, region).created(created);
                }
                Listing::None => {}
            }
            for (storage_type, day, value) in &bucket.datapoints {
                account.datapoint(region, &bucket.name, storage_type, *day, *value);
            }
            buckets.push(bucket);
        }
    }
    zoo::report(&buckets)
}

#[tokio::test]
async fn three_accounts_over_three_regions_are_right_to_the_byte() -> Result<()> {
    for (date, recent) in [(recent(), true), (old(), false)] {
        let mut fleet = Fleet::start().await?;
        let names = [("data", "111111111111"), ("opra-dev", "222222222222"), ("legacy_1", "333333333333")];
        let expected = names.map(|name| fill(&fleet.account(name.0, name.1), name, date, recent));
        let day = date.to_string();
        let accounts = ["--account-name", "data", "--account-name", "opra-dev", "--account-name", "legacy_1"];
        fleet.run(&[&accounts[..], &["--date", &day]].concat(), &[]).await?;
        for (name, expected) in names.iter().zip(expected) {
            assert_eq!(fleet.table(name.0, date)?, expected, "{} on {date}", name.0);
            assert_eq!(fleet.metadata(name.0, date, "status")?, "complete");
            assert_eq!(fleet.metadata(name.0, date, "rows-late")?, "3");
        }
        let status = finish(fleet.producer(&["status", "--format", "json"])).await?.status(0);
        assert_eq!(status.json()?["accounts"].as_array().map(Vec::len), Some(3), "{}", status.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_made_again_elsewhere_has_a_row_in_each_region() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let date = recent();
    account.bucket("b", "us-east-1").size("StandardStorage", date, 2.0);
    account.bucket("keeps-the-region-asked", "eu-west-1").size("StandardStorage", date, 3.0);
    account.unlisted_bucket("b", "eu-west-1").size("StandardStorage", date, 1.0);
    let rows = cells(&collect(&fleet, "data", date).await?);
    let reported: Vec<_> = rows
        .iter()
        .map(|row| [&*row["bucket_name"], &*row["region"], &*row["size_total"], &*row["status"]])
        .collect();
    assert_eq!(
        reported,
        [
            ["b", "eu-west-1", "1", "deleted"],
            ["b", "us-east-1", "2", "ok"],
            ["keeps-the-region-asked", "eu-west-1", "3", "ok"]
        ]
    );
    Ok(())
}

#[tokio::test]
async fn an_empty_account_gives_the_header_alone() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("empty", "111111111111");
    assert_eq!(collect(&fleet, "empty", recent()).await?, table(&[]));
    Ok(())
}

#[tokio::test]
async fn a_configured_region_is_queried_even_without_buckets() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.unlisted_bucket("gone", "eu-west-3").size("StandardStorage", recent(), 5.0);
    assert_eq!(collect(&fleet, "data", recent()).await?, table(&[]));
    fleet.variable("FLEET_REGIONS", "eu-west-3");
    let rows = cells(&collect(&fleet, "data", recent()).await?);
    assert_eq!((&*rows[0]["bucket_name"], &*rows[0]["status"]), ("gone", "deleted"));
    Ok(())
}

#[tokio::test]
async fn a_bucket_without_a_region_in_the_list_is_found_by_its_redirect() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    for region in ["eu-west-1", "us-west-2"] {
        let bucket = account.bucket(&format!("b-{region}"), region);
        bucket.region_unlisted();
        bucket.size("StandardStorage", recent(), 5.0);
    }
    account.deny_on("s3:ListBucket", "b-us-west-2");
    let rows = cells(&collect(&fleet, "data", recent()).await?);
    let reported: Vec<_> =
        rows.iter().map(|row| [&*row["region"], &*row["size_total"], &*row["status"]]).collect();
    assert_eq!(reported, [["eu-west-1", "5", "ok"], ["us-west-2", "5", "ok"]]);
    assert_eq!(fleet.aws.calls().operation("HeadBucket").account("111111111111").count(), 2);
    Ok(())
}

/// A thousand buckets in four regions: the least calls, and every value right.
#[tokio::test]
async fn a_thousand_buckets_take_the_least_calls_there_are() -> Result<()> {
    for (days, recent) in [(4, true), (120, false)] {
        let mut fleet = Fleet::start().await?;
        let plan =
            Synthetic { buckets: 1000, regions: 4, storage_types: 20, days: 200, ..Synthetic::default() };
        let world = fleet.aws.synthetic(&plan).remove(0);
        let _ = fleet.account("data", world.id());
        let date = days_ago(days);
        let rows = cells(&collect(&fleet, "data", date).await?);
        assert_eq!(rows.len(), 1000);

        let mut queries = std::collections::BTreeMap::<&str, usize>::new();
        let mut sizes = std::collections::BTreeMap::<&str, usize>::new();
        for (bucket, region) in world.buckets() {
            let row = rows.iter().find(|row| row["bucket_name"] == *bucket).expect("a row for each bucket");
            let truth =
                |metric, storage_type| world.account.truth(region, bucket, metric, storage_type, date);
            let mut known = std::collections::BTreeMap::<&str, f64>::new();
            for (storage_type, column) in STORAGE_TYPES {
                if let Some(bytes) = truth("BucketSizeBytes", storage_type) {
                    *known.entry(column).or_default() += bytes;
                    *sizes.entry(region).or_default() += 1;
                }
            }
            for (_, column) in STORAGE_TYPES {
                let expected = known.get(column).map(|bytes| format!("{bytes:.0}")).unwrap_or_default();
                assert_eq!(row[column], expected, "{bucket} {column}");
            }
            let objects = truth("NumberOfObjects", "AllStorageTypes").map(|count| format!("{count:.0}"));
            assert_eq!(row["total_objects"], objects.unwrap_or_default(), "{bucket}");
            assert_eq!(row["region"], *region);
            *queries.entry(region).or_default() += if recent { 0 } else { 28 };
        }
        let mut least = 1 + sizes.len(); // ListBuckets, and ListDirectoryBuckets in each region
        for (region, sizes) in &sizes {
            let objects = world.buckets().iter().filter(|(_, of)| of == region).count();
            if recent {
                least += sizes.div_ceil(500) + objects.div_ceil(500) + (sizes + objects).div_ceil(500);
            } else {
                least += queries[region].div_ceil(500);
            }
        }
        let calls = |operation: &str| fleet.aws.calls().operation(operation).account(world.id()).count();
        let made = calls("ListBuckets") + calls("ListMetrics") + calls("GetMetricData");
        let made = made + calls("HeadBucket") + calls("ListDirectoryBuckets");
        assert!(made * 100 <= least as u64 * 105, "{made} calls, and {least} would do");
        assert_eq!(
            fleet.aws.calls().account(world.id()).count(),
            made + 1,
            "GetCallerIdentity, and nothing else"
        );
        if recent {
            assert!(calls("ListMetrics") > 8, "more pages than one for each region and metric");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_listed_is_asked_for_before_the_rest_is_listed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    for nth in 0..1001 {
        account.bucket(&format!("bucket-{nth:04}"), HOME_REGION).size("StandardStorage", recent(), 7.0);
    }
    let slow = fleet.aws.fault(Fault::slow(Duration::from_secs(1)).on("ListMetrics"));
    assert_eq!(cells(&collect(&fleet, "data", recent()).await?).len(), 1001);
    assert!(slow.fired() >= 3, "three pages of one metric");
    let calls = fleet.aws.calls().service(Service::CloudWatch).records();
    let of = |operation: &'static str| calls.iter().filter(move |call| call.operation == operation);
    let asked = of("GetMetricData").map(|call| call.time).min().expect("asked");
    let listed = of("ListMetrics").map(|call| call.time + call.duration).max().expect("listed");
    assert!(asked < listed, "asked at {asked}, listed until {listed}");
    assert_eq!(of("GetMetricData").count(), 3, "and in the fewest calls");
    Ok(())
}

#[tokio::test]
async fn a_partial_result_is_an_error_only_in_its_row() -> Result<()> {
    for (status, reported) in [
        (ResultStatus::PartialData, "error:PartialData"),
        (ResultStatus::InternalError, "error:InternalError"),
        (ResultStatus::Missing, "error:NoResult"),
        (ResultStatus::Forbidden, "denied"),
    ] {
        let mut fleet = Fleet::start().await?;
        let account = fleet.account("data", "111111111111");
        for bucket in ["good", "torn"] {
            account.bucket(bucket, "eu-west-1").objects(recent(), 3.0).size("StandardStorage", recent(), 7.0);
        }
        let fault = fleet.aws.fault(Fault::result(status).bucket("torn"));
        let date = recent().to_string();
        let ended =
            finish(fleet.worker(&["collect", "--account-name", "data", "--date", &date])).await?.status(1);
        assert!(ended.stderr.contains("the report is partial"), "{}", ended.stderr);
        assert!(fault.fired() > 0);
        let rows = cells(&ended.stdout);
        assert_eq!((&*rows[0]["status"], &*rows[0]["size_total"]), ("ok", "7"));
        assert_eq!((&*rows[1]["status"], &*rows[1]["size_total"]), (reported, ""));
    }
    Ok(())
}

#[tokio::test]
async fn what_cloudwatch_gives_in_part_once_is_asked_for_again() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").objects(recent(), 3.0).size("StandardStorage", recent(), 7.0);
    let fault = fleet.aws.fault(Fault::result(ResultStatus::PartialData).bucket("b").times(1));
    let rows = cells(&collect(&fleet, "data", recent()).await?);
    assert!(fault.fired() > 0);
    assert_eq!((&*rows[0]["status"], &*rows[0]["size_total"], &*rows[0]["total_objects"]), ("ok", "7", "3"));
    Ok(())
}

#[tokio::test]
async fn one_region_that_may_not_be_asked_costs_its_own_rows_only() -> Result<()> {
    for disabled in [false, true] {
        let mut fleet = Fleet::start().await?;
        let account = fleet.account("data", "111111111111");
        for region in ["eu-west-1", "me-south-1"] {
            account.bucket(&format!("b-{region}"), region).size("StandardStorage", recent(), 7.0);
        }
        if disabled {
            account.disable_region("me-south-1");
        } else {
            account.deny_in("cloudwatch:ListMetrics", "me-south-1");
        }
        let day = recent().to_string();
        fleet.run(&["--account-name", "data", "--date", &day], &[]).await?;
        let rows = cells(&fleet.table("data", recent())?);
        assert_eq!((&*rows[0]["status"], &*rows[0]["size_total"]), ("ok", "7"));
        let reported = &rows[1]["status"];
        assert!(if disabled { reported.starts_with("error:") } else { reported == "denied" }, "{reported}");
        assert_eq!(fleet.metadata("data", recent(), "status")?, "partial");
        assert!(fleet.metadata("data", recent(), "first-error")?.contains("ListMetrics"));
        let status = finish(fleet.producer(&["status"])).await?.status(3);
        assert!(status.stdout.contains("partial"), "{}", status.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn a_region_to_ask_that_an_account_has_not_enabled_leaves_its_report_complete() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.variable("FLEET_REGIONS", "me-south-1");
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", recent(), 7.0);
    account.disable_region("me-south-1");
    let day = recent().to_string();
    let ended = fleet.run(&["--account-name", "data", "--date", &day], &[]).await?;
    assert!(ended.stderr.contains("has not enabled the region"), "{}", ended.stderr);
    assert!(fleet.aws.calls().operation("ListMetrics").region("me-south-1").failed().count() > 0);
    let rows = cells(&fleet.table("data", recent())?);
    assert_eq!((rows.len(), &*rows[0]["status"], &*rows[0]["size_total"]), (1, "ok", "7"));
    assert_eq!(fleet.metadata("data", recent(), "status")?, "complete");
    Ok(())
}

#[tokio::test]
async fn a_region_that_is_not_listed_to_its_end_has_no_row_of_what_is_gone_and_no_number() -> Result<()> {
    const FAR: &str = "me-south-1";
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", recent(), 7.0);
    account.bucket("a", FAR).size("StandardStorage", recent(), 7.0);
    for nth in 0..600 {
        account.datapoint(FAR, &format!("gone-{nth:03}"), "StandardStorage", recent(), 7.0);
    }
    // The second page of the one metric waits until what the first one named is answered, and is refused then.
    let held = fleet.aws.fault(Fault::hold().on("ListMetrics").region(FAR).after(2));
    let day = recent().to_string();
    let worker = fleet.worker(&["collect", "--account-name", "data", "--date", &day]).spawn()?;
    let asked = || fleet.aws.calls().operation("GetMetricData").region(FAR).ok().count();
    until("the first page is asked for", || held.fired() == 1 && asked() == 1).await?;
    account.deny_in("cloudwatch:ListMetrics", FAR);
    held.release();
    let ended = end(worker).await?.status(1);
    let rows = cells(&ended.stdout);
    let reported: Vec<_> = rows.iter().map(|row| (&*row["bucket_name"], &*row["status"])).collect();
    assert_eq!(reported, [("a", "denied"), ("b", "ok")]);
    assert_eq!((&*rows[0]["size_standard"], &*rows[0]["datapoint_date"]), ("", ""));
    Ok(())
}

#[tokio::test]
async fn what_one_call_of_a_region_is_refused_no_other_asks() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", old(), 7.0);
    for nth in 0..1000 {
        account.bucket(&format!("far-{nth:03}"), "me-south-1");
    }
    account.deny_in("cloudwatch:GetMetricData", "me-south-1");
    let day = old().to_string();
    let ended = finish(fleet.worker(&["collect", "--account-name", "data", "--date", &day])).await?.status(1);
    assert_eq!(ended.stdout.matches(",denied\n").count(), 1000);
    assert_eq!(ended.stdout.matches(",ok\n").count(), 1);
    let refused = fleet.aws.calls().operation("GetMetricData").failed().count();
    assert!((1..=12).contains(&refused), "of 58 calls, those that were under way at once: {refused}");
    Ok(())
}

#[tokio::test]
async fn an_account_that_may_not_be_asked_at_all_has_no_report() -> Result<()> {
    for action in ["s3:ListAllMyBuckets", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData"] {
        for date in [recent(), old()] {
            if action == "cloudwatch:ListMetrics" && date == old() {
                continue; // It is not asked for then.
            }
            let mut fleet = Fleet::start().await?;
            let account = fleet.account("data", "111111111111");
            for region in ["eu-west-1", "us-east-1"] {
                account.bucket(&format!("b-{region}"), region).size("StandardStorage", date, 7.0);
            }
            account.deny(action);
            let day = date.to_string();
            let ended =
                finish(fleet.worker(&["collect", "--account-name", "data", "--date", &day])).await?.status(1);
            assert!(ended.stderr.contains(&format!("{action} in ")), "{action} on {date}: {}", ended.stderr);
            assert!(ended.stdout.is_empty(), "{action} on {date}: {}", ended.stdout);
            let denied = fleet.aws.calls().account("111111111111").failed().count();
            assert!(denied > 0, "{action} on {date}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn regions_for_all_accounts_are_those_of_their_partition() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", recent(), 7.0);
    fleet.variable("FLEET_REGIONS", "cn-north-1,us-west-2");
    assert_eq!(cells(&collect(&fleet, "data", recent()).await?).len(), 1);
    let asked = |region: &str| fleet.aws.calls().operation("ListMetrics").region(region).count();
    assert_eq!((asked("eu-west-1"), asked("us-west-2"), asked("cn-north-1")), (2, 2, 0));
    Ok(())
}

#[tokio::test]
async fn a_region_to_ask_that_a_policy_denies_is_named_and_leaves_the_report_complete() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.variable("FLEET_REGIONS", "me-south-1");
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", recent(), 7.0);
    account.deny_in("cloudwatch:ListMetrics", "me-south-1");
    account.deny_in("cloudwatch:GetMetricData", "me-south-1");
    let day = recent().to_string();
    let ended = fleet.run(&["--account-name", "data", "--date", &day], &[]).await?;
    assert!(ended.stderr.contains("me-south-1"), "{}", ended.stderr);
    assert_eq!(fleet.metadata("data", recent(), "status")?, "complete");
    assert_eq!(fleet.metadata("data", recent(), "regions-denied")?, "me-south-1");
    assert_eq!(fleet.metadata("data", recent(), "rows-denied")?, "0");
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn an_account_whose_only_region_to_ask_is_denied_has_failed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.variable("FLEET_REGIONS", "me-south-1");
    let account = fleet.account("data", "111111111111");
    account.deny_in("cloudwatch:ListMetrics", "me-south-1");
    let day = recent().to_string();
    let ended = finish(fleet.worker(&["collect", "--account-name", "data", "--date", &day])).await?.status(1);
    assert!(ended.stderr.contains("cloudwatch:ListMetrics in me-south-1"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    Ok(())
}

#[tokio::test]
async fn series_of_a_shape_that_is_not_known_are_warned_of_once_and_not_summed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", recent(), 7.0);
    let at = recent().and_hms_opt(0, 0, 0).expect("midnight").and_utc();
    for bucket in ["b", "c"] {
        let dimensions = [("BucketName", bucket), ("StorageType", "StandardStorage"), ("AccessPoint", "one")];
        account.metric(HOME_REGION, "AWS/S3", "BucketSizeBytes", &dimensions, at, 100.0);
    }
    let date = recent().to_string();
    let arguments = ["collect", "--account-name", "data", "--date", &date];
    let ended = finish(fleet.worker(&arguments)).await?.status(0);
    let rows = cells(&ended.stdout);
    assert_eq!((rows.len(), &*rows[0]["size_total"]), (1, "7"));
    let warned: Vec<_> = ended.stderr.lines().filter(|line| line.contains("unexpected dimensions")).collect();
    assert_eq!(warned.len(), 1, "{}", ended.stderr);
    assert!(warned[0].contains("AccessPoint,BucketName,StorageType"), "{warned:?}");
    Ok(())
}
