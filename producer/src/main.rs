// SPDX-License-Identifier: Apache-2.0
//! The `producer` binary; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    producer::main_with(std::env::args_os())
}
