//! The threads that are traced, and where each stands. Long-lived: a place that a thread leaves is used again. May touch:
//! nothing.

use syscalls::foreign::Foreign;

/// A thread.
#[derive(Default)]
pub struct Thread {
    /// Its process; 0: not looked up yet.
    pub pid: i32,
    /// Its calls are seen: it has become the container's program, or was begun by it.
    pub begun: bool,
    /// It is between the entry and the exit of a call.
    pub in_call: bool,
    /// The call that it is in is in the trace already, or begins outside of it.
    pub quiet: bool,
    /// It ran already when the watch began, and is stopped for the first time.
    pub attached: bool,
    /// SIGSYS came to it, and its call was told.
    pub told: bool,
    /// The number of the call before.
    pub before: Option<u64>,
    /// When its call began.
    pub start_ns: u64,
    /// What was known of the call at its entry, and its record.
    pub entered: Option<Foreign>,
    /// The call that it has left last, if it was known at its entry.
    pub left: Option<Foreign>,
    pub place: Option<u32>,
}

#[derive(Default)]
pub struct Threads {
    /// The number of the thread at each place; 0: the place is free.
    tids: Vec<i32>,
    all: Vec<Thread>,
    /// Where the newest look-up found its thread: as a rule the next one finds it there.
    last: usize,
}

impl Threads {
    /// The place of a thread, which is made if it is new.
    pub fn at(&mut self, tid: i32) -> &mut Thread {
        if self.tids.get(self.last) != Some(&tid) {
            self.last = self.place(tid);
        }
        &mut self.all[self.last]
    }

    fn find(&self, tid: i32) -> Option<usize> {
        self.tids.iter().position(|one| *one == tid)
    }

    fn place(&mut self, tid: i32) -> usize {
        if let Some(at) = self.find(tid) {
            return at;
        }
        let at = self.find(0).unwrap_or(self.tids.len());
        if at == self.tids.len() {
            self.tids.push(0);
            self.all.push(Thread::default());
        }
        self.tids[at] = tid;
        at
    }

    pub fn has(&self, tid: i32) -> bool {
        self.find(tid).is_some()
    }

    /// All threads.
    pub fn all(&self) -> Vec<i32> {
        self.tids.iter().copied().filter(|tid| *tid != 0).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.tids.iter().all(|tid| *tid == 0)
    }

    /// There is, or was, more than one at a time.
    pub fn are_several(&self) -> bool {
        self.tids.len() > 1
    }

    /// The thread has ended.
    pub fn remove(&mut self, tid: i32) {
        if let Some(at) = self.find(tid) {
            self.tids[at] = 0;
            self.all[at] = Thread::default();
        }
    }

    /// A thread other than the first has executed a program: it takes the number of its process, and the first one is gone.
    pub fn rename(&mut self, from: i32, to: i32) {
        if from == to {
            return;
        }
        if let Some(at) = self.find(from) {
            self.remove(to);
            self.tids[at] = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again() {
        let mut threads = Threads::default();
        for tid in 1..4 {
            threads.at(tid).pid = tid;
        }
        threads.remove(2);
        assert!(!threads.has(2) && threads.at(4).pid == 0);
        assert_eq!(threads.all.len(), 3);
        threads.at(3).in_call = true;
        threads.rename(3, 1);
        assert!(threads.at(1).in_call && !threads.has(3));
    }
}
