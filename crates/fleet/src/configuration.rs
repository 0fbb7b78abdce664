// SPDX-License-Identifier: Apache-2.0
//! The configuration file, `fleet.toml`: datasets of its own, selections of others, tags, and where reports go besides the bucket.
//! It is read again when it has changed.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::anyhow;
use aws_config::SdkConfig;
use tokio::sync::Mutex;

use crate::{
    datasets,
    place::{Place, Version},
    settings::{self, Faults, Table, Value},
};

/// How often the file is looked at.
pub const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// What one program takes of the file besides its datasets; `None` only if it has recorded a fault.
pub type Take<T> = Box<dyn Fn(Option<&Value<'_>>) -> Option<T> + Send + Sync>;

/// The file, and its version that is in use.
pub struct Configuration<T> {
    place: Place,
    location: String,
    sinks: Take<T>,
    used: Mutex<Option<Version>>,
}

impl<T> Configuration<T> {
    /// The file at a path or an `s3://` URL, of which `sinks` reads the list of sinks.
    ///
    /// # Errors
    ///
    /// If the location is neither.
    pub async fn find(location: &str, config: &SdkConfig, sinks: Take<T>) -> anyhow::Result<Self> {
        let place = Place::find("configuration file", location, None, config).await?;
        Ok(Self { place, location: location.to_owned(), sinks, used: Mutex::default() })
    }

    /// Reads it, unless the version in use is still there. Its datasets are known from then on.
    ///
    /// # Errors
    ///
    /// If it can't be read, or all that is wrong with it; what is in use stays so.
    pub async fn read(&self) -> anyhow::Result<Option<T>> {
        let mut used = self.used.lock().await;
        let Some((text, version)) = self.place.read(used.as_ref()).await? else { return Ok(None) };
        let taken = parse(&text, &self.sinks).map_err(|faults| {
            let faults = faults.to_string().replace('\n', "\n  ");
            anyhow!("the configuration file {} is not valid:\n  {faults}", self.location)
        })?;
        *used = Some(version);
        Ok(Some(taken))
    }
}

impl<T> fmt::Debug for Configuration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("location", &self.location).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Configuration<T> {
    /// Reads it again and again, and passes what is new to `renew`. A version that is not valid is reported, and what is in
    /// use stays so.
    pub async fn follow(self: Arc<Self>, renew: impl Fn(T)) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            match self.read().await {
                Ok(Some(taken)) => {
                    tracing::info!(file = self.location, "the configuration file has changed; it is in use");
                    renew(taken);
                }
                Ok(None) => {}
                Err(error) => tracing::error!("{error:#}; what was read before stays in use"),
            }
        }
    }
}

/// Reads the text of a file. Its datasets are known from then on, unless it is not valid.
///
/// # Errors
///
/// All that is wrong with it.
pub fn parse<T>(text: &str, sinks: impl Fn(Option<&Value<'_>>) -> Option<T>) -> Result<T, Faults> {
    // A sink may name a dataset of the file.
    let mut before = None;
    let read = settings::read(text, |file: &Table<'_>| {
        before = Some(datasets::set_own(datasets::read_own(file)));
        let taken = sinks(file.optional("sink").as_ref());
        file.end();
        taken
    });
    if let (Err(_), Some(before)) = (&read, before) {
        datasets::set_own(before);
    }
    read
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Dataset;

    const OWN: &str = r#"
[[select]]
name      = "configured_queues"
dataset   = "sqs"
resources = ["prod-*"]

[[sink]]
"#;

    #[expect(clippy::unnecessary_wraps, reason = "the type of what takes sinks")]
    fn sinks(list: Option<&Value<'_>>) -> Option<usize> {
        Some(list.map_or(0, |list| list.tables().len()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_has_changed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let write = |text: &str| std::fs::write(file.path(), text).expect("written");
        write(OWN);
        let base = SdkConfig::builder().build();
        let location = file.path().display().to_string();
        let configuration = Configuration::find(&location, &base, Box::new(sinks)).await.expect("a path");
        assert_eq!(configuration.read().await.expect("valid"), Some(1));
        let queues = Dataset::find("configured_queues").expect("known from then on");
        assert_eq!(configuration.read().await.expect("valid"), None, "unchanged");

        let seen = Arc::new(AtomicUsize::new(0));
        let renewed = seen.clone();
        let follow = Arc::new(configuration).follow(move |sinks| renewed.store(sinks, Ordering::Relaxed));
        let following = tokio::spawn(follow);
        let look_again = || async {
            tokio::time::sleep(LOOK_AGAIN + Duration::from_secs(1)).await;
            // Files are read by other threads, which the paused clock does not wait for.
            for _ in 0..200 {
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        write("[[select]]\nname = 'configured_queues'\n");
        look_again().await;
        assert_eq!(seen.load(Ordering::Relaxed), 0, "it is not valid");
        assert!(Dataset::find("configured_queues").is_some_and(|still| std::ptr::eq(still, queues)));
        write(&format!("{OWN}[[sink]]\n"));
        look_again().await;
        assert_eq!(seen.load(Ordering::Relaxed), 2);
        let again = Dataset::find("configured_queues").expect("still there");
        assert!(std::ptr::eq(again, queues), "what is unchanged is kept once");
        following.abort();
    }
}
