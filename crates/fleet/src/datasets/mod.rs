// SPDX-License-Identifier: Apache-2.0
//! The datasets that a report can be about. Each is one file of the folder `datasets/`, which says what is asked of
//! CloudWatch; the producer takes names and prices from it, the worker all the rest.

mod builtin;
mod dataset;
mod discovery;
mod file;
mod period;
mod price;

pub use self::{
    builtin::{DEFAULT, all, names, unknown},
    dataset::{
        Cell, Column, Dataset, GET_METRIC_DATA, Holders, LIST_METRICS, Metric, Missing, Shape, Split,
        SplitValue, snake_case,
    },
    discovery::{Class, Discovery, LIST_BUCKETS, LIST_DIRECTORY_BUCKETS, LIST_REGIONS, Regions},
    period::{DATAPOINTS_PER_CALL, Period},
    price::{DOLLARS_PER_CALL, DOLLARS_PER_METRIC, MetricsPerResource, paid},
};
