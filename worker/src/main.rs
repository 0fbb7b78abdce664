// SPDX-License-Identifier: Apache-2.0
//! The `worker` binary; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    worker::main_with(std::env::args_os())
}
