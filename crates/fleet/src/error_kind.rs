//! What an error of AWS means, whether AWS gave it, what is on the way there or what gives credentials.

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not allowed, by a policy.
    Denied,
    /// The credentials themselves are refused; in a region that the account has not enabled, good
    /// ones are too.
    Identity,
    /// The credentials were good and are no longer.
    Expired,
    /// No credentials could be had: the provider failed before anything was asked.
    NoCredentials,
    /// STS is not active in this region for the account.
    RegionDisabled,
    /// What was asked for does not exist.
    NotFound,
    /// The object is another one than it was when it was read.
    PreconditionFailed,
    /// A passing cause: throttled, timed out, unreachable, or the service's own fault.
    Transient,
    /// Anything else; asking again would give it again.
    Permanent,
}
