// SPDX-License-Identifier: Apache-2.0
//! What the table `alerts` of a sink says: what is alerted on, and whom.

pub mod monitors;

use fleet::settings::{Table, Value};
use serde_json::{Value as Json, json};

/// The thresholds of the monitors, and where their alerts go.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// The part of a function's invocations that fail.
    pub error_rate: f64,
    /// With fewer invocations a rate says little.
    pub min_invocations: u32,
    /// The part of its timeout that a function takes.
    pub timeout_proximity: f64,
    /// How long before the deprecation of a runtime, in days.
    pub deprecation_days: i64,
    /// After how many hours without a datapoint an account is silent.
    pub silent_hours: i64,
    /// How many hours of datapoints a monitor looks at. Rows count once they are settled.
    pub look_back_hours: i64,
    pub channel: Channel,
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Sns {
        topic: String,
        /// The role that the domain assumes; a cluster of one's own may need none.
        role: Option<String>,
    },
    /// A URL that is a secret, and is read when the channel is written.
    Url { kind: &'static str, variable: String },
}

/// The keys with their defaults.
const ERROR_RATE: f64 = 0.05;
const MIN_INVOCATIONS: u32 = 20;
const TIMEOUT_PROXIMITY: f64 = 0.9;
const DEPRECATION_DAYS: i64 = 90;
const SILENT_HOURS: i64 = 72;
const LOOK_BACK_HOURS: i64 = 48;

const URLS: [(&str, &str); 4] =
    [("slack", "slack"), ("chime", "chime"), ("microsoft_teams", "microsoft_teams"), ("webhook", "webhook")];

impl Alerts {
    /// Reads the table; `name` is the sink's.
    pub(super) fn open(name: &str, table: &Table<'_>) -> Option<Self> {
        let or = |key, default| table.optional(key).map_or(Some(default), |value| percent(&value));
        let error_rate = or("error_rate", ERROR_RATE);
        let timeout_proximity = or("timeout_proximity", TIMEOUT_PROXIMITY);
        let min_invocations =
            table.optional("min_invocations").map_or(Some(MIN_INVOCATIONS), |value| value.count());
        let hours = |key, default| table.optional(key).map_or(Some(default), |value| hours(&value));
        let silent_hours = hours("silent", SILENT_HOURS);
        let look_back_hours = hours("look_back", LOOK_BACK_HOURS);
        let deprecation_days = hours("deprecation", DEPRECATION_DAYS * 24).map(|hours| hours / 24);
        let channel = channel(name, table);
        table.end();
        Some(Self {
            error_rate: error_rate?,
            min_invocations: min_invocations?,
            timeout_proximity: timeout_proximity?,
            deprecation_days: deprecation_days?,
            silent_hours: silent_hours?,
            look_back_hours: look_back_hours?,
            channel: channel?,
        })
    }
}

impl Channel {
    /// The settings of the notification channel.
    pub(super) fn config(&self, name: &str) -> anyhow::Result<Json> {
        let (kind, settings) = match self {
            Self::Sns { topic, role } => {
                let mut sns = json!({"topic_arn": topic});
                if let (Some(role), Some(sns)) = (role, sns.as_object_mut()) {
                    sns.insert("role_arn".to_owned(), role.as_str().into());
                }
                ("sns", sns)
            }
            Self::Url { kind, variable } => {
                let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
                let url = url.ok_or_else(|| {
                    anyhow::anyhow!("its alerts need the environment variable {variable}, with the URL of the {kind} channel")
                })?;
                (*kind, json!({"url": url}))
            }
        };
        Ok(json!({"name": name, "config_type": kind, "is_enabled": true, kind: settings}))
    }
}

/// The keys that say where alerts go, of which there is one.
fn channel(name: &str, table: &Table<'_>) -> Option<Channel> {
    let topic = table.optional("sns_topic");
    let role = table.optional("sns_role");
    let url = table.optional("channel");
    if let (Some(role), None) = (&role, &topic) {
        role.fault("is for an sns_topic");
    }
    match (topic, url) {
        (Some(topic), None) => {
            let topic = arn(&topic, "sns");
            let role = role.map_or(Some(None), |role| arn(&role, "iam").map(Some));
            Some(Channel::Sns { topic: topic?, role: role? })
        }
        (None, Some(kind)) => {
            let variable = format!("FLEET_SINK_{}_CHANNEL_URL", name.to_ascii_uppercase().replace('-', "_"));
            Some(Channel::Url { kind: kind.one_of(&URLS)?, variable })
        }
        (Some(_), Some(kind)) => {
            kind.fault("is one place too many: there is an sns_topic");
            None
        }
        (None, None) => {
            table.fault("sns_topic", "is missing; name a topic, or a channel with a URL");
            None
        }
    }
}

fn arn(value: &Value<'_>, service: &str) -> Option<String> {
    let text = value.text()?;
    let is_arn = text.starts_with("arn:") && text.split(':').nth(2) == Some(service);
    if !is_arn {
        value.fault(format!("is no ARN of {service}"));
    }
    is_arn.then(|| text.to_owned())
}

/// The part that a text such as `5%` is of a whole.
fn percent(value: &Value<'_>) -> Option<f64> {
    let text = value.text()?;
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let number = number.filter(|number| (0.0..=100.0).contains(number) && *number > 0.0);
    if number.is_none() {
        value.fault("is not a part in percent, such as \"5%\"");
    }
    number.map(|number| number / 100.0)
}

/// The hours of a length of time such as `2d`.
fn hours(value: &Value<'_>) -> Option<i64> {
    let hours = fleet::duration::parse(value.text()?).map(|length| length.num_hours());
    let hours = hours.filter(|hours| (1..=24 * 3650).contains(hours));
    if hours.is_none() {
        value.fault("is not a length of time of an hour at least, such as \"48h\" or \"3d\"");
    }
    hours
}

#[cfg(test)]
mod tests {
    use fleet::settings;

    use super::*;

    fn parse(text: &str) -> Result<Alerts, String> {
        settings::read(text, |table| Alerts::open("search", table)).map_err(|faults| faults.to_string())
    }

    #[test]
    fn thresholds_have_defaults_and_a_channel_is_needed() {
        let topic = "arn:aws:sns:eu-west-1:111111111111:alarms";
        let alerts = parse(&format!("sns_topic = '{topic}'")).expect("valid");
        assert_eq!(alerts.channel, Channel::Sns { topic: topic.to_owned(), role: None });
        assert_eq!((alerts.error_rate, alerts.silent_hours), (0.05, 72));
        let text = "channel = 'slack'\nerror_rate = '2.5%'\nsilent = '36h'\ndeprecation = '30d'";
        let alerts = parse(text).expect("valid");
        let variable = "FLEET_SINK_SEARCH_CHANNEL_URL".to_owned();
        assert_eq!(alerts.channel, Channel::Url { kind: "slack", variable: variable.clone() });
        assert_eq!((alerts.error_rate, alerts.silent_hours, alerts.deprecation_days), (0.025, 36, 30));
        let missing = alerts.channel.config("fleet").expect_err("no URL").to_string();
        assert!(missing.contains(&variable), "{missing}");

        assert_eq!(
            parse("").expect_err("no channel"),
            "line 1, sns_topic: is missing; name a topic, or a channel with a URL"
        );
        let faults =
            parse("sns_topic = 'alarms'\nerror_rate = '0.05'\nsilent = '5m'\nrate = 1").expect_err("four");
        assert_eq!(
            faults,
            "line 1, sns_topic: is no ARN of sns\n\
             line 2, error_rate: is not a part in percent, such as \"5%\"\n\
             line 3, silent: is not a length of time of an hour at least, such as \"48h\" or \"3d\"\n\
             line 4, rate: is no key of this table, which has channel, deprecation, error_rate, look_back, \
             min_invocations, silent, sns_role, sns_topic, timeout_proximity"
        );
    }
}
