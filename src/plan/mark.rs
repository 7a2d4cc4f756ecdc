//! What beside config.json has decided about a line: the state of the host, or an option of the command line. Listing,
//! trace and errors show it. May touch: nothing.

/// A row a mark: its number in records counts from 1.
macro_rules! marks {
    ($($mark:ident $text:literal)+) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(u8)]
        pub enum Mark {
            /// The configuration alone, or nothing but the rules.
            #[default]
            None,
            $($mark),+
        }

        impl Mark {
            const ALL: &[Mark] = &[Mark::None, $(Mark::$mark),+];

            /// `host: REASON`, or the option. Empty: nothing.
            pub fn text(self) -> &'static str {
                match self { Mark::None => "", $(Mark::$mark => $text),+ }
            }
        }
    };
}

marks! {
    NoRoot "host: the caller is not root"
    Nested "host: the caller is in a user namespace"
    NotifySocket "host: NOTIFY_SOCKET is in the environment"
    SessionScope "host: the container's cgroup belongs to systemd"
    PreserveFds "--preserve-fds or LISTEN_FDS"
    PidFile "--pid-file"
    PidfdSocket "--pidfd-socket"
    ConsoleSocket "--console-socket"
    NoPivot "--no-pivot"
    NoCgroup "--cgroup-manager=disabled"
    Systemd "--cgroup-manager=systemd"
    Rootless "--rootless"
    Watch "--watch"
}

impl Mark {
    /// The mark of a record, or of any number.
    pub fn of(number: u8) -> Mark {
        Mark::ALL.get(usize::from(number)).copied().unwrap_or(Mark::None)
    }

    /// The mark, where the condition holds.
    pub fn when(self, holds: bool) -> Mark {
        if holds { self } else { Mark::None }
    }
}
