//! Waiting, waking, CPU time and affinity.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::Duration;

use crate::clock::Micros;

/// A file descriptor that is readable once woken (eventfd(2)).
#[derive(Debug)]
pub(crate) struct WakeFd(File);

impl WakeFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else owns it.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Makes it readable.
    pub(crate) fn wake(&self) {
        // Only a counter at its maximum refuses, and then it is readable already.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until the next wake; true when it had been woken.
    pub(crate) fn clear(&self) -> bool {
        (&self.0).read(&mut [0; 8]).is_ok()
    }
}

impl AsRawFd for WakeFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until a descriptor is readable or the time is over (None: for ever); tells which are readable.
pub(crate) fn wait_readable<const N: usize>(fds: &[RawFd; N], timeout: Option<Micros>) -> [bool; N] {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let limit = timeout.map(|micros| libc::timespec {
        tv_sec: (micros / 1_000_000).cast_signed(),
        tv_nsec: ((micros % 1_000_000) * 1_000).cast_signed(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `polled` has N entries, `limit` is null or points at a live timespec, and no signal mask is given.
    unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, limit, std::ptr::null()) };
    // After an interruption nothing is marked, and the caller waits again.
    polled.map(|polled| polled.revents != 0)
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu_nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the kernel fills in.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    // Neither is ever negative.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The kernel's number of the calling thread.
pub(crate) fn thread_number() -> i32 {
    // SAFETY: gettid takes nothing and can't fail.
    unsafe { libc::gettid() }
}

/// What a thread is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// It runs or waits for a core.
    Runnable,
    /// It waits for something that can't be interrupted, as a rule for memory to be read in: whether it goes on is not its own doing.
    Blocked,
    /// It waits for something else, or has been stopped.
    Sleeping,
}

/// What a thread has done with its time, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadUsage {
    pub state: ThreadState,
    /// CPU time since its start.
    pub cpu: Duration,
    /// Time since its start in which it waited for a core, without the wait that it may be in now; None: the kernel does not say.
    pub delayed: Option<Duration>,
}

/// What a thread of this process is doing; None: it has ended, or the kernel does not say.
pub(crate) fn thread_usage(thread: i32) -> Option<ThreadUsage> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
    // The state first: of a thread that sleeps then, the times hold all it has waited for a core before.
    let (state, ticks) = parse_stat(&read("stat")?)?;
    let times = read("schedstat").and_then(|times| parse_times(&times));
    let (cpu, delayed) = times.map_or((ticks, None), |(cpu, delayed)| (cpu, Some(delayed)));
    Some(ThreadUsage { state, cpu, delayed })
}

/// Reads state, utime and stime out of `proc_pid_stat(5)`. The name before them may hold anything.
fn parse_stat(stat: &str) -> Option<(ThreadState, Duration)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => ThreadState::Runnable,
        "D" => ThreadState::Blocked,
        _ => ThreadState::Sleeping,
    };
    let mut times = fields.skip(10).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    // SAFETY: sysconf takes no pointer.
    let ticks_per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    Some((state, Duration::from_millis((ticks * 1_000).checked_div(ticks_per_second)?)))
}

/// Reads CPU time and wait for a core out of the first two fields of `schedstat` (Documentation/scheduler/sched-stats.rst).
fn parse_times(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut times = schedstat.split_ascii_whitespace().map(str::parse);
    let [cpu, delayed] = [times.next()?.ok()?, times.next()?.ok()?].map(Duration::from_nanos);
    // A kernel that does not count leaves them at nothing.
    (!cpu.is_zero()).then_some((cpu, delayed))
}

/// Lets a thread of this process run only where a core has nothing else to do.
pub(crate) fn give_way(thread: i32) {
    // SAFETY: sched_param is plain data, and lives during the call.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(thread, libc::SCHED_IDLE, &raw const parameters);
    }
}

/// Keeps the calling thread on one core; a core that does not exist leaves it where it is.
pub(crate) fn pin_to_core(core: usize) {
    // SAFETY: cpu_set_t is plain data (zero bytes: no core); CPU_SET writes inside it for every core below CPU_SETSIZE;
    // sched_setaffinity reads as many bytes as it is told.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if core < libc::CPU_SETSIZE as usize {
            libc::CPU_SET(core, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waking_is_seen_once_however_often_it_was_done() {
        let wake = WakeFd::new().unwrap();
        assert_eq!(wait_readable(&[wake.as_raw_fd()], Some(0)), [false]);
        wake.wake();
        wake.wake();
        assert_eq!(wait_readable(&[wake.as_raw_fd()], None), [true]);
        assert!(wake.clear());
        assert!(!wake.clear());
    }

    #[test]
    fn the_kernel_tells_who_sleeps_from_who_works() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            tell.send(thread_number()).unwrap();
            ended.recv().unwrap_err();
        });
        let number = told.recv().unwrap();
        while thread_usage(number).unwrap().state != ThreadState::Sleeping {
            std::thread::yield_now();
        }
        let mine = thread_usage(thread_number()).unwrap();
        assert_eq!(mine.state, ThreadState::Runnable);
        while thread_usage(thread_number()).unwrap().cpu == mine.cpu {}
        drop(end);
        sleeper.join().unwrap();
    }

    #[test]
    fn a_thread_of_any_name_is_read() {
        let stat = "7 (a) R 1 (b) S 1 7 7 0 -1 4194304 90 0 0 0 150 50 0 0 20 0 1 0 5 0 0";
        let (state, cpu) = parse_stat(stat).unwrap();
        assert_eq!(state, ThreadState::Sleeping);
        assert!(cpu >= Duration::from_secs(1) / 10, "{cpu:?}");
        assert_eq!(parse_stat("7 (a) R 1"), None);
        let states =
            ["R", "D", "S", "T", "t"].map(|state| parse_stat(&stat.replace(") S", &format!(") {state}"))).unwrap().0);
        let [running, blocked, asleep] = [ThreadState::Runnable, ThreadState::Blocked, ThreadState::Sleeping];
        assert_eq!(states, [running, blocked, asleep, asleep, asleep]);
    }

    #[test]
    fn what_a_thread_ran_and_waited_for_a_core_is_read_where_it_is_counted() {
        assert_eq!(
            parse_times("96363 2422572 2"),
            Some((Duration::from_nanos(96_363), Duration::from_nanos(2_422_572)))
        );
        assert_eq!(["", "5", "5 x 1", "0 0 0"].map(parse_times), [None; 4]);
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = thread_cpu_nanoseconds();
        assert!((0..1_000_000_u64).fold(0, |a, b| a ^ std::hint::black_box(b)) < u64::MAX);
        assert!(thread_cpu_nanoseconds() > before);
    }
}
