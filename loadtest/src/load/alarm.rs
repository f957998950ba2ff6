//! Waits until a moment, more exactly than the runtime's own timer, which knows whole milliseconds only: at ten
//! thousand calls a second those would show as latency that the target does not have.

use std::time::Instant;

pub(super) use imp::Alarm;

impl Alarm {
    /// Waits until `moment`. If it is over, others get a turn, and that is all.
    pub(super) async fn until(&self, moment: Instant) {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            tokio::task::yield_now().await;
        } else if self.after(left).await.is_err() {
            // The timer is broken, which no kernel does; less exact is better than not at all.
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel, exact to some ten microseconds.
    #[derive(Debug)]
    pub(in super::super) struct Alarm(AsyncFd<OwnedFd>);

    impl Alarm {
        /// Must be made on the runtime that waits for it.
        ///
        /// # Errors
        /// What the system says.
        pub(in super::super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "unsound for types that lie about their descriptor, which OwnedFd does not; the newer \
                          form is unsafe code, of which there is none here"
            )]
            let registered = AsyncFd::new(timer)?;
            Ok(Self(registered))
        }

        pub(super) async fn after(&self, left: Duration) -> io::Result<()> {
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec::try_from(left).map_err(io::Error::other)?,
            };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            loop {
                let mut ready = self.0.readable().await?;
                // Eight bytes say how often it went off; reading them arms the wait again.
                let read = ready.try_io(|timer| {
                    let mut count = [0; 8];
                    Ok(rustix::io::read(timer.get_ref(), &mut count)?)
                });
                match read {
                    Ok(read) => return read.map(drop),
                    // An older one's readiness: not this one's.
                    Err(_) => continue,
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Duration;

    /// The runtime's timer: exact to a millisecond.
    #[derive(Debug)]
    pub(in super::super) struct Alarm;

    impl Alarm {
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn after(&self, left: Duration) -> io::Result<()> {
            tokio::time::sleep(left).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_goes_off_in_time_and_again() {
        let alarm = Alarm::new().unwrap();
        for _ in 0..3 {
            let moment = Instant::now() + Duration::from_millis(3);
            alarm.until(moment).await;
            assert!(Instant::now() >= moment);
        }
    }

    #[tokio::test]
    async fn what_is_over_is_not_waited_for() {
        let alarm = Alarm::new().unwrap();
        let before = Instant::now();
        alarm.until(before).await;
        assert!(before.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_leaves_nothing_behind() {
        let alarm = Alarm::new().unwrap();
        tokio::select! {
            biased;
            () = alarm.until(Instant::now() + Duration::from_millis(2)) => {}
            () = std::future::ready(()) => {}
        }
        // Meanwhile it goes off, with nobody to hear it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let moment = Instant::now() + Duration::from_millis(20);
        alarm.until(moment).await;
        assert!(Instant::now() >= moment);
    }
}
