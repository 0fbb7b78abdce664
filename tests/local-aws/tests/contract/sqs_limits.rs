// SPDX-License-Identifier: Apache-2.0
//! SQS: what it refuses, and how it says so.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};

use crate::sqs::{attribute, queue, receive, text};
use crate::support::{code, contract};

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("an entry")
}

async fn send_batch(sqs: &Client, url: &str, entries: Vec<SendMessageBatchRequestEntry>) -> String {
    code(sqs.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await)
}

#[tokio::test]
async fn a_missing_queue_is_reported_by_type_and_code() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let error = sqs.receive_message().queue_url(format!("{url}-not")).send().await.expect_err("none");
        assert!(
            error.as_service_error().is_some_and(
                aws_sdk_sqs::operation::receive_message::ReceiveMessageError::is_queue_does_not_exist
            ),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn batches_hold_one_to_ten_entries_with_ids_of_their_own() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let many = (0..11).map(|number| entry(&number.to_string(), "x")).collect();
        let refused = send_batch(&sqs, &url, many).await;
        assert!(refused.ends_with("TooManyEntriesInBatchRequest"), "{refused}");
        let refused = send_batch(&sqs, &url, vec![entry("a", "x"), entry("a", "y")]).await;
        assert!(refused.ends_with("BatchEntryIdsNotDistinct"), "{refused}");
        let refused = send_batch(&sqs, &url, Vec::new()).await;
        assert!(refused.ends_with("EmptyBatchRequest"), "{refused}");
        let refused = send_batch(&sqs, &url, vec![entry("a b", "x")]).await;
        assert!(refused.ends_with("InvalidBatchEntryId"), "{refused}");
        assert!(receive(&sqs, &url).await.is_empty(), "a refused batch sends nothing");
    })
    .await;
}

#[tokio::test]
async fn a_batch_carries_one_mebibyte_in_all() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let half = "x".repeat(524_288);
        let fits = vec![entry("a", &half), entry("b", &half)];
        let request = sqs.send_message_batch().queue_url(&url).set_entries(Some(fits));
        assert_eq!(request.send().await.expect("sent").successful().len(), 2);
        let above = vec![entry("a", &half), entry("b", &half), entry("c", "x")];
        let refused = send_batch(&sqs, &url, above).await;
        assert!(refused.ends_with("BatchRequestTooLong"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_message_holds_one_mebibyte() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let send = |bytes| sqs.send_message().queue_url(&url).message_body("x".repeat(bytes)).send();
        send(1_048_576).await.expect("one mebibyte");
        assert_eq!(code(send(1_048_577).await), "InvalidParameterValue");
    })
    .await;
}

#[tokio::test]
async fn a_batch_fails_entry_by_entry() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let entries = vec![entry("good", "x"), entry("bad", "a\u{1}b"), entry("fine", "y")];
        let answer = sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await;
        let answer = answer.expect("200 whatever becomes of the entries");
        let sent: Vec<&str> =
            answer.successful().iter().map(aws_sdk_sqs::types::SendMessageBatchResultEntry::id).collect();
        assert_eq!(sent, ["good", "fine"]);
        assert_eq!(answer.failed().len(), 1);
        assert_eq!(answer.failed()[0].id(), "bad");
        assert!(answer.failed()[0].sender_fault());
        assert_eq!(receive(&sqs, &url).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_deletes_tells_which_handles_are_none() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        sqs.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
        let received = receive(&sqs, &url).await;
        let delete = |id: &str, handle: &str| {
            DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().expect("an entry")
        };
        let answer = sqs
            .delete_message_batch()
            .queue_url(&url)
            .entries(delete("a", received[0].receipt_handle().expect("a handle")))
            .entries(delete("b", "no handle"))
            .send()
            .await
            .expect("200");
        assert_eq!(answer.successful().len(), 1);
        assert_eq!(answer.successful()[0].id(), "a");
        assert_eq!(answer.failed()[0].id(), "b");
        assert_eq!(answer.failed()[0].code(), "ReceiptHandleIsInvalid");
    })
    .await;
}

#[tokio::test]
async fn a_message_has_at_most_ten_attributes() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let send = |count: usize| {
            let mut request = sqs.send_message().queue_url(&url).message_body("x");
            for number in 0..count {
                request = request.message_attributes(format!("a{number}"), text("1"));
            }
            request.send()
        };
        send(10).await.expect("ten");
        assert_eq!(code(send(11).await), "InvalidParameterValue");
    })
    .await;
}

#[tokio::test]
async fn characters_that_xml_does_not_have_are_refused() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        for body in ["a\u{0}b", "a\u{b}b", "a\u{fffe}b"] {
            let error =
                sqs.send_message().queue_url(&url).message_body(body).send().await.expect_err("refused");
            assert!(
                error.as_service_error().is_some_and(
                    aws_sdk_sqs::operation::send_message::SendMessageError::is_invalid_message_contents
                ),
                "{error:?}"
            );
        }
        let allowed = "tab\t newline\n return\r é 💡 \u{fffd}";
        sqs.send_message().queue_url(&url).message_body(allowed).send().await.expect("allowed");
        assert_eq!(receive(&sqs, &url).await[0].body(), Some(allowed));
    })
    .await;
}

#[tokio::test]
async fn a_receive_gives_one_to_ten_messages() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        for count in [0, 11] {
            let request = sqs.receive_message().queue_url(&url).max_number_of_messages(count);
            let code = code(request.send().await);
            assert!(code.starts_with("InvalidParameterValue"), "{code}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_receive_waits_at_most_20_seconds_and_hides_for_12_hours() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let receive = || sqs.receive_message().queue_url(&url);
        for refused in [receive().wait_time_seconds(21), receive().visibility_timeout(43_201)] {
            let code = code(refused.send().await);
            assert!(code.starts_with("InvalidParameterValue"), "{code}");
        }
    })
    .await;
}

#[tokio::test]
async fn visibility_ends_twelve_hours_after_the_receive() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        sqs.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
        let received = receive(&sqs, &url).await;
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let change = |seconds| {
            let request = sqs.change_message_visibility().queue_url(&url).visibility_timeout(seconds);
            request.receipt_handle(received[0].receipt_handle().expect("a handle")).send()
        };
        change(43_190).await.expect("within twelve hours");
        assert!(code(change(43_200).await).starts_with("InvalidParameterValue"), "a second too long");
        assert!(code(change(43_201).await).starts_with("InvalidParameterValue"), "never");
    })
    .await;
}

#[tokio::test]
async fn an_invalid_receipt_handle_is_reported() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let delete = sqs.delete_message().queue_url(&url).receipt_handle("no handle");
        assert_eq!(code(delete.send().await), "ReceiptHandleIsInvalid");
        let change = sqs.change_message_visibility().queue_url(&url).receipt_handle("no handle");
        assert_eq!(code(change.visibility_timeout(10).send().await), "ReceiptHandleIsInvalid");
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_queue_must_be_there() {
    contract(|aws| async move {
        let (sqs, url) = queue(&aws, &[]).await;
        let arn = attribute(&sqs, &url, QueueAttributeName::QueueArn).await;
        for policy in [
            serde_json::json!({ "deadLetterTargetArn": format!("{arn}-not"), "maxReceiveCount": 3 }),
            serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 0 }),
            serde_json::json!({ "maxReceiveCount": 3 }),
        ] {
            let request = sqs.set_queue_attributes().queue_url(&url);
            let request = request.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
            assert_eq!(code(request.send().await), "InvalidParameterValue", "{policy}");
        }
    })
    .await;
}
