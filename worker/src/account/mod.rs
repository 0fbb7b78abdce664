//! Access to an account: a session in it, whether it is the account that is meant, and whose fault it is if not.

pub mod breaker;
pub mod entering;
pub mod session;
