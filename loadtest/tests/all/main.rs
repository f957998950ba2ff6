//! The instrument measured itself: generator, fixture and floor over real sockets. One module for each of them, one
//! test for each thing that a figure's reader relies on.

mod bench;
mod faults;
mod fixture;
mod generator;
mod scripted;

/// A load that is stopped when so many of its calls are over; everything it has counted.
fn counted_to(load: &loadtest::Load, calls: u64) -> loadtest::Report {
    let running = load.start().expect("a load starts");
    let began = std::time::Instant::now();
    loop {
        let report = running.so_far();
        if report.answered + report.failures.count() >= calls {
            return running.stop();
        }
        assert!(began.elapsed().as_secs() < 20, "waited in vain: {report}");
        pause(std::time::Duration::from_millis(5));
    }
}

/// Lets a load run for a while: the one thing of these tests that time itself is waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are plain threads, and loads run on threads of their own"
)]
fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
