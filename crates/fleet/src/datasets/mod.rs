// SPDX-License-Identifier: Apache-2.0
//! The datasets that a report can be about. Each is one file of the folder `datasets/`, or a table of a configuration file,
//! which says what is asked of CloudWatch; the producer takes names and prices from it, the worker all the rest.

mod builtin;
mod dataset;
mod discovery;
mod file;
mod formula;
mod function_facts;
mod own;
mod period;
mod price;
mod registry;
mod selection;
mod tag_columns;
mod tags;

pub use self::{
    builtin::DEFAULT,
    dataset::{
        Cell, Column, Dataset, Derived, GET_METRIC_DATA, Holders, LIST_METRICS, Layout, Metric, Missing,
        Shape, Split, SplitValue, snake_case,
    },
    discovery::{
        Class, Discovery, LIST_BUCKETS, LIST_DIRECTORY_BUCKETS, LIST_FUNCTIONS, LIST_REGIONS, Regions,
    },
    formula::Formula,
    function_facts::Fact,
    own::{read_own, set_own},
    period::{DATAPOINTS_PER_CALL, Period},
    price::{DOLLARS_PER_CALL, DOLLARS_PER_METRIC, MetricsPerResource, paid},
    registry::{all, names, unknown},
    selection::Selection,
    tags::{ArnPattern, GET_RESOURCES, Tags, resource_of},
};
