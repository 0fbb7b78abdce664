//! What the story explains, in the order in which it does. A word between two asterisks is one to
//! remember.

pub(crate) const PRODUCT: &str = "\
*cloudwatch-fleet*: what every S3 bucket of many AWS accounts holds, for any day.
The producer and the workers below are the real programs. The AWS is make-believe: it runs on
127.0.0.1, takes its time for each call, and throttles CloudWatch as AWS does.";

pub(crate) const ACCOUNT: &str = "An *account* is an AWS account under a name of yours. Here are four:";

pub(crate) const ENVIRONMENT: &str = "\
The programs learn from their environment which AWS they use, where the *queue* and the
*report bucket* are, and with which keys to become each account (on AWS, better a role):";

pub(crate) const REQUEST: &str = "\
A *request* names a day, some accounts, and whatever else is to travel with them. The
*producer* makes a *job* of each account. All the jobs of a request are a *run*.";

pub(crate) const JOB: &str = "A job is a message on the queue. The first of them:";

pub(crate) const WORKER: &str = "\
A *worker* takes a job, becomes its account, finds the buckets, asks CloudWatch within the
account's quotas and stores the *report*. Then it deletes the job, and not before: what a
worker leaves undone comes back. A job that keeps failing goes to the *dead-letter queue*.";

pub(crate) const STATUS: &str = "\
Each account ends in a complete report, or in a partial one that says what is missing. One whose
job was given up has failed, and says why; `producer replay` tries it again once that is mended.
The exit status is 0 only where all are complete.";

pub(crate) const REPORT: &str = "\
A report is a CSV file with a row for each bucket. Its object in S3 says what it took.";

pub(crate) const FIGURES: &str = "\
Dollars are by AWS's list price. The seconds of all are by the clock, from the start of the
workers, which run beside each other. The files lie here as they do in the bucket:";

pub(crate) const NEXT: &str = "\
On AWS the commands are the same, with your keys and without AWS_ENDPOINT_URL. To begin with:";

pub(crate) const COMMANDS: [(&str, &str); 3] = [
    ("worker check --account-name data", "who the worker becomes there, and what it may do"),
    ("worker collect --account-name data", "a report at once, on the screen, with no queue"),
    ("producer run --account-name data --dry-run", "what a run would send and cost; sends nothing"),
];

pub(crate) const README: &str = "\
README.md tells how to put the fleet into an account of yours, and what to do day by day.";
