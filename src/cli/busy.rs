//! Who keeps a mount busy: processes that stand in it or have something of it open.

use std::fs;
use std::path::Path;

/// Names the processes that use something below `dir`, as `vim (1234)`. Those of other users show to root only.
pub(super) fn users_of(dir: &Path) -> Vec<String> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = all
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| uses(*pid, dir)).map(named).collect()
}

fn uses(pid: u32, dir: &Path) -> bool {
    let at = |what: &str| format!("/proc/{pid}/{what}");
    let points = |link: &Path| fs::read_link(link).is_ok_and(|target| target.starts_with(dir));
    ["cwd", "root", "exe"]
        .iter()
        .any(|what| points(Path::new(&at(what))))
        || fs::read_dir(at("fd")).is_ok_and(|fds| fds.flatten().any(|fd| points(&fd.path())))
}

fn named(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} ({pid})", comm.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_open_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(users_of(dir.path()).is_empty());
        let _open = fs::File::create(dir.path().join("f")).unwrap();
        let users = users_of(dir.path());
        assert!(
            users
                .iter()
                .any(|u| u.contains(&std::process::id().to_string())),
            "{users:?}"
        );
    }
}
