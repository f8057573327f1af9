//! The classes of errors and their exit codes.

/// What class an error belongs to; decides the exit code and is printed as `kind` in machine formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// A configuration or job file is wrong.
    Config,
    /// Not authenticated.
    Auth,
    /// Authenticated, but not allowed.
    Forbidden,
    /// The named thing does not exist.
    NotFound,
    /// The thing is in a state, or exists already, that rules the operation out.
    Conflict,
    /// A quota or limit is used up.
    Quota,
    /// The service asks for fewer requests.
    Throttled,
    /// No usable connection to a service.
    Network,
    /// The service answered with a failure of its own.
    Service,
    /// Something on this machine: files, disk, processes.
    Local,
    /// Some items failed, the rest was carried out.
    Partial,
    /// Waited longer than allowed.
    Timeout,
    /// The remote job ended in failure.
    JobFailed,
    /// The remote job was stopped.
    JobStopped,
    /// The user was asked and said no.
    Declined,
    /// Interrupted by the user.
    Interrupted,
    /// The reader of our output went away; ends the program quietly.
    BrokenPipe,
    /// The service or this build does not support it.
    Unsupported,
    /// A defect of ours.
    Internal,
}

impl Kind {
    /// Every kind, for the help page and tests.
    pub const ALL: [Self; 20] = [
        Self::Usage,
        Self::Config,
        Self::Auth,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Quota,
        Self::Throttled,
        Self::Network,
        Self::Service,
        Self::Local,
        Self::Partial,
        Self::Timeout,
        Self::JobFailed,
        Self::JobStopped,
        Self::Declined,
        Self::Interrupted,
        Self::BrokenPipe,
        Self::Unsupported,
        Self::Internal,
    ];

    /// The word printed in machine formats.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Throttled => "throttled",
            Self::Network => "network",
            Self::Service => "service",
            Self::Local => "local",
            Self::Partial => "partial",
            Self::Timeout => "timeout",
            Self::JobFailed => "job_failed",
            Self::JobStopped => "job_stopped",
            Self::Declined => "declined",
            Self::Interrupted => "interrupted",
            Self::BrokenPipe => "broken_pipe",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// The process's exit code. The table is part of the product's contract (`ma-cli help exit-codes`).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Config
            | Self::Conflict
            | Self::Quota
            | Self::Throttled
            | Self::Network
            | Self::Service
            | Self::Local
            | Self::Declined
            | Self::Unsupported
            | Self::Internal => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Auth | Self::Forbidden => 4,
            Self::NotFound => 5,
            Self::Timeout => 6,
            Self::JobFailed => 10,
            Self::JobStopped => 11,
            Self::Interrupted => 130,
        }
    }
}
