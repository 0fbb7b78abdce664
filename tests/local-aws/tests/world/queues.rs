// SPDX-License-Identifier: Apache-2.0
//! Queues from the outside: their clock, what is placed on them and looked into, and polls that run meanwhile.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::receive_message::{ReceiveMessageError, ReceiveMessageOutput};
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};
use local_aws::{Account, LocalAws, Place, QueueOptions};

use crate::support::{ACCOUNT, error, keys, sqs, start};

const MIB: usize = 1_048_576;

async fn jobs(options: QueueOptions) -> (LocalAws, Account, Client, String) {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let url = account.queue("jobs", options);
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    (aws, account, sqs, url)
}

/// A long poll that runs by now.
async fn poll(sqs: &Client, url: &str) -> tokio::task::JoinHandle<Polled> {
    let receive = sqs.receive_message().queue_url(url).wait_time_seconds(20);
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    let poll = tokio::spawn(receive.message_attribute_names("All").send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!poll.is_finished());
    poll
}

type Polled = Result<ReceiveMessageOutput, SdkError<ReceiveMessageError>>;

#[tokio::test]
async fn time_passes_for_a_queue_and_its_polls_wake() {
    let (_aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    let _ = account.queue("other", QueueOptions::default());
    account.send("jobs", "x");
    account.send("other", "x");
    let sent = account.messages("jobs")[0].sent;
    let receive = || sqs.receive_message().queue_url(&url).visibility_timeout(600).send();
    assert_eq!(receive().await.expect("received").messages().len(), 1);
    let left = account.messages("jobs")[0].visible_in.expect("hidden");
    assert!(left > Duration::from_secs(590) && left <= Duration::from_mins(10), "{left:?}");

    account.pass_time("jobs", Duration::from_secs(500));
    assert_eq!(account.messages("jobs")[0].place, Place::InFlight);
    assert!(account.messages("jobs")[0].visible_in.expect("hidden") <= Duration::from_secs(100));
    let poll = poll(&sqs, &url).await;
    let start = Instant::now();
    account.pass_time("jobs", Duration::from_secs(100));
    let received = poll.await.expect("no panic").expect("received");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let system = received.messages()[0].attributes().expect("system attributes");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
    let reported = sent.timestamp_millis().to_string();
    assert_eq!(system[&MessageSystemAttributeName::SentTimestamp], reported);
    let seen = &account.messages("jobs")[0];
    assert_eq!((seen.receive_count, seen.place, seen.sent), (2, Place::InFlight, sent));

    account.pass_time("jobs", Duration::from_hours(96));
    assert!(account.messages("jobs").is_empty(), "past its retention");
    assert_eq!(account.messages("other").len(), 1, "a queue's clock is its own");
    let fresh = account.send_with("jobs", "y", &[]).expect("sent");
    let seen = &account.messages("jobs")[0];
    assert!(
        (chrono::Utc::now() - seen.sent).num_seconds() < 5,
        "sent now, not in what the queue takes for now"
    );
    assert_eq!((&seen.id, seen.visible_in), (&fresh, None));
}

#[tokio::test]
async fn a_delayed_message_counts_as_delayed() {
    let (_aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    sqs.send_message().queue_url(&url).message_body("x").delay_seconds(60).send().await.expect("sent");
    assert_eq!(account.messages("jobs")[0].place, Place::Delayed);
    account.pass_time("jobs", Duration::from_mins(1));
    assert_eq!(account.messages("jobs")[0].place, Place::Visible);
}

#[tokio::test]
async fn messages_are_placed_with_attributes_up_to_the_limits() {
    let (_aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
    let mut attributes: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    // Ten times name, value and the word String.
    let body = "x".repeat(MIB - 10 * (2 + 1 + 6));
    let id = account.send_with("jobs", &body, &attributes).expect("sent");
    let request = sqs.receive_message().queue_url(&url).message_attribute_names("All");
    let received = request.send().await.expect("received");
    let message = &received.messages()[0];
    assert_eq!((message.message_id(), message.body()), (Some(id.as_str()), Some(body.as_str())));
    let given = message.message_attributes().expect("attributes");
    assert_eq!((given.len(), given["n7"].string_value()), (10, Some("v")));
    assert_eq!(account.messages("jobs")[0].attributes["n9"], "v");

    let refused = |body: &str, attributes: &[(&str, &str)]| {
        account.send_with("jobs", body, attributes).expect_err("refused").to_string()
    };
    assert!(refused(&format!("{body}x"), &attributes).starts_with("InvalidParameterValue"));
    attributes.push(("more", "v"));
    assert!(refused("x", &attributes).contains("[11] exceeds"));
    assert!(account.send_with("none", "x", &[]).is_err());
    assert_eq!(account.messages("jobs").len(), 1);
}

#[tokio::test]
async fn names_types_and_values_of_attributes_count_against_a_mebibyte() {
    let (_aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    let value = |kind: &str| {
        MessageAttributeValue::builder().data_type(kind).string_value("value").build().expect("an attribute")
    };
    let attributes = "name".len() + "String.mine".len() + "value".len();
    let send = |bytes| {
        let request = sqs.send_message().queue_url(&url).message_attributes("name", value("String.mine"));
        request.message_body("x".repeat(bytes)).send()
    };
    send(MIB - attributes).await.expect("one mebibyte in all");
    assert_eq!(error(send(MIB - attributes + 1).await), (400, "InvalidParameterValue".to_owned()));
    assert_eq!(account.messages("jobs").len(), 1);
}

#[tokio::test]
async fn a_dead_letter_wakes_the_polls_of_its_queue_and_is_as_it_was() {
    let redrive = Some(("dead".to_owned(), 1));
    let (_aws, account, sqs, url) = jobs(QueueOptions { redrive, ..QueueOptions::default() }).await;
    let id = account.send_with("jobs", "body", &[("name", "value")]).expect("sent");
    let sent = account.messages("jobs")[0].sent.timestamp_millis().to_string();
    let poll = poll(&sqs, &account.queue_url("dead")).await;
    let receive = || sqs.receive_message().queue_url(&url).visibility_timeout(0).send();
    assert_eq!(receive().await.expect("received").messages().len(), 1);
    let start = Instant::now();
    assert!(receive().await.expect("received").messages().is_empty(), "received too often");
    let received = poll.await.expect("no panic").expect("received");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let message = &received.messages()[0];
    assert_eq!((message.message_id(), message.body()), (Some(id.as_str()), Some("body")));
    assert_eq!(message.message_attributes().expect("attributes")["name"].string_value(), Some("value"));
    let system = message.attributes().expect("system attributes");
    assert_eq!(system[&MessageSystemAttributeName::SentTimestamp], sent);
}

#[tokio::test]
async fn a_poll_of_a_queue_that_is_deleted_ends_with_an_error() {
    let (aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    let poll = poll(&sqs, &url).await;
    let start = Instant::now();
    account.delete_queue("jobs");
    let failure = poll.await.expect("no panic").expect_err("the queue is gone");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(
        failure.as_service_error().is_some_and(ReceiveMessageError::is_queue_does_not_exist),
        "{failure:?}"
    );
    let code = "AWS.SimpleQueueService.NonExistentQueue";
    assert_eq!(error::<(), _>(Err(failure)), (400, code.to_owned()));
    assert_eq!(aws.calls().operation("ReceiveMessage").outcome(code).count(), 1);
}

#[tokio::test]
async fn a_poll_goes_on_at_the_queue_that_replaces_its_own() {
    let (_aws, account, sqs, url) = jobs(QueueOptions::default()).await;
    let poll = poll(&sqs, &url).await;
    let start = Instant::now();
    assert_eq!(account.queue("jobs", QueueOptions::default()), url);
    let id = account.send_with("jobs", "x", &[]).expect("sent");
    let received = poll.await.expect("no panic").expect("received");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(received.messages()[0].message_id(), Some(id.as_str()));
}
