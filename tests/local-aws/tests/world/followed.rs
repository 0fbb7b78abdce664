// SPDX-License-Identifier: Apache-2.0
//! The log: one message followed through the calls that were about it, and calls distinguished by their access key.

use aws_credential_types::Credentials;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use local_aws::{CallRecord, QueueOptions, Trust};

use crate::support::{ACCOUNT, REGION, error, keys, s3, sqs, start, sts};

#[tokio::test]
async fn the_log_tells_which_messages_a_call_was_about() {
    let aws = start().await;
    let url = aws.account(ACCOUNT).queue("jobs", QueueOptions::default());
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let sent = sqs.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    let id = sent.message_id().expect("an id").to_owned();
    let received =
        sqs.receive_message().queue_url(&url).visibility_timeout(45).send().await.expect("received");
    let handle = received.messages()[0].receipt_handle().expect("a handle").to_owned();
    let change = |seconds| {
        let request = sqs.change_message_visibility().queue_url(&url).receipt_handle(&handle);
        request.visibility_timeout(seconds).send()
    };
    change(90).await.expect("changed");
    assert_eq!(error(change(43_201).await).0, 400);
    let delete = || sqs.delete_message().queue_url(&url).receipt_handle(&handle).send();
    delete().await.expect("deleted");
    delete().await.expect("nothing to delete, and no word of it");
    assert_eq!(sqs.receive_message().queue_url(&url).send().await.expect("empty").messages().len(), 0);

    let seen = |call: CallRecord| (call.operation, call.message_ids, call.visibility);
    let records: Vec<_> = aws.calls().records().into_iter().map(seen).collect();
    let expected = |operation: &str, ids: &[&String], visibility| {
        (operation.to_owned(), ids.iter().map(|id| (*id).clone()).collect::<Vec<_>>(), visibility)
    };
    assert_eq!(
        records,
        [
            expected("SendMessage", &[&id], None),
            expected("ReceiveMessage", &[&id], Some(45)),
            expected("ChangeMessageVisibility", &[&id], Some(90)),
            expected("ChangeMessageVisibility", &[], Some(43_201)),
            expected("DeleteMessage", &[&id], None),
            expected("DeleteMessage", &[], None),
            expected("ReceiveMessage", &[], None),
        ]
    );
}

#[tokio::test]
async fn a_batch_is_about_each_of_its_messages() {
    let aws = start().await;
    let url = aws.account(ACCOUNT).queue("jobs", QueueOptions::default());
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let mut send = sqs.send_message_batch().queue_url(&url);
    for body in ["good", "a\u{1}b", "fine"] {
        let id = body.len().to_string() + &body[..1];
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
        send = send.entries(entry.build().expect("an entry"));
    }
    let answer = send.send().await.expect("200");
    let ids: Vec<_> = answer.successful().iter().map(|it| it.message_id().to_owned()).collect();
    assert_eq!((ids.len(), answer.failed().len()), (2, 1));
    let request = sqs.receive_message().queue_url(&url).max_number_of_messages(10);
    let received = request.send().await.expect("received");
    let mut delete = sqs.delete_message_batch().queue_url(&url);
    for (number, message) in received.messages().iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
        let entry = entry.receipt_handle(message.receipt_handle().expect("a handle"));
        delete = delete.entries(entry.build().expect("an entry"));
    }
    delete.send().await.expect("deleted");
    let records = aws.calls().records();
    let seen: Vec<_> = records.iter().map(|call| (call.operation.as_str(), &call.message_ids)).collect();
    assert_eq!(seen, [("SendMessageBatch", &ids), ("ReceiveMessage", &ids), ("DeleteMessageBatch", &ids)]);
}

#[tokio::test]
async fn calls_are_counted_by_their_access_key() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    account.add_access_key("AKIAFIRST", None);
    account.add_access_key("AKIASECOND", None);
    let list = |keys: Credentials| s3(&aws, REGION, keys).list_buckets().send();
    for key in ["AKIAFIRST", "AKIASECOND", "AKIAFIRST", ACCOUNT] {
        list(keys(key)).await.expect("listed");
    }
    account.deny("s3:ListAllMyBuckets");
    list(keys("AKIAFIRST")).await.expect_err("denied");
    let calls = || aws.calls().account(ACCOUNT).access_key("AKIAFIRST");
    assert_eq!((calls().count(), calls().ok().count(), calls().records().len()), (3, 2, 3));
    assert_eq!(calls().outcome("AccessDenied").summary().len(), 1);
    assert_eq!(aws.calls().access_key("AKIASECOND").count(), 1);
    assert_eq!(aws.calls().access_key(ACCOUNT).count(), 1);
    assert_eq!(aws.calls().count(), 5);
    assert_eq!(aws.calls().summary().iter().map(|row| row.3).sum::<u64>(), 5, "whatever their key");

    account.allow("s3:ListAllMyBuckets");
    let arn = account.role("reader", Trust::default());
    let assume = sts(&aws, REGION, keys("222222222222")).assume_role().role_arn(&arn);
    let given = assume.role_session_name("run").send().await.expect("assumed");
    let given = given.credentials.expect("credentials");
    let token = Some(given.session_token().to_owned());
    let (key, secret) = (given.access_key_id(), given.secret_access_key());
    list(Credentials::new(key, secret, token, None, "test")).await.expect("listed");
    assert_eq!(aws.calls().access_key(key).count(), 1);
    assert_eq!(aws.calls().access_key(key).summary().len(), 1);
    assert_eq!(aws.calls().count(), 7);
}
