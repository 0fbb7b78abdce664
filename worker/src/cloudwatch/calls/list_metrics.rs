// SPDX-License-Identifier: Apache-2.0
//! `ListMetrics`: the series that exist, page by page.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{DimensionFilter, Metric as SdkMetric};
use fleet::{
    AwsError, Dataset,
    datasets::{LIST_METRICS, Metric, Shape},
    from_sdk,
};
use futures::{Stream, stream};

use super::{CloudWatch, same_page};
use crate::cloudwatch::{dimensions, plan::ListedSeries, retry_counter::RetryCounter};

impl CloudWatch {
    /// All series of a metric with a datapoint in the last two weeks, page by page. The stream ends at the first error.
    pub fn list_metrics(
        &self,
        dataset: &'static Dataset,
        metric: &'static Metric,
    ) -> impl Stream<Item = Result<Vec<ListedSeries>, AwsError>> + '_ {
        /// The next page.
        enum Next {
            First,
            Of(String),
            None,
        }
        stream::try_unfold((Next::First, BTreeSet::new()), move |(next, mut unexpected)| async move {
            let token = match next {
                Next::First => None,
                Next::Of(token) => Some(token),
                Next::None => return Ok(None),
            };
            if has_low_priority(dataset, metric) {
                self.limits.list_metrics.wait_with_low_priority().await;
            } else {
                self.limits.list_metrics.wait(1.0).await;
            }
            self.usage.add_list_metrics();
            let filter = |name: &str| DimensionFilter::builder().name(name).build();
            let call = self
                .client
                .list_metrics()
                .namespace(dataset.namespace_of(metric))
                .metric_name(&metric.name)
                .set_dimensions(Some(dimensions::names(dataset, metric).map(filter).collect()))
                .set_next_token(token.clone());
            let call = &call;
            let request = || async move {
                let counter = RetryCounter { limiter: self.limits.list_metrics.clone(), cost: 1.0 };
                let page = call.clone().customize().interceptor(counter).send().await;
                page.map_err(|error| from_sdk(LIST_METRICS, error).in_region(self.region()))
            };
            let page = self.credentials.call(request).await?;
            let found = page.metrics.unwrap_or_default().into_iter();
            let mut listed = Vec::with_capacity(found.len());
            for found in found {
                match series(dataset, metric, found) {
                    Ok(series) => listed.push(series),
                    Err(names) if unexpected.contains(&names) => {}
                    Err(names) => {
                        log_skipped(dataset, metric, &names);
                        unexpected.insert(names);
                    }
                }
            }
            match page.next_token.filter(|next| !next.is_empty()) {
                None => Ok(Some((listed, (Next::None, unexpected)))),
                next if next == token => Err(same_page(LIST_METRICS).in_region(self.region())),
                Some(next) => Ok(Some((listed, (Next::Of(next), unexpected)))),
            }
        })
    }
}

/// Whether this listing yields to a longer one, which is most likely that of a metric with more known values. Pages are
/// sequential, so delaying the longest listing delays the whole job: with 100,000 buckets, by two seconds of 26.
fn has_low_priority(dataset: &Dataset, metric: &Metric) -> bool {
    dataset.metrics.iter().any(|other| other.known_values().count() > metric.known_values().count())
}

/// Logs that series with these dimensions are skipped. Most services publish aggregates next to the series of their
/// resources, under the same names: that is no reason for a warning.
fn log_skipped(dataset: &Dataset, metric: &Metric, names: &[String]) {
    const MESSAGE: &str = "series with unexpected dimensions are skipped";
    let (metric, dimensions) = (&*metric.name, names.join(","));
    match dataset.shape {
        Shape::NewestDay => tracing::warn!(metric, dimensions, "{MESSAGE}"),
        Shape::Series => tracing::debug!(metric, dimensions, "{MESSAGE}"),
    }
}

/// The series of a list entry.
///
/// # Errors
///
/// The names of its dimensions, sorted, if they are not those of the metric.
fn series(dataset: &Dataset, metric: &'static Metric, found: SdkMetric) -> Result<ListedSeries, Vec<String>> {
    let (resource, value) = dimensions::exactly(dataset, metric, found.dimensions.unwrap_or_default())?;
    Ok(ListedSeries { metric, resource, value })
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::{Client, operation::list_metrics::ListMetricsOutput, types::Dimension};
    use aws_smithy_mocks::mock;
    use fleet::datasets::DEFAULT as S3;
    use futures::TryStreamExt;

    use super::{super::tests::cloudwatch, *};

    /// All listed series of a metric.
    async fn list(cloudwatch: &CloudWatch) -> Result<Vec<ListedSeries>, AwsError> {
        cloudwatch.list_metrics(*S3, &S3.metrics[1]).try_concat().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_names_itself_as_the_next_ends_in_an_error() {
        let listing = mock!(Client::list_metrics)
            .sequence()
            .output(|| ListMetricsOutput::builder().next_token("same").build())
            .repeatedly()
            .build();
        let error = list(&cloudwatch(&[&listing])).await.expect_err("no end");
        assert_eq!((error.code.as_str(), listing.num_calls()), ("RepeatedNextToken", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_of_list_metrics_is_read_and_other_dimensions_are_skipped() {
        fn metric(dimensions: &[(&str, &str)]) -> SdkMetric {
            let add = |metric: aws_sdk_cloudwatch::types::builders::MetricBuilder,
                       (name, value): &(&str, &str)| {
                metric.dimensions(Dimension::builder().name(*name).value(*value).build())
            };
            dimensions.iter().fold(SdkMetric::builder(), add).build()
        }
        let first = mock!(Client::list_metrics).then_output(|| {
            let listed = metric(&[("StorageType", "StandardStorage"), ("BucketName", "a")]);
            ListMetricsOutput::builder().metrics(listed).next_token("2").build()
        });
        let second = mock!(Client::list_metrics)
            .match_requests(|request| request.next_token() == Some("2"))
            .then_output(|| {
                let more =
                    metric(&[("BucketName", "b"), ("StorageType", "StandardStorage"), ("FilterId", "all")]);
                let listed = metric(&[("BucketName", "c"), ("StorageType", "GlacierStorage")]);
                ListMetricsOutput::builder().metrics(more).metrics(listed).build()
            });
        let cloudwatch = cloudwatch(&[&first, &second]);
        let listed = list(&cloudwatch).await.expect("pages");
        let named: Vec<_> = listed.iter().map(|s| (s.resource.as_str(), s.value.as_str())).collect();
        assert_eq!(named, [("a", "StandardStorage"), ("c", "GlacierStorage")]);
        assert!((cloudwatch.usage.dollars() - 0.000_02).abs() < 1e-9, "two calls are billed");
    }
}
