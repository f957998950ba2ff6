#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use proto::v1 as pb;

use super::*;

const NAME: &str = "config";

fn push(revision: u64) -> pb::ConfigPush {
    pb::ConfigPush {
        revision,
        full: true,
        ..Default::default()
    }
}

fn keep(disk: &Disk, revision: u64) {
    disk.save(NAME, revision, &push(revision)).unwrap();
    disk.save_again(NAME, revision, &push(revision)).unwrap();
}

fn load(disk: &Disk) -> Result<Option<Loaded<pb::ConfigPush>>, Error> {
    disk.load(NAME)
}

/// A folder in which revision 7 is kept.
fn kept() -> (tempfile::TempDir, Disk) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    assert!(load(&disk).unwrap().is_none());
    keep(&disk, 7);
    (dir, disk)
}

#[test]
fn what_was_kept_comes_back_after_a_start_and_one_spoilt_copy_does_not_matter() {
    let (dir, _) = kept();
    let disk = Disk::open(dir.path()).unwrap();
    let loaded = load(&disk).unwrap().unwrap();
    assert_eq!((loaded.revision, loaded.message), (7, push(7)));
    assert!(loaded.refused.is_empty());
    for number in COPIES {
        let path = dir.path().join(copy(NAME, number));
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let loaded = load(&disk).unwrap().unwrap();
        assert_eq!((loaded.revision, loaded.refused.len()), (7, 1));
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn a_file_that_is_changed_or_cut_anywhere_is_refused() {
    let (dir, disk) = kept();
    let paths = COPIES.map(|number| dir.path().join(copy(NAME, number)));
    let good = fs::read(&paths[0]).unwrap();
    let spoil = |bytes: &[u8]| {
        paths
            .iter()
            .for_each(|path| fs::write(path, bytes).unwrap())
    };
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        spoil(&bad);
        assert!(load(&disk).is_err(), "byte {at} flipped");
        spoil(&good[..at]);
        assert!(load(&disk).is_err(), "cut at {at}");
    }
    // Somebody who repairs the checksum still has no key.
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let sum = Sha256::of(&bad[MAGIC.len() + 1 + 32..]).0;
    bad[MAGIC.len() + 1..][..32].copy_from_slice(&sum);
    spoil(&bad);
    assert!(matches!(load(&disk), Err(Error::Foreign(_))));
}

#[test]
fn a_file_of_another_node_purpose_or_version_is_refused() {
    let (dir, disk) = kept();
    let (foreign, _) = kept();
    let first = |dir: &tempfile::TempDir| dir.path().join(copy(NAME, COPIES[0]));
    let second = dir.path().join(copy(NAME, COPIES[1]));
    fs::remove_file(second).unwrap();
    let own = fs::read(first(&dir)).unwrap();
    fs::copy(first(&foreign), first(&dir)).unwrap();
    assert!(matches!(load(&disk), Err(Error::Foreign(_))));

    let elsewhere = dir.path().join(copy("endpoints", COPIES[0]));
    disk.save("endpoints", 7, &push(7)).unwrap();
    fs::write(elsewhere, &own).unwrap();
    assert!(disk.load::<pb::ConfigPush>("endpoints").is_err());

    let mut newer = own.clone();
    newer[MAGIC.len()] += 1;
    fs::write(first(&dir), newer).unwrap();
    assert!(matches!(load(&disk), Err(Error::Format(_))));
}

#[test]
fn an_older_state_that_is_put_back_is_refused_and_so_is_any_without_its_mark() {
    let (dir, disk) = kept();
    let old: Vec<_> = COPIES
        .iter()
        .map(|n| dir.path().join(copy(NAME, *n)))
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    keep(&disk, 9);
    for (bytes, path) in &old {
        fs::write(path, bytes).unwrap();
    }
    let error = load(&disk).unwrap_err();
    assert!(
        matches!(
            error,
            Error::RolledBack {
                revision: 7,
                mark: 9,
                ..
            }
        ),
        "{error}"
    );
    keep(&disk, 10);
    assert_eq!(load(&disk).unwrap().unwrap().revision, 10);
    fs::remove_file(dir.path().join(mark(NAME))).unwrap();
    assert!(matches!(load(&disk), Err(Error::NoMark(_))));
}

#[test]
fn a_crash_between_any_two_steps_leaves_the_old_or_the_new() {
    let (_dir, disk) = kept();
    // After the first copy, before the mark.
    disk.write(&copy(NAME, COPIES[0]), NAME, 8, &push(8).encode_to_vec())
        .unwrap();
    assert_eq!(load(&disk).unwrap().unwrap().revision, 8);
    // After the mark, before the second copy.
    disk.save(NAME, 8, &push(8)).unwrap();
    let loaded = load(&disk).unwrap().unwrap();
    assert_eq!(loaded.revision, 8);
    assert!(
        loaded.refused[0].contains("revision 7"),
        "{:?}",
        loaded.refused
    );
}

#[test]
fn what_is_no_file_is_refused_and_not_read() {
    let (dir, disk) = kept();
    let path = |number| dir.path().join(copy(NAME, number));
    let good = fs::read(path(1)).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    let put: [fn(&Path, &Path); 5] = [
        |path, _| fs::create_dir(path).unwrap(),
        |path, elsewhere| std::os::unix::fs::symlink(elsewhere, path).unwrap(),
        |path, _| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path, _| std::os::unix::fs::symlink(path, path).unwrap(),
        |path, _| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        },
    ];
    for (index, put) in put.iter().enumerate() {
        let refused = |disk: &Disk| {
            let error = load(disk).unwrap_err();
            assert!(matches!(error, Error::Format(_)), "{index}: {error}");
        };
        for number in COPIES {
            fs::remove_file(path(number)).unwrap();
            put(&path(number), &elsewhere);
        }
        refused(&disk);
        for number in COPIES {
            let gone = fs::remove_file(path(number)).or_else(|_| fs::remove_dir(path(number)));
            gone.unwrap();
            fs::write(path(number), &good).unwrap();
        }
        assert_eq!(load(&disk).unwrap().unwrap().revision, 7, "{index}");
    }
}
