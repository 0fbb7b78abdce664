//! What is drawn: of each scenario the figures that say most, as bars with words.

use crate::outcome::{Case, Outcome, figure, name, number};

/// Panels beside each other under one title.
pub(super) struct Strip {
    pub(super) title: &'static str,
    /// What the colours are; none is the mark of a floor.
    pub(super) legend: Vec<(Option<Kind>, &'static str)>,
    pub(super) panels: Vec<Panel>,
}

/// Bars on one scale.
#[derive(Default)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// The room for labels on the left; none where those of the panel before are its labels too.
    pub(super) labels: f64,
    /// The room for what is said of the longest bar, behind it.
    pub(super) words: f64,
    pub(super) is_log: bool,
    /// Whether what comes after a figure says more than the figure itself.
    pub(super) is_ratio: bool,
    /// Values of the panel beside it that is to have the same scale.
    pub(super) beside: Vec<f64>,
    pub(super) lines: Vec<Line>,
}

pub(super) enum Line {
    Head(String),
    Bar(Row),
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) value: f64,
    /// The floor or the bar that it is to be held against.
    pub(super) mark: Option<f64>,
    pub(super) kind: Kind,
    pub(super) figure: String,
    pub(super) more: String,
}

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Batched,
    Sequential,
}

impl Kind {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Batched => "batched",
            Self::Sequential => "sequential",
        }
    }
}

impl Line {
    /// All that must be on the scale.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        let row = match self {
            Self::Head(_) => None,
            Self::Bar(row) => Some(row),
        };
        row.into_iter().flat_map(|row| [Some(row.value), row.mark]).flatten()
    }
}

/// The strips of what was measured, ratios first.
pub(super) fn strips(outcomes: &[Outcome]) -> Vec<Strip> {
    let of = |scenario: &str| -> Vec<&Case> {
        let outcomes = outcomes.iter().filter(|outcome| outcome.scenario == scenario);
        outcomes.flat_map(|outcome| &outcome.cases).collect()
    };
    let (peers, account, fleet) = (of("peers"), of("account"), of("fleet"));
    let strips = [
        Strip {
            title: "One account, beside what people use today",
            legend: vec![
                (Some(Kind::Ours), "cloudwatch-fleet"),
                (Some(Kind::Batched), "batched Python"),
                (Some(Kind::Sequential), "the Lambdas' way"),
            ],
            panels: beside_peers(&peers),
        },
        Strip {
            title: "Seconds for one account (log scale), beside the floor",
            legend: vec![(None, "floor, without the burst of the first second")],
            panels: beside_floors(&account),
        },
        Strip {
            title: "Many accounts, and large ones",
            legend: if fleet.is_empty() { Vec::new() } else { vec![(None, "one worker × their number")] },
            panels: [crews(&fleet), memory(&account)].into_iter().flatten().collect(),
        },
    ];
    strips.into_iter().filter(|strip| !strip.panels.is_empty()).collect()
}

/// Seconds, CPU and memory of all sides; each account is a group.
fn beside_peers(cases: &[&Case]) -> Vec<Panel> {
    let panel = |title, what: &'static str, unit: &str, labels, is_log| {
        let mut lines = Vec::new();
        for ours in cases.iter().filter(|case| name(case).starts_with("ours-")) {
            let rest = &name(ours)["ours-".len()..];
            lines.push(Line::Head(account_name(ours)));
            for (side, label, kind) in [
                ("ours", "cloudwatch-fleet", Kind::Ours),
                ("batched", "batched Python", Kind::Batched),
                ("sequential", "the Lambdas' way", Kind::Sequential),
            ] {
                let Some(case) = cases.iter().find(|case| name(case) == format!("{side}-{rest}")) else {
                    continue;
                };
                let value = figure(case, what);
                let times = value / figure(ours, what);
                let more = if kind == Kind::Ours { String::new() } else { format!("{}×", ratio(times)) };
                let figure = format!("{} {unit}", number(value));
                lines.push(Line::Bar(Row { label: label.to_owned(), value, mark: None, kind, figure, more }));
            }
        }
        Panel { title, labels, words: 104.0, is_log, is_ratio: true, lines, ..Panel::default() }
    };
    if cases.is_empty() {
        return Vec::new();
    }
    vec![
        panel("seconds (log scale), × ours", "wall_s", "s", 124.0, true),
        panel("CPU seconds (log scale), × ours", "cpu_s", "s", 0.0, true),
        panel("memory in MiB, × ours", "peak_rss_mib", "MiB", 0.0, false),
    ]
}

/// A number with as many digits as a ratio needs.
fn ratio(times: f64) -> String {
    if times < 9.95 { format!("{times:.1}") } else { number(times.round()) }
}

/// `1,000 buckets, recent day`.
fn account_name(case: &Case) -> String {
    format!("{} buckets, {} day", number(figure(case, "buckets")), age(case))
}

fn age(case: &Case) -> &str {
    name(case).rsplit('-').next().unwrap_or_default()
}

/// A panel for recent days and one for old ones, on one scale.
fn beside_floors(cases: &[&Case]) -> Vec<Panel> {
    let all = || cases.iter().flat_map(|case| [figure(case, "wall_s"), figure(case, "floor_s")]).collect();
    let panel = |title, which: &str| {
        let mut lines = Vec::new();
        let mut regions = f64::NAN;
        for case in cases.iter().filter(|case| age(case) == which) {
            let [value, floor] = ["wall_s", "floor_s"].map(|name| figure(case, name));
            #[expect(clippy::float_cmp, reason = "a count")]
            if figure(case, "regions") != regions {
                regions = figure(case, "regions");
                lines.push(Line::Head(format!("{regions} region{}", if regions > 1.0 { "s" } else { "" })));
            }
            lines.push(Line::Bar(Row {
                label: format!("{} buckets", number(figure(case, "buckets"))),
                value,
                mark: Some(floor),
                kind: Kind::Ours,
                figure: format!("{} s", number(value)),
                more: format!("floor {}", number(floor)),
            }));
        }
        Panel { title, labels: 106.0, words: 112.0, is_log: true, beside: all(), lines, ..Panel::default() }
    };
    let panels = [
        panel("a recent day: what ListMetrics names", "recent"),
        panel("an old day: 28 metrics of every bucket", "old"),
    ];
    panels.into_iter().filter(|panel| !panel.lines.is_empty()).collect()
}

/// How many accounts a second so many workers do.
fn crews(cases: &[&Case]) -> Option<Panel> {
    let row = |case: &&Case| {
        let [value, mark, workers] =
            ["accounts_per_s", "floor_accounts_per_s", "workers"].map(|name| figure(case, name));
        Line::Bar(Row {
            label: format!("{workers} worker{}", if workers > 1.0 { "s" } else { "" }),
            value,
            mark: Some(mark),
            kind: Kind::Ours,
            figure: format!("{}/s", number(value)),
            more: format!("{} %", number((100.0 * value / mark).round())),
        })
    };
    let lines: Vec<Line> = cases.iter().map(row).collect();
    let title = "accounts a second";
    (!lines.is_empty()).then(|| Panel { title, labels: 106.0, words: 92.0, lines, ..Panel::default() })
}

/// The most memory by size, over regions and days.
fn memory(cases: &[&Case]) -> Option<Panel> {
    let mut sizes: Vec<u64> = cases.iter().filter_map(|case| case.get("buckets")?.as_u64()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let most = |size: u64| {
        let of_size =
            cases.iter().filter(|case| case.get("buckets").and_then(serde_json::Value::as_u64) == Some(size));
        of_size.map(|case| figure(case, "peak_rss_mib")).fold(0.0, f64::max)
    };
    let row = |size: u64| {
        let value = most(size);
        #[expect(clippy::cast_precision_loss, reason = "a count of buckets")]
        let label = format!("{} buckets", number(size as f64));
        let figure = format!("{} MiB", number(value.round()));
        Line::Bar(Row { label, value, mark: None, kind: Kind::Ours, figure, more: String::new() })
    };
    let lines: Vec<Line> = sizes.into_iter().map(row).collect();
    let title = "most memory of one account";
    (!lines.is_empty()).then(|| Panel { title, labels: 106.0, words: 60.0, lines, ..Panel::default() })
}
