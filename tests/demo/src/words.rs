//! What the story explains, in the order in which it does. A word between two asterisks is one to
//! remember.

pub(crate) const PRODUCT: &str = "\
*cloudwatch-fleet*: what every S3 bucket of many AWS accounts holds, for any day.
The producer and the workers below are the real programs. The AWS is make-believe: it runs on
127.0.0.1, takes its time for each call, and throttles CloudWatch as AWS does.";

pub(crate) const ACCOUNT: &str = "An *account* is an AWS account under a name of yours. Here are five:";

pub(crate) const ENVIRONMENT: &str = "\
The programs learn from their environment which AWS they use, where the *queue* and the
*report bucket* are, and with which keys to become each account (on AWS, better a role):";

pub(crate) const FORGOTTEN: &str = "Somebody forgot the keys of legacy.";

pub(crate) const REQUEST: &str = "\
A *request* names a day, some accounts, and whatever else is to travel with them. The
*producer* makes a *job* of each account. All the jobs of a request are a *run*.";

pub(crate) const JOB: &str = "A job is a message on the queue. The first of them:";

pub(crate) const WORKER: &str = "\
A *worker* takes a job, becomes its account, finds the buckets, asks CloudWatch within the
account's quotas and stores the *report*. Then it deletes the job, and not before: what a
worker leaves undone comes back. A job that can't be done goes to the *dead-letter queue*.";

pub(crate) const STATUS: &str = "\
Each account ends with a complete report, with a partial one that says what is missing, or as
failed, with the reason. SQS has no peek: the producer receives all dead letters and gives them
back, and waits two polls of a second each to be sure that it has all.";

pub(crate) const FAILED: &str = "\
A *dead letter* is a job with the reason why it can't be done, and waits until that is fixed:";

pub(crate) const MEND: &str = "\
So set the keys where the workers run, start a worker that knows them, and send the job again:";

pub(crate) const REPORT: &str = "\
A report is a CSV file with a row for each bucket. Its object in S3 says what it took.";

pub(crate) const FIGURES: &str = "\
Dollars are by AWS's list price. The seconds of all are by the clock, from the start of the
workers, which run beside each other; the mending is left out. The files lie here as they do in
the bucket:";

pub(crate) const NEXT: &str = "\
On AWS the commands are the same, with your keys and without AWS_ENDPOINT_URL. To begin with:";

pub(crate) const COMMANDS: [(&str, &str); 3] = [
    ("worker check --account-name data", "who the worker becomes there, and what it may do"),
    ("worker collect --account-name data", "a report at once, on the screen, with no queue"),
    ("producer run --account-name data --dry-run", "what a run would send and cost; sends nothing"),
];

pub(crate) const README: &str = "\
README.md says how to set the fleet up in an account of yours, docs/operations.md what to do day by day.";
