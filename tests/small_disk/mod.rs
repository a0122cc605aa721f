//! A small file system of its own, for what happens when a disk is full or may not be written.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Mounted in a directory of its own; gone when dropped.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Of one MiB; `None` where this user may not mount one.
    pub fn mount() -> Option<SmallDisk> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "outgate-test"])
            .arg(directory.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| SmallDisk(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// With these options of mount(8).
    #[allow(dead_code, reason = "not every test binary changes it")]
    pub fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", how]).arg(self.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.unwrap().success());
    }
}
