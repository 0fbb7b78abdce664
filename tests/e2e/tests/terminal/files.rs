// SPDX-License-Identifier: Apache-2.0
//! A file that is written is whole at every moment, and known to be writable before anything is paid for.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result};
use kit::{Fleet, end, finish, until};
use local_aws::Fault;
use tokio::process::Command;

use super::{day, fleet_of};

const OLD: &str = "a good report of another day\n";

/// A folder with a good report in it, and the command that writes another one there.
fn over_old(fleet: &Fleet) -> Result<(std::path::PathBuf, Command)> {
    let folder = fleet.folder.path().join("reports");
    fs::create_dir(&folder)?;
    fs::write(folder.join("r.csv"), OLD)?;
    let command = collect(fleet, &folder.join("r.csv"));
    Ok((folder, command))
}

fn collect(fleet: &Fleet, output: &Path) -> Command {
    let (day, output) = (day().to_string(), output.display().to_string());
    fleet.worker(&["collect", "--account-name", "data", "--date", &day, "--output", &output])
}

/// The files of a folder, hidden ones included, with what is in them.
fn files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
    }
    Ok(files)
}

#[tokio::test]
async fn a_full_disk_leaves_the_good_report() -> Result<()> {
    let (fleet, _) = fleet_of(120).await?;
    let (folder, whole) = over_old(&fleet)?;
    // No file may be longer than some kilobytes, and a write beyond that fails as on a full disk.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""]).arg(whole.as_std().get_program());
    limited.args(whole.as_std().get_args()).stdin(Stdio::null());
    limited.stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
    limited.envs(whole.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = finish(limited).await?.status(1);
    assert!(ended.stderr.contains("could not write"), "{}", ended.stderr);
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
    assert_eq!(files(&folder)?, [("r.csv".to_owned(), OLD.to_owned())]);

    finish(whole).await?.status(0);
    let files = files(&folder)?;
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0].1.lines().count(), 121);
    Ok(())
}

#[tokio::test]
async fn an_interruption_leaves_the_good_report() -> Result<()> {
    for signal in ["-INT", "-TERM"] {
        let (fleet, _) = fleet_of(1).await?;
        let (folder, mut command) = over_old(&fleet)?;
        let held = fleet.aws.fault(Fault::hold().on("GetMetricData"));
        let worker = command.spawn()?;
        until("it waits for an answer", || held.fired() > 0).await?;
        assert_eq!(files(&folder)?.len(), 2, "the temporary file is there");
        let id = worker.id().context("it runs")?.to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status()?.success());
        let ended = end(worker).await?.status(1);
        assert!(ended.stderr.contains("interrupted; nothing is written"), "{}", ended.stderr);
        assert_eq!(files(&folder)?, [("r.csv".to_owned(), OLD.to_owned())], "{signal}");
        held.release();
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_leaves_the_good_report() -> Result<()> {
    let (fleet, account) = fleet_of(1).await?;
    let (folder, command) = over_old(&fleet)?;
    account.deny("s3:ListAllMyBuckets");
    finish(command).await?.status(1);
    assert!(fleet.aws.calls().operation("ListBuckets").failed().count() > 0);
    assert_eq!(files(&folder)?, [("r.csv".to_owned(), OLD.to_owned())]);
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_written_is_refused_before_anything_is_asked() -> Result<()> {
    let (fleet, _) = fleet_of(1).await?;
    let (folder, _) = over_old(&fleet)?;
    for (output, why) in [
        (folder.join("no-such-folder/x.csv"), "No such file or directory"),
        (folder.clone(), "is a directory"),
        (folder.join("r.csv/x.csv"), "Not a directory"),
        ("/proc/x.csv".into(), "No such file or directory"),
    ] {
        let ended = finish(collect(&fleet, &output)).await?.status(2);
        let reported = format!("can't write to {}: ", output.display());
        assert!(ended.stderr.contains(&reported) && ended.stderr.contains(why), "{}", ended.stderr);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    assert_eq!(files(&folder)?, [("r.csv".to_owned(), OLD.to_owned())]);
    Ok(())
}

#[tokio::test]
async fn standard_output_has_names() -> Result<()> {
    let (fleet, _) = fleet_of(2).await?;
    for output in ["-", "/dev/stdout", "/dev/fd/1"] {
        let ended = finish(collect(&fleet, Path::new(output))).await?.status(0);
        assert_eq!(ended.stdout.lines().count(), 3, "{output}: {}", ended.stdout);
    }
    Ok(())
}
