//! Where a table goes: encoded as [`csv`] (pure), stored in [`s3`].

pub mod csv;
pub mod s3;
