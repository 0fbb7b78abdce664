// SPDX-License-Identifier: Apache-2.0
//! Faults that take a call's answer away, hold the call, or let it fall silent, and how they end.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use local_aws::{Account, Fault, FaultHandle, LocalAws, QueueOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    ACCOUNT, IMPATIENCE, PATIENCE, REGION, begin, end, error, impatient, keys, s3, sqs, start, until,
};

const SILENT: Duration = Duration::from_millis(200);

/// An AWS with a bucket for reports.
async fn reports() -> (LocalAws, Account) {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    (aws, account)
}

fn abandoned(aws: &LocalAws) -> u64 {
    aws.calls().outcome("abandoned").count()
}

/// A `PutObject` on a connection of its own, sent as a whole.
async fn put(aws: &LocalAws, key: &str) -> TcpStream {
    begin(aws, &format!("PUT /reports/{key} HTTP/1.1\r\ncontent-length: 5"), b"hello").await
}

/// A `PutObject` of a megabyte on a connection of its own, of which 600 kB are sent.
async fn begin_upload(aws: &LocalAws) -> TcpStream {
    begin(aws, "PUT /reports/k HTTP/1.1\r\ncontent-length: 1000000", &vec![7; 600_000]).await
}

async fn is_silent(connection: &mut TcpStream) -> bool {
    tokio::time::timeout(SILENT, connection.read_u8()).await.is_err()
}

async fn fired(handle: &FaultHandle, times: u64) {
    until("the fault fires", || handle.fired() == times).await;
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect_and_counts_after_it() {
    let (aws, account) = reports().await;
    let handle = aws.fault(Fault::lost_answer().on("PutObject"));
    for number in 1..=20 {
        let key = format!("k{number}");
        let mut connection = put(&aws, &key).await;
        fired(&handle, number).await;
        assert_eq!(account.object("reports", &key).expect("stored by now").text(), "hello");
        if number == 1 {
            assert!(is_silent(&mut connection).await);
        }
    }
    until("all are logged", || aws.calls().operation("PutObject").outcome("lost").count() == 20).await;
    assert_eq!((aws.calls().ok().count(), aws.calls().count()), (0, 20));
}

#[tokio::test]
async fn a_client_waits_for_a_lost_answer_until_it_gives_up() {
    let (aws, account) = reports().await;
    let url = account.queue("jobs", QueueOptions::default());
    let handle = aws.fault(Fault::lost_answer().on("SendMessage").queue("jobs").times(1));
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let send = || sqs.send_message().queue_url(&url).message_body("x");
    let lost = send().customize();
    let lost = lost.config_override(aws_sdk_sqs::Config::builder().timeout_config(impatient()));
    let start = Instant::now();
    assert_eq!(error(lost.send().await).0, 0);
    assert!(start.elapsed() >= IMPATIENCE);
    assert_eq!((handle.fired(), account.counts("jobs").visible), (1, 1));
    send().send().await.expect("once only");
    assert_eq!(account.counts("jobs").visible, 2);
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_not_lost() {
    let (aws, account) = reports().await;
    account.put_object("reports", "k", "first", &[]);
    let lost = aws.fault(Fault::lost_answer().on("PutObject"));
    let reset = aws.fault(Fault::reset_answer().on("PutObject"));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let again = || s3.put_object().bucket("reports").key("k").if_none_match("*").send();
    assert_eq!(error(again().await), (412, "PreconditionFailed".to_owned()));
    let throttle = aws.fault(Fault::throttle().on("PutObject").times(1));
    assert_eq!(error(again().await), (503, "SlowDown".to_owned()));
    assert_eq!((lost.fired(), reset.fired(), throttle.fired()), (0, 0, 1));
}

#[tokio::test]
async fn a_reset_answer_leaves_its_effect_too() {
    let (aws, account) = reports().await;
    let handle = aws.fault(Fault::reset_answer().on("PutObject").times(1));
    assert_eq!(end(put(&aws, "a").await).await, (Vec::new(), Some(ErrorKind::ConnectionReset)));
    assert_eq!(handle.fired(), 1);
    assert_eq!(account.object("reports", "a").expect("stored").text(), "hello");
    let handle = aws.fault(Fault::reset_answer().on("PutObject").times(1));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let put = || s3.put_object().bucket("reports").key("b").if_none_match("*").send();
    assert!(put().await.is_err_and(|error| error.raw_response().is_none()));
    assert_eq!(handle.fired(), 1);
    assert_eq!(error(put().await), (412, "PreconditionFailed".to_owned()));
    assert_eq!(aws.calls().operation("PutObject").outcome("lost").count(), 2);
}

#[tokio::test]
async fn a_call_that_is_carried_out_may_be_answered_with_an_error() {
    let (aws, account) = reports().await;
    let handle = aws.fault(Fault::late_error().on("PutObject").times(1));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let put = || s3.put_object().bucket("reports").key("a").if_none_match("*").send();
    assert_eq!(error(put().await), (500, "InternalError".to_owned()));
    assert_eq!((handle.fired(), error(put().await)), (1, (412, "PreconditionFailed".to_owned())));
    assert!(account.object("reports", "a").is_some());
}

#[tokio::test]
async fn an_upload_that_hangs_is_read_by_half_and_never_stored() {
    let (aws, account) = reports().await;
    let handle = aws.fault(Fault::hang_upload().on("PutObject").key_prefix("k").times(2));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let put = |key: &'static str, bytes| {
        s3.put_object().bucket("reports").key(key).body(ByteStream::from(vec![7; bytes])).send()
    };
    let hanging = [10_000_000, 5].map(|bytes| tokio::spawn(put("k", bytes)));
    fired(&handle, 2).await;
    put("k-later", 5).await.expect("twice only");
    assert!(hanging.iter().all(|put| !put.is_finished()));
    handle.stop();
    for put in hanging {
        assert!(put.await.expect("no panic").is_err_and(|error| error.raw_response().is_none()));
    }
    assert_eq!(handle.fired(), 2);
    assert_eq!(account.keys("reports", ""), ["k-later"]);
}

#[tokio::test]
async fn nothing_more_of_a_hanging_upload_is_read() {
    let (aws, _) = reports().await;
    let handle = aws.fault(Fault::hang_upload());
    let head = "PUT /reports/k HTTP/1.1\r\ncontent-length: 200000000";
    let mut connection = begin(&aws, head, b"").await;
    fired(&handle, 1).await;
    let piece = vec![7; 1_000_000];
    let mut taken = 0;
    loop {
        // Only beyond the half is a pause its end: a machine that stalls makes one before.
        let pause = if taken < 100 { PATIENCE } else { Duration::from_secs(1) };
        let sent = tokio::time::timeout(pause, connection.write_all(&piece)).await;
        if !sent.is_ok_and(|sent| sent.is_ok()) {
            break;
        }
        taken += 1;
    }
    assert!((100..150).contains(&taken), "half, and what the sockets hold: {taken} MB");
}

#[tokio::test]
async fn requests_without_a_body_have_no_upload_to_break() {
    let (aws, _) = reports().await;
    let faults = [aws.fault(Fault::hang_upload()), aws.fault(Fault::reset_upload())];
    s3(&aws, REGION, keys(ACCOUNT)).list_buckets().send().await.expect("listed");
    assert_eq!(faults.map(|fault| fault.fired()), [0, 0]);
}

#[tokio::test]
async fn silence_ends_with_a_reset_when_its_fault_is_stopped() {
    let (aws, account) = reports().await;
    for (fault, key, stands) in [
        (Fault::hang(), "hung", false),
        (Fault::lost_answer(), "lost", true),
        (Fault::hang_upload(), "k", false),
    ] {
        let handle = aws.fault(fault);
        let mut connection = if key == "k" { begin_upload(&aws).await } else { put(&aws, key).await };
        fired(&handle, 1).await;
        assert!(is_silent(&mut connection).await);
        handle.stop();
        assert_eq!(end(connection).await, (Vec::new(), Some(ErrorKind::ConnectionReset)), "{key}");
        assert_eq!((handle.fired(), account.object("reports", key).is_some()), (1, stands), "{key}");
    }
    let outcomes: Vec<_> = aws.calls().records().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["reset", "lost", "reset"]);
}

#[tokio::test]
async fn silence_ends_when_the_faults_are_cleared() {
    let (aws, _) = reports().await;
    let handle = aws.fault(Fault::hang());
    let connection = put(&aws, "k").await;
    fired(&handle, 1).await;
    aws.clear_faults();
    assert_eq!(end(connection).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn silence_ends_when_the_client_goes_away() {
    let (aws, account) = reports().await;
    let faults = [Fault::hang(), Fault::hold(), Fault::hang_upload(), Fault::hang_upload()];
    for (number, fault) in faults.into_iter().enumerate() {
        let handle = aws.fault(fault.times(1));
        // The last upload is read as a whole.
        let connection = if number == 2 { begin_upload(&aws).await } else { put(&aws, "k").await };
        fired(&handle, 1).await;
        assert_eq!(abandoned(&aws), number as u64);
        drop(connection);
        until("it is given up", || abandoned(&aws) == number as u64 + 1).await;
        handle.release();
    }
    assert!(
        account.object("reports", "k").is_none(),
        "a held call of a client that is gone is never carried out"
    );
}

#[tokio::test]
async fn a_held_call_goes_on_when_it_is_released() {
    let (aws, account) = reports().await;
    let gate = aws.fault(Fault::hold().on("PutObject").bucket("reports"));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let race = |body: &'static [u8]| {
        let put = s3.put_object().bucket("reports").key("k").if_none_match("*");
        tokio::spawn(put.body(ByteStream::from_static(body)).send())
    };
    let racers = [race(b"one"), race(b"two")];
    fired(&gate, 2).await;
    tokio::time::sleep(SILENT).await;
    assert!(account.object("reports", "k").is_none());
    assert!(racers.iter().all(|racer| !racer.is_finished()));
    gate.release();
    let mut lost = Vec::new();
    for racer in racers {
        lost.extend(racer.await.expect("no panic").err().map(|failure| error::<(), _>(Err(failure))));
    }
    assert_eq!(lost, [(412, "PreconditionFailed".to_owned())], "one of two wins");

    let third = race(b"three");
    fired(&gate, 3).await;
    tokio::time::sleep(SILENT).await;
    assert!(!third.is_finished(), "later calls are held anew");
    gate.stop();
    assert_eq!(error(third.await.expect("no panic")).0, 412, "carried out when the fault is stopped");
    assert_eq!(error(race(b"four").await.expect("no panic")).0, 412);
    assert_eq!(gate.fired(), 3);
}

#[tokio::test]
async fn a_held_call_may_lose_its_answer_as_well() {
    let (aws, account) = reports().await;
    let (gate, lost) = (aws.fault(Fault::hold().times(1)), aws.fault(Fault::lost_answer().times(1)));
    let mut connection = put(&aws, "k").await;
    fired(&gate, 1).await;
    assert!(account.object("reports", "k").is_none());
    gate.release();
    fired(&lost, 1).await;
    assert!(account.object("reports", "k").is_some());
    assert!(is_silent(&mut connection).await);
    connection.shutdown().await.expect("shut down");
}
