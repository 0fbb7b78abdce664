// SPDX-License-Identifier: Apache-2.0
//! The dashboards that there are, panel by panel. A field that a dataset lacks, such as one of a statistic that a selection
//! leaves out, takes the panel with it.

use super::panel::{
    By, Column, Kind, Of,
    Of::{Average, Count, Distinct, Maximum, Minimum, Ratio, Sum},
    Over, Panel,
};

/// The panels of one dashboard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Template {
    /// The dataset whose rows, or those of its selections, it shows; without one it is of the fleet itself.
    pub(super) dataset: Option<&'static str>,
    pub(super) panels: &'static [Panel],
}

pub(super) const ALL: &[Template] = &[
    Template { dataset: Some("lambda_function"), panels: LAMBDA },
    Template { dataset: Some("ecs_service"), panels: ECS },
    Template { dataset: None, panels: FLEET },
];

const FUNCTION: By = values("resource_path", "Function", 50);
const ACCOUNT: By = values("account_name", "Account", 50);

const LAMBDA: &[Panel] = &[
    number("invocations", "Invocations", &[column("Invocations", Sum("invocations_sum"))]),
    number("errors", "Errors", &[column("Errors", Sum("errors_sum"))]),
    number("functions", "Functions invoked", &[column("Functions", Distinct("resource_path"))]),
    number("cost", "List price, at least", &[column("Dollars", Sum("cost_usd"))]),
    Panel {
        query: "timeout_proximity_maximum:>=0.99",
        ..number("timeouts", "Periods at the timeout", &[column("Periods", Count)])
    },
    Panel {
        over: Over::Gaps,
        query: "status:no_data",
        ..number("idle", "Functions once idle", &[column("Functions", Distinct("resource_path"))])
    },
    panel(
        "invocations-over-time",
        "Invocations and errors",
        Kind::Line,
        &[column("Invocations", Sum("invocations_sum")), column("Errors", Sum("errors_sum"))],
        &[By::Time],
    ),
    panel(
        "error-rate",
        "Error rate: errors divided by invocations",
        Kind::Line,
        &[column("Error rate", Ratio("errors_sum", "invocations_sum"))],
        &[By::Time],
    ),
    panel(
        "errors-by-function",
        "Errors by function",
        Kind::Table,
        &[
            column("Errors", Sum("errors_sum")),
            column("Invocations", Sum("invocations_sum")),
            column("Throttles", Sum("throttles_sum")),
        ],
        &[FUNCTION],
    ),
    panel(
        "error-rate-by-account",
        "Error rate by account",
        Kind::Line,
        &[column("Error rate", Ratio("errors_sum", "invocations_sum"))],
        &[values("account_name", "Account", 10), By::Time],
    ),
    panel(
        "errors-by-account",
        "Errors by account",
        Kind::Bar,
        &[column("Errors", Sum("errors_sum"))],
        &[values("account_name", "Account", 20)],
    ),
    Panel {
        query: "timeout_proximity_maximum:>=0.8",
        ..panel(
            "near-timeouts",
            "Near their timeouts",
            Kind::Table,
            &[
                column("Longest, of timeout", Maximum("timeout_proximity_maximum")),
                column("p99, of timeout", Maximum("timeout_proximity_p99")),
                column("Timeout, s", Maximum("timeout_seconds")),
                column("Periods", Count),
            ],
            &[FUNCTION],
        )
    },
    panel(
        "cold-starts",
        "Cold starts, where Lambda Insights is on",
        Kind::Bar,
        &[column("Cold starts", Sum("cold_starts"))],
        &[By::Time],
    ),
    Panel {
        query: "_exists_:cold_starts",
        ..panel(
            "cold-starts-by-function",
            "Cold starts by function",
            Kind::Table,
            &[
                column("Cold starts", Sum("cold_starts")),
                column("Longest, ms", Maximum("init_duration_maximum")),
                column("Invocations", Sum("invocations_sum")),
            ],
            &[FUNCTION],
        )
    },
    Panel {
        query: "_exists_:memory_utilization_maximum AND memory_mb:>128",
        ..panel(
            "oversized",
            "Oversized: least of their memory used",
            Kind::Table,
            &[
                column("Most used, %", Maximum("memory_utilization_maximum")),
                column("Most used, MB", Maximum("used_memory_max_maximum")),
                column("Memory, MB", Maximum("memory_mb")),
                column("Dollars", Sum("cost_usd")),
            ],
            &[By::Values { field: "resource_path", label: "Function", size: 50, ascending: true }],
        )
    },
    Panel {
        query: "memory_utilization_maximum:>=90",
        ..panel(
            "memory",
            "Short of memory",
            Kind::Table,
            &[
                column("Most used, %", Maximum("memory_utilization_maximum")),
                column("Memory, MB", Maximum("memory_mb")),
            ],
            &[FUNCTION],
        )
    },
    Panel {
        over: Over::Resources,
        ..panel(
            "runtimes",
            "Functions by runtime",
            Kind::Pie,
            &[column("Functions", Distinct("resource_path"))],
            &[values("runtime", "Runtime", 20)],
        )
    },
    Panel {
        over: Over::Resources,
        query: "_exists_:runtime_deprecated_on",
        ..panel(
            "runtimes-on-the-way-out",
            "Runtimes by the day of their deprecation",
            Kind::Table,
            &[
                column("Deprecated on", Minimum("runtime_deprecated_on")),
                column("Functions", Distinct("resource_path")),
                column("Accounts", Distinct("account_name")),
            ],
            &[By::Values { field: "runtime", label: "Runtime", size: 50, ascending: true }],
        )
    },
    Panel {
        over: Over::Resources,
        query: "runtime_deprecated_on:[* TO now+180d]",
        ..panel(
            "functions-to-move",
            "Functions whose runtime is deprecated, or is within half a year",
            Kind::Table,
            &[
                column("Deprecated on", Minimum("runtime_deprecated_on")),
                column("Last modified", Maximum("last_modified")),
            ],
            &[By::Values { field: "resource_path", label: "Function", size: 100, ascending: true }],
        )
    },
    panel(
        "cost-by-account",
        "Cost by account",
        Kind::Pie,
        &[column("Dollars", Sum("cost_usd"))],
        &[values("account_name", "Account", 20)],
    ),
    panel(
        "cost-by-function",
        "Cost by function",
        Kind::Table,
        &[
            column("Dollars", Sum("cost_usd")),
            column("Invocations", Sum("invocations_sum")),
            column("Milliseconds", Sum("duration_sum")),
        ],
        &[FUNCTION],
    ),
    Panel {
        query: "architecture:x86_64",
        ..panel(
            "arm64",
            "Cheaper on arm64",
            Kind::Table,
            &[column("Dollars saved", Sum("arm64_saving_usd")), column("Dollars now", Sum("cost_usd"))],
            &[FUNCTION],
        )
    },
    Panel {
        over: Over::Gaps,
        query: "status:no_data",
        ..panel(
            "idle-functions",
            "Idle functions",
            Kind::Table,
            &[column("Idle windows", Count), column("Until", Maximum("window_end"))],
            &[FUNCTION],
        )
    },
];

const SERVICE: By = values("resource_path", "Service", 50);

const ECS: &[Panel] = &[
    number("services", "Services", &[column("Services", Distinct("resource_path"))]),
    number("busiest", "Most CPU, in percent", &[column("Percent", Maximum("cpu_utilization_maximum"))]),
    number("fullest", "Most memory, in percent", &[column("Percent", Maximum("memory_utilization_maximum"))]),
    panel(
        "cpu",
        "CPU by account, in percent",
        Kind::Line,
        &[column("Percent", Average("cpu_utilization_average"))],
        &[values("account_name", "Account", 10), By::Time],
    ),
    panel(
        "memory",
        "Memory by account, in percent",
        Kind::Line,
        &[column("Percent", Average("memory_utilization_average"))],
        &[values("account_name", "Account", 10), By::Time],
    ),
    panel(
        "cpu-by-service",
        "CPU by service, in percent",
        Kind::Table,
        &[
            column("Most", Maximum("cpu_utilization_maximum")),
            column("Mean", Average("cpu_utilization_average")),
        ],
        &[SERVICE],
    ),
    panel(
        "memory-by-service",
        "Memory by service, in percent",
        Kind::Table,
        &[
            column("Most", Maximum("memory_utilization_maximum")),
            column("Mean", Average("memory_utilization_average")),
        ],
        &[SERVICE],
    ),
];

const FLEET: &[Panel] = &[
    of_fleet(number("documents", "Documents", &[column("Documents", Count)])),
    of_fleet(number("accounts", "Accounts", &[column("Accounts", Distinct("account_name"))])),
    Panel {
        query: "settled:false",
        ..of_fleet(number("unsettled", "Documents that may still change", &[column("Documents", Count)]))
    },
    of_fleet(panel(
        "last-window",
        "What came last of each account, the oldest first",
        Kind::Table,
        &[
            column("Newest datapoint", Maximum("@timestamp")),
            column("Collected", Maximum("collected_at")),
            column("Documents", Count),
        ],
        &[By::Values { field: "account_name", label: "Account", size: 200, ascending: true }],
    )),
    of_fleet(panel(
        "documents-by-account",
        "Documents by account",
        Kind::Bar,
        &[column("Documents", Count)],
        &[values("account_name", "Account", 20), By::Time],
    )),
    of_fleet(panel(
        "documents-by-dataset",
        "Documents by dataset",
        Kind::Table,
        &[
            column("Documents", Count),
            column("Accounts", Distinct("account_name")),
            column("Newest datapoint", Maximum("@timestamp")),
        ],
        &[values("dataset", "Dataset", 50)],
    )),
    Panel {
        query: "settled:false",
        ..of_fleet(panel(
            "unsettled-by-account",
            "What may still change, by account",
            Kind::Table,
            &[column("Documents", Count), column("Collected", Maximum("collected_at"))],
            &[ACCOUNT],
        ))
    },
    Panel {
        over: Over::Gaps,
        ..panel(
            "gaps-by-status",
            "Windows without a datapoint, by reason",
            Kind::Pie,
            &[column("Windows", Count)],
            &[values("status", "Reason", 20)],
        )
    },
    Panel {
        over: Over::Gaps,
        ..panel(
            "gaps-by-account",
            "Windows without a datapoint, by account",
            Kind::Table,
            &[
                column("Windows", Count),
                column("Resources", Distinct("resource_path")),
                column("Datasets", Distinct("dataset")),
            ],
            &[ACCOUNT],
        )
    },
];

const fn column(label: &'static str, of: Of) -> Column {
    Column { label, of }
}

const fn values(field: &'static str, label: &'static str, size: u32) -> By {
    By::Values { field, label, size, ascending: false }
}

const fn panel(
    id: &'static str,
    title: &'static str,
    kind: Kind,
    columns: &'static [Column],
    by: &'static [By],
) -> Panel {
    Panel { id, title, kind, over: Over::Rows, query: "", columns, by }
}

const fn number(id: &'static str, title: &'static str, columns: &'static [Column]) -> Panel {
    panel(id, title, Kind::Number, columns, &[])
}

const fn of_fleet(panel: Panel) -> Panel {
    Panel { over: Over::Everything, ..panel }
}
