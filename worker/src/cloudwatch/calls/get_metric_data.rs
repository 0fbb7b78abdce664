// SPDX-License-Identifier: Apache-2.0
//! `GetMetricData`: the values of series, and the status of each result.

use std::time::Duration;

use aws_sdk_cloudwatch::{
    primitives::DateTime as SdkDateTime,
    types::{Metric as SdkMetric, MetricDataQuery, MetricDataResult, MetricStat, StatusCode},
};
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use fleet::{
    AwsError, Dataset,
    datasets::{GET_METRIC_DATA, Period, paid},
    from_sdk,
};

use super::{CloudWatch, same_page};
use crate::cloudwatch::{
    dimensions, limits,
    plan::{Series, Window},
    retry_counter::RetryCounter,
    rows::{Datapoint, Problem},
    series_query::SeriesQuery,
};

/// The maximum number of retries of a series with a partial result.
const MAX_RETRIES: usize = 3;

/// What all `GetMetricData` calls of a report have in common.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    pub dataset: &'static Dataset,
    /// The days to query.
    pub window: Window,
    pub period: Period,
}

/// One value of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The start of its period, in seconds of Unix time.
    pub at: i64,
    pub value: f64,
}

/// The results of a call.
#[derive(Debug)]
pub struct Answers<T> {
    /// One answer per series, in request order; `None` if the call failed first.
    pub each: Vec<Option<Result<Vec<T>, Problem>>>,
    /// Why the call failed, or the retry of its partial results.
    pub error: Option<AwsError>,
}

impl CloudWatch {
    /// The daily values of at most 500 series.
    pub async fn get_metric_data(&self, query: Query, batch: &[Series]) -> Answers<Datapoint> {
        let Answers { each, error } = self.query(query, batch.iter().map(Series::query)).await;
        let each = each
            .into_iter()
            .map(|answer| answer.map(|points| Ok(points?.into_iter().map(Datapoint::from).collect())));
        Answers { each: each.collect(), error }
    }

    /// The values for at most 500 queries. Partial results are retried; those that remain partial become a [`Problem`].
    /// The queries are iterated again for each call and never stored: dozens of calls are in flight.
    pub async fn query<'a>(
        &self,
        query: Query,
        queries: impl Iterator<Item = SeriesQuery<'a>> + Clone + Send,
    ) -> Answers<Point> {
        let mut each: Vec<Option<Result<Vec<Point>, Problem>>> = queries.clone().map(|_| None).collect();
        let mut is_pending = vec![true; each.len()];
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_jitter();
        let mut pauses = pauses.with_max_times(MAX_RETRIES).build();
        loop {
            let remaining = queries
                .clone()
                .zip(&is_pending)
                .filter_map(|(query, is_pending)| is_pending.then_some(query));
            let results = self.get_all_pages(query, remaining).await;
            let pending = each.iter_mut().zip(&mut is_pending).filter(|(_, is_pending)| **is_pending);
            match results {
                Ok(results) => {
                    for ((answer, is_pending), result) in pending.zip(results) {
                        *is_pending = result.may_be_retried();
                        *answer = Some(result.into_answer());
                    }
                }
                Err(error) => {
                    // Partial results are discarded.
                    pending.for_each(|(answer, _)| *answer = None);
                    return Answers { each, error: Some(error) };
                }
            }
            let retried = is_pending.iter().filter(|is_pending| **is_pending).count();
            let Some(pause) = (retried > 0).then(|| pauses.next()).flatten() else { break };
            tracing::warn!(
                region = self.region(),
                series = retried,
                "CloudWatch returned partial results; retrying these series"
            );
            tokio::time::sleep(pause).await;
        }
        Answers { each, error: None }
    }

    /// All pages of one `GetMetricData` call.
    async fn get_all_pages<'a>(
        &self,
        query: Query,
        queries: impl Iterator<Item = SeriesQuery<'a>> + Clone + Send,
    ) -> Result<Vec<SeriesResult>, AwsError> {
        let count = queries.clone().count();
        let datapoints = query.window.datapoints(query.period.seconds());
        let datapoints = datapoints.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let cost = limits::cost(datapoints, Utc::now() - query.window.start());
        let mut results = Vec::new();
        let mut token: Option<String> = None;
        loop {
            self.limits.get_metric_data.wait(cost).await;
            // Further pages are not billed.
            if token.is_none() {
                self.usage.add_metrics(billed_metrics(queries.clone()));
            }
            let (token_now, queries) = (&token, &queries);
            let request = || async move {
                let queries = queries.clone().enumerate().map(|(at, of)| metric_query(query, at, of));
                let page = self
                    .client
                    .get_metric_data()
                    .set_metric_data_queries(Some(queries.collect()))
                    .start_time(SdkDateTime::from_secs(query.window.start().timestamp()))
                    .end_time(SdkDateTime::from_secs(query.window.end().timestamp()))
                    .set_next_token(token_now.clone())
                    .customize()
                    .interceptor(RetryCounter { limiter: self.limits.get_metric_data.clone(), cost })
                    .send();
                page.await.map_err(|error| from_sdk(GET_METRIC_DATA, error).in_region(self.region()))
            };
            let page = self.credentials.call(request).await?;
            for message in page.messages() {
                tracing::warn!(
                    region = self.region(),
                    code = message.code(),
                    "CloudWatch reports: {}",
                    message.value().unwrap_or_default()
                );
            }
            results.resize(count, SeriesResult::default());
            for result in page.metric_data_results() {
                match index(result).and_then(|at| results.get_mut(at)) {
                    Some(series) => series.add(result),
                    None => tracing::warn!(
                        region = self.region(),
                        id = result.id(),
                        "CloudWatch returned a result that was not requested"
                    ),
                }
            }
            match page.next_token.filter(|next| !next.is_empty()) {
                None => return Ok(results),
                next if next == token => return Err(same_page(GET_METRIC_DATA).in_region(self.region())),
                next => token = next,
            }
        }
    }
}

/// The results for one series on all pages of a call.
#[derive(Debug, Clone, Default)]
struct SeriesResult {
    points: Vec<Point>,
    /// The status on the last page that has the series; `None` if no page has it.
    status: Option<StatusCode>,
    malformed: bool,
}

impl SeriesResult {
    fn add(&mut self, result: &MetricDataResult) {
        for message in result.messages() {
            tracing::warn!(
                code = message.code(),
                label = result.label(),
                "CloudWatch reports on a series: {}",
                message.value().unwrap_or_default()
            );
        }
        let (timestamps, values) = (result.timestamps(), result.values());
        self.malformed |= timestamps.len() != values.len();
        for (timestamp, value) in timestamps.iter().zip(values) {
            match DateTime::<Utc>::from_timestamp(timestamp.secs(), 0) {
                Some(_) => self.points.push(Point { at: timestamp.secs(), value: *value }),
                None => self.malformed = true,
            }
        }
        // A series without a status counts as partial.
        self.status = Some(result.status_code().cloned().unwrap_or_else(|| StatusCode::from("NoStatusCode")));
    }

    /// Whether a retry may return more.
    fn may_be_retried(&self) -> bool {
        self.malformed || !matches!(self.status, Some(StatusCode::Complete | StatusCode::Forbidden))
    }

    fn into_answer(self) -> Result<Vec<Point>, Problem> {
        match self.status {
            _ if self.malformed => Err(Problem::Transient("MalformedResult".into())),
            Some(StatusCode::Complete) => Ok(self.points),
            Some(StatusCode::Forbidden) => Err(Problem::Denied),
            Some(other) => Err(Problem::Transient(other.as_str().to_owned())),
            None => Err(Problem::Transient("NoResult".into())),
        }
    }
}

impl From<Point> for Datapoint {
    fn from(Point { at, value }: Point) -> Self {
        let at = DateTime::<Utc>::from_timestamp(at, 0)
            .expect("cannot fail: it was checked when the point was added");
        Self { day: at.date_naive(), value }
    }
}

/// What AWS bills: the statistics of a series together are one metric, up to five of them.
fn billed_metrics<'a>(queries: impl Iterator<Item = SeriesQuery<'a>>) -> usize {
    let mut queries = queries.peekable();
    let mut metrics = 0;
    while let Some(first) = queries.next() {
        let mut statistics = 1;
        while queries.next_if(|next| next.is_same_series(&first)).is_some() {
            statistics += 1;
        }
        metrics += paid(statistics);
    }
    metrics
}

fn metric_query(
    query: Query,
    at: usize,
    SeriesQuery { metric, resource, value, statistic }: SeriesQuery<'_>,
) -> MetricDataQuery {
    let series = SdkMetric::builder()
        .namespace(query.dataset.namespace_of(metric))
        .metric_name(&metric.name)
        .set_dimensions(Some(dimensions::of_series(query.dataset, metric, resource, value)))
        .build();
    let period = i32::try_from(query.period.seconds()).expect("cannot fail: a period is at most a day");
    let stat = MetricStat::builder().metric(series).period(period).stat(statistic).build();
    MetricDataQuery::builder().id(format!("q{at}")).metric_stat(stat).return_data(true).build()
}

/// The index in the batch of the series of a result.
fn index(result: &MetricDataResult) -> Option<usize> {
    result.id()?.strip_prefix('q')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::{
        Client,
        operation::get_metric_data::{GetMetricDataError, GetMetricDataOutput},
        types::builders::MetricDataResultBuilder,
    };
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;
    use fleet::datasets::{Class, DEFAULT as S3};

    use super::{super::tests::cloudwatch, *};
    use crate::cloudwatch::{plan, rows::Answer};

    fn result(id: &str, status: StatusCode, values: &[(i64, f64)]) -> MetricDataResult {
        let result = MetricDataResult::builder().id(id).status_code(status);
        let add = |result: MetricDataResultBuilder, (day, value): &(i64, f64)| {
            result.timestamps(SdkDateTime::from_secs(day * 86_400)).values(*value)
        };
        values.iter().fold(result, add).build()
    }

    fn page(token: Option<&str>, results: Vec<MetricDataResult>) -> GetMetricDataOutput {
        let page = GetMetricDataOutput::builder().set_metric_data_results(Some(results));
        page.set_next_token(token.map(str::to_owned)).build()
    }

    async fn ask(cloudwatch: &CloudWatch, series: usize) -> Vec<Answer> {
        let answers = get(cloudwatch, series).await;
        assert_eq!(answers.error, None);
        answers.each.into_iter().map(|answer| answer.expect("each has an answer")).collect()
    }

    async fn get(cloudwatch: &CloudWatch, series: usize) -> Answers<Datapoint> {
        let query = Query {
            dataset: *S3,
            window: Window::new("2026-11-03".parse().expect("a date"), 2),
            period: S3.period,
        };
        let call = plan::everything(*S3, [("bucket".into(), Class::General)], 500).next().expect("a call");
        cloudwatch.get_metric_data(query, &call[..series]).await
    }

    fn values(answer: &Answer) -> Vec<f64> {
        answer.as_ref().expect("values").iter().map(|point| point.value).collect()
    }

    const DAY: i64 = 20_760;

    #[tokio::test(start_paused = true)]
    async fn the_query_is_as_the_dataset_defines_it() {
        let rule = mock!(Client::get_metric_data)
            .match_requests(|request| {
                let query = &request.metric_data_queries()[0];
                let stat = query.metric_stat().expect("a statistic");
                let metric = stat.metric().expect("a metric");
                let dimensions: Vec<_> = metric.dimensions().iter().map(|d| (d.name(), d.value())).collect();
                request.start_time() == Some(&SdkDateTime::from_secs(1_793_491_200)) // 2026-11-01
                    && request.end_time() == Some(&SdkDateTime::from_secs(1_793_750_400)) // 2026-11-04
                    && stat.stat() == Some("Average")
                    && stat.period() == Some(86_400)
                    && metric.namespace() == Some("AWS/S3")
                    && metric.metric_name() == Some("NumberOfObjects")
                    && dimensions == [
                        (Some("BucketName"), Some("bucket")),
                        (Some("StorageType"), Some("AllStorageTypes")),
                    ]
            })
            .then_output(|| page(None, vec![result("q0", StatusCode::Complete, &[(DAY, 7.0)])]));
        let cloudwatch = cloudwatch(&[&rule]);
        let answers = ask(&cloudwatch, 1).await;
        assert_eq!(values(&answers[0]), [7.0]);
        assert_eq!(cloudwatch.usage.metrics(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_is_read_and_results_are_matched_to_their_series_in_any_order() {
        let first = mock!(Client::get_metric_data).then_output(|| {
            let partial = result("q1", StatusCode::PartialData, &[(DAY, 1.0)]);
            page(Some("2"), vec![partial, result("q0", StatusCode::Complete, &[(DAY, 5.0)])])
        });
        let second = mock!(Client::get_metric_data)
            .match_requests(|request| request.next_token() == Some("2"))
            .then_output(|| page(None, vec![result("q1", StatusCode::Complete, &[(DAY - 1, 2.0)])]));
        let cloudwatch = cloudwatch(&[&first, &second]);
        let answers = ask(&cloudwatch, 2).await;
        assert_eq!(values(&answers[0]), [5.0]);
        assert_eq!(values(&answers[1]), [1.0, 2.0]);
        assert_eq!(cloudwatch.usage.metrics(), 2, "further pages are not billed");
        assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_partial_results_are_retried() {
        let broken = mock!(Client::get_metric_data).then_output(|| {
            let partial = result("q1", StatusCode::PartialData, &[(DAY, 1.0)]);
            page(None, vec![result("q0", StatusCode::Complete, &[]), partial])
        });
        let whole = mock!(Client::get_metric_data)
            .match_requests(|request| request.metric_data_queries().len() == 1)
            .then_output(|| page(None, vec![result("q0", StatusCode::Complete, &[(DAY, 3.0)])]));
        let cloudwatch = cloudwatch(&[&broken, &whole]);
        let answers = ask(&cloudwatch, 2).await;
        assert_eq!(values(&answers[0]), [0.0; 0]);
        assert_eq!(values(&answers[1]), [3.0], "the partial result is not counted twice");
        assert_eq!(cloudwatch.usage.metrics(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_retry_does_not_discard_complete_results() {
        let broken = mock!(Client::get_metric_data).then_output(|| {
            let partial = result("q1", StatusCode::PartialData, &[(DAY, 1.0)]);
            page(None, vec![result("q0", StatusCode::Complete, &[(DAY, 5.0)]), partial])
        });
        let refused = mock!(Client::get_metric_data).then_error(|| {
            let error = ErrorMetadata::builder().code("AccessDenied").build();
            GetMetricDataError::generic(error)
        });
        let answers = get(&cloudwatch(&[&broken, &refused]), 2).await;
        let [Some(whole), None] = &answers.each[..] else { panic!("{answers:?}") };
        assert_eq!(values(whole), [5.0]);
        assert_eq!(answers.error.expect("why").code, "AccessDenied");
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_stays_partial_is_a_problem_with_its_own_code() {
        let cases: [(Option<StatusCode>, Problem, usize); 4] = [
            (Some(StatusCode::PartialData), Problem::Transient("PartialData".into()), 4),
            (Some(StatusCode::InternalError), Problem::Transient("InternalError".into()), 4),
            (Some(StatusCode::Forbidden), Problem::Denied, 1),
            (None, Problem::Transient("NoResult".into()), 4),
        ];
        for (status, expected, calls) in cases {
            let rule = mock!(Client::get_metric_data)
                .sequence()
                .output(move || {
                    let results = status.clone().map(|status| result("q0", status, &[(DAY, 1.0)]));
                    page(None, results.into_iter().collect())
                })
                .repeatedly()
                .build();
            let cloudwatch = cloudwatch(&[&rule]);
            let answers = ask(&cloudwatch, 1).await;
            assert_eq!(answers, [Err(expected.clone())]);
            assert_eq!(rule.num_calls(), calls, "{expected:?}");
        }
    }
}
