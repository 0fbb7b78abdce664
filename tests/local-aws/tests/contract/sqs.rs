// SPDX-License-Identifier: Apache-2.0
//! SQS: a message's life.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};

use crate::support::{Aws, code, contract, eventually};

pub(crate) async fn queue(aws: &Aws, attributes: &[(QueueAttributeName, &str)]) -> (Client, String) {
    let sqs = aws.sqs();
    let mut request = sqs.create_queue().queue_name(aws.unique("queue"));
    for (name, value) in attributes {
        request = request.attributes(name.clone(), *value);
    }
    let url = request.send().await.expect("created").queue_url.expect("a URL");
    (sqs, url)
}

pub(crate) async fn receive(sqs: &Client, url: &str) -> Vec<Message> {
    let request = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    request.send().await.expect("received").messages.unwrap_or_default()
}

pub(crate) fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().expect("an attribute")
}

fn handle(message: &Message) -> &str {
    message.receipt_handle().expect("a handle")
}

fn system(message: &Message, name: &MessageSystemAttributeName) -> i64 {
    let attributes = message.attributes().expect("system attributes");
    attributes.get(name).expect("the attribute").parse().expect("a number")
}

async fn send(sqs: &Client, url: &str, body: &str) {
    sqs.send_message().queue_url(url).message_body(body).send().await.expect("sent");
}

#[tokio::test]
async fn a_message_is_received_as_it_was_sent_and_deleted_for_good() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let sent = sqs
            .send_message()
            .queue_url(&url)
            .message_body("{\"account_name\":\"data\"}")
            .message_attributes("account_name", text("data"))
            .message_attributes("run_id", text("r-1"))
            .send()
            .await
            .expect("sent");
        let now = chrono::Utc::now().timestamp_millis();
        let messages = receive(&sqs, &url).await;
        assert_eq!(messages.len(), 1);
        let message = &messages[0];
        assert_eq!(message.body(), Some("{\"account_name\":\"data\"}"));
        assert_eq!(message.message_id(), sent.message_id());
        assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
        assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
        assert!(sent.md5_of_message_attributes().is_some());
        let attributes = message.message_attributes().expect("attributes");
        assert_eq!(attributes["account_name"].string_value(), Some("data"));
        assert_eq!(system(message, &MessageSystemAttributeName::ApproximateReceiveCount), 1);
        assert!((now - system(message, &MessageSystemAttributeName::SentTimestamp)).abs() < 5000);
        assert!(
            (now - system(message, &MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)).abs()
                < 5000
        );
        sqs.delete_message().queue_url(&url).receipt_handle(handle(message)).send().await.expect("deleted");
        assert!(receive(&sqs, &url).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn attributes_are_returned_only_if_requested() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "0")]).await;
        let request = sqs.send_message().queue_url(&url).message_body("x").message_attributes("a", text("1"));
        request.send().await.expect("sent");
        let bare = sqs.receive_message().queue_url(&url).send().await.expect("received");
        let message = &bare.messages()[0];
        assert!(message.attributes().is_none_or(std::collections::HashMap::is_empty));
        assert!(message.message_attributes().is_none_or(std::collections::HashMap::is_empty));
    })
    .await;
}

#[tokio::test]
async fn a_message_comes_back_after_its_visibility_timeout() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "5")]).await;
        send(&sqs, &url, "x").await;
        assert_eq!(receive(&sqs, &url).await.len(), 1);
        assert!(receive(&sqs, &url).await.is_empty(), "hidden");
        tokio::time::sleep(Duration::from_millis(5200)).await;
        let again = receive(&sqs, &url).await;
        assert_eq!(system(&again[0], &MessageSystemAttributeName::ApproximateReceiveCount), 2);
    })
    .await;
}

#[tokio::test]
async fn the_receive_may_set_its_own_visibility_timeout() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "1")]).await;
        send(&sqs, &url, "x").await;
        let request = sqs.receive_message().queue_url(&url).visibility_timeout(30);
        assert_eq!(request.send().await.expect("received").messages().len(), 1);
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert!(receive(&sqs, &url).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn visibility_can_be_extended_and_reset() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "5")]).await;
        send(&sqs, &url, "x").await;
        let first = receive(&sqs, &url).await;
        let change = |seconds| {
            let request = sqs.change_message_visibility().queue_url(&url).visibility_timeout(seconds);
            request.receipt_handle(handle(&first[0])).send()
        };
        change(30).await.expect("extended");
        tokio::time::sleep(Duration::from_millis(5300)).await;
        assert!(receive(&sqs, &url).await.is_empty(), "still hidden");
        change(0).await.expect("given back");
        assert_eq!(receive(&sqs, &url).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_visible_has_no_visibility_to_change() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        send(&sqs, &url, "x").await;
        let received = receive(&sqs, &url).await;
        let change = |seconds| {
            let request = sqs.change_message_visibility().queue_url(&url).visibility_timeout(seconds);
            request.receipt_handle(handle(&received[0])).send()
        };
        change(0).await.expect("given back");
        let error = change(10).await.expect_err("not in flight").into_service_error();
        assert!(error.is_message_not_inflight(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_handle_of_an_earlier_receive_does_not_delete() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "0")]).await;
        send(&sqs, &url, "x").await;
        let first = receive(&sqs, &url).await;
        let second = receive(&sqs, &url).await;
        assert_ne!(handle(&first[0]), handle(&second[0]));
        let stale = sqs.delete_message().queue_url(&url).receipt_handle(handle(&first[0]));
        stale.send().await.expect("SQS does not say that it did nothing");
        assert_eq!(receive(&sqs, &url).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue_as_it_was() {
    contract(|aws| async move {
        let (sqs, dead) = queue(&aws, &[]).await;
        let arn = attribute(&sqs, &dead, QueueAttributeName::QueueArn).await;
        let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": "2" }).to_string();
        let attributes = [
            (QueueAttributeName::RedrivePolicy, policy.as_str()),
            (QueueAttributeName::VisibilityTimeout, "0"),
        ];
        let (_, url) = queue(&aws, &attributes).await;
        let request = sqs.send_message().queue_url(&url).message_body("x").message_attributes("a", text("1"));
        request.send().await.expect("sent");
        let first = receive(&sqs, &url).await;
        assert_eq!(receive(&sqs, &url).await.len(), 1);
        assert!(receive(&sqs, &url).await.is_empty(), "the third receive moves it");
        let moved = eventually(|| async { receive(&sqs, &dead).await.into_iter().next() }).await;
        assert_eq!(moved.body(), Some("x"));
        assert_eq!(moved.message_id(), first[0].message_id());
        assert_eq!(moved.message_attributes().expect("attributes")["a"].string_value(), Some("1"));
        let sent = &MessageSystemAttributeName::SentTimestamp;
        assert_eq!(system(&moved, sent), system(&first[0], sent), "its age continues");
    })
    .await;
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_arrives() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let start = Instant::now();
        let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
        let arrival = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            send(&sqs, &url, "x").await;
        };
        let (received, ()) = tokio::join!(poll, arrival);
        assert_eq!(received.expect("received").messages().len(), 1);
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_falls_due() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "3")]).await;
        send(&sqs, &url, "x").await;
        // Before the receive that hides it: however late the poll begins, it can't fall due sooner.
        let start = Instant::now();
        assert_eq!(receive(&sqs, &url).await.len(), 1);
        let request = sqs.receive_message().queue_url(&url).wait_time_seconds(20);
        assert_eq!(request.send().await.expect("received").messages().len(), 1);
        assert!(start.elapsed() > Duration::from_millis(2900), "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn an_empty_long_poll_lasts_as_long_as_it_was_asked_to() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let start = Instant::now();
        let request = sqs.receive_message().queue_url(&url).wait_time_seconds(1);
        assert!(request.send().await.expect("received").messages().is_empty());
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_delayed_message_shows_up_later() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let request = sqs.send_message().queue_url(&url).message_body("x").delay_seconds(5);
        request.send().await.expect("sent");
        assert!(receive(&sqs, &url).await.is_empty());
        let delayed = attribute(&sqs, &url, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await;
        assert_eq!(delayed, "1");
        eventually(|| async { receive(&sqs, &url).await.into_iter().next() }).await;
    })
    .await;
}

#[tokio::test]
async fn queue_attributes_tell_counts_and_settings() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[(QueueAttributeName::VisibilityTimeout, "77")]).await;
        for body in ["a", "b", "c"] {
            send(&sqs, &url, body).await;
        }
        let one =
            sqs.receive_message().queue_url(&url).max_number_of_messages(1).send().await.expect("received");
        assert_eq!(one.messages().len(), 1);
        let get = |name| attribute(&sqs, &url, name);
        assert_eq!(get(QueueAttributeName::ApproximateNumberOfMessages).await, "2");
        assert_eq!(get(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
        assert_eq!(get(QueueAttributeName::VisibilityTimeout).await, "77");
        assert_eq!(get(QueueAttributeName::MessageRetentionPeriod).await, "345600", "four days by default");
        let arn = get(QueueAttributeName::QueueArn).await;
        assert!(arn.starts_with(&format!("arn:aws:sqs:eu-west-1:{}:queue-", aws.account())), "{arn}");
        let change = sqs.set_queue_attributes().queue_url(&url);
        let change = change.attributes(QueueAttributeName::VisibilityTimeout, "5");
        change.send().await.expect("set");
        assert_eq!(get(QueueAttributeName::VisibilityTimeout).await, "5");
    })
    .await;
}

#[tokio::test]
async fn queues_are_found_by_name_and_by_prefix() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let name = url.rsplit('/').next().expect("a name");
        let found = sqs.get_queue_url().queue_name(name).send().await.expect("found");
        assert_eq!(found.queue_url(), Some(url.as_str()));
        let listed = sqs.list_queues().queue_name_prefix("queue-").send().await.expect("listed");
        assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
        let none = sqs.list_queues().queue_name_prefix("other-").send().await.expect("listed");
        assert!(none.queue_urls().is_empty());
        let again = sqs.create_queue().queue_name(name).send().await.expect("the same queue");
        assert_eq!(again.queue_url(), Some(url.as_str()));
        let differs =
            sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "99");
        let error = differs.send().await.expect_err("another setting").into_service_error();
        assert!(error.is_queue_name_exists(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn purging_and_deleting_a_queue_empty_it_for_good() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        send(&sqs, &url, "x").await;
        sqs.purge_queue().queue_url(&url).send().await.expect("purged");
        assert!(receive(&sqs, &url).await.is_empty());
        sqs.delete_queue().queue_url(&url).send().await.expect("deleted");
        let error = sqs.receive_message().queue_url(&url).send().await.expect_err("gone");
        assert!(
            error.as_service_error().is_some_and(
                aws_sdk_sqs::operation::receive_message::ReceiveMessageError::is_queue_does_not_exist
            ),
            "{error:?}"
        );
        assert_eq!(code(sqs.send_message().queue_url(&url).message_body("x").send().await), MISSING);
    })
    .await;
}

/// What the SDK makes of a queue that is not there.
const MISSING: &str = "AWS.SimpleQueueService.NonExistentQueue";

pub(crate) async fn attribute(sqs: &Client, url: &str, name: QueueAttributeName) -> String {
    let request = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let attributes = request.send().await.expect("attributes").attributes.expect("attributes");
    attributes.get(&name).expect("the attribute").clone()
}
