// SPDX-License-Identifier: Apache-2.0
//! The functions of an account, by Lambda's `ListFunctions`: also those that CloudWatch does not list since they are idle.
//! Its answers have the environment variables of each function, which are often secrets: only named fields are taken, and
//! no answer is kept or shown.

mod facts;
mod prices;
mod runtimes;

use std::{collections::HashMap, sync::Arc};

use aws_sdk_lambda::{Client, operation::list_functions::ListFunctionsOutput};
use fleet::{
    AwsError, Dataset, ErrorKind,
    datasets::{Discovery, LIST_FUNCTIONS},
    from_sdk,
};

pub use self::facts::{Facts, is_settled};
use super::session::{Renewable, Session};
use crate::cloudwatch::{limits::RegionLimits, retry_counter::RetryCounter};

/// The most that there are.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>
const FUNCTIONS_PER_PAGE: i32 = 50;

const UNREADABLE: &str = "an answer can't be read; it is not shown, since answers have environment variables";

/// Lists the functions of one region.
#[derive(Debug)]
pub(crate) struct Functions {
    client: Client,
    credentials: Renewable,
    region: Arc<str>,
    limits: Arc<RegionLimits>,
}

/// What is known of each function of a region, by its name.
#[derive(Debug, Default)]
pub(crate) struct FunctionFacts(HashMap<Arc<str>, Facts>);

impl Functions {
    /// The functions of a region; `None` if they are not what a dataset is about.
    pub(crate) fn new(
        session: &Session,
        region: &Arc<str>,
        limits: Arc<RegionLimits>,
        dataset: &Dataset,
    ) -> Option<Self> {
        (dataset.discovery == Discovery::ListFunctions).then(|| Self {
            client: session.lambda(region),
            credentials: session.credentials().clone(),
            region: region.clone(),
            limits,
        })
    }

    /// All functions, page by page.
    ///
    /// # Errors
    ///
    /// What the service said, after the SDK's retries.
    pub(crate) async fn read(&self) -> Result<FunctionFacts, AwsError> {
        let mut found = FunctionFacts::default();
        let mut marker = None;
        loop {
            let page = self.page(marker.clone()).await?;
            let functions = page.functions.unwrap_or_default();
            found.0.extend(functions.into_iter().filter_map(|function| {
                let name: Arc<str> = function.function_name.as_deref()?.into();
                Some((name, function.into()))
            }));
            match page.next_marker.filter(|next| !next.is_empty()) {
                None => return Ok(found),
                next if next == marker => {
                    return Err(AwsError::new(ErrorKind::Transient, LIST_FUNCTIONS, "RepeatedMarker")
                        .message("the next page is the page itself")
                        .in_region(&self.region));
                }
                next => marker = next,
            }
        }
    }

    /// One page; the first one without a marker.
    pub(crate) async fn page(&self, marker: Option<String>) -> Result<ListFunctionsOutput, AwsError> {
        let limiter = &self.limits.list_functions;
        limiter.wait(1.0).await;
        let call = self.client.list_functions().max_items(FUNCTIONS_PER_PAGE).set_marker(marker);
        let call = &call;
        let request = || async move {
            let counter = RetryCounter { limiter: limiter.clone(), cost: 1.0 };
            let page = call.clone().customize().interceptor(counter).send().await;
            page.map_err(|error| {
                let is_unreadable = error.raw_response().is_some_and(|answer| answer.status().is_success());
                let error = from_sdk(LIST_FUNCTIONS, error).in_region(&self.region);
                // It would be quoted.
                if is_unreadable { error.message(UNREADABLE) } else { error }
            })
        };
        self.credentials.call(request).await
    }
}

impl FunctionFacts {
    /// The names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// What is known of a function; `None` if it is not there.
    pub(crate) fn of(&self, name: &str) -> Option<&Facts> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::FunctionConfiguration;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use fleet::AccountId;

    use super::*;
    use crate::cloudwatch::limits::Limits;

    /// Lambda with canned answers.
    fn functions(rules: &[&Rule]) -> Functions {
        let client = mock_client!(aws_sdk_lambda, RuleMode::Sequential, rules);
        let account: AccountId = "111111111111".parse().expect("an id");
        let region = Arc::from("eu-west-1");
        let limits = Limits::default().of(&account, &region, 1.0);
        Functions { client, credentials: Renewable::for_tests(), region, limits }
    }

    fn page(names: &[&str], next: Option<&str>) -> ListFunctionsOutput {
        let functions =
            names.iter().map(|name| FunctionConfiguration::builder().function_name(*name).build());
        ListFunctionsOutput::builder()
            .set_functions(Some(functions.collect()))
            .set_next_marker(next.map(str::to_owned))
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_is_read_and_one_that_names_itself_as_the_next_is_an_error() {
        let first = mock!(Client::list_functions)
            .match_requests(|request| request.marker().is_none() && request.max_items() == Some(50))
            .then_output(|| page(&["a"], Some("2")));
        let second = mock!(Client::list_functions)
            .match_requests(|request| request.marker() == Some("2"))
            .then_output(|| page(&["b"], Some("")));
        let found = functions(&[&first, &second]).read().await.expect("pages");
        assert!(["a", "b"].iter().all(|name| found.of(name).is_some()) && found.names().count() == 2);

        let same = mock!(Client::list_functions)
            .sequence()
            .output(|| page(&["a"], Some("same")))
            .repeatedly()
            .build();
        let error = functions(&[&same]).read().await.expect_err("no end");
        assert_eq!((error.code.as_str(), same.num_calls()), ("RepeatedMarker", 2));
    }
}
