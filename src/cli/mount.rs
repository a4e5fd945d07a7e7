//! `nexus mount`, `nexus umount`, `nexus mounts`.

use super::client::Socket;
use super::place::Place;
use super::{busy, label, mounted, output, start, supervise};
use crate::api::{Asked, Peer};
use crate::core::{Error, Kind, Result, Text, error::fail};
use crate::doors::control::UmountRequest;
use crate::doors::daemon::{
    IdentityKind, MountInfo, MountRequest, Mounts, Standing, Unmounted, bury, forget,
};
use crate::doors::fuse::{self, Health};
use crate::doors::serve;
use crate::nexus::Nexus;
use clap::{Args, ValueEnum};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options that concern mount(8) and systemd, or say what is so anyway.
const FOR_MOUNT: [&str; 11] = [
    "", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "exec",
    "async",
];
/// How long `umount --wait` waits before it looks again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct MountArgs {
    /// Where; made when it does not exist
    dir: PathBuf,
    /// Act as this user [default: the one named like you]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Nothing can be changed through this mount
    #[arg(long)]
    read_only: bool,
    /// Let other OS users in
    #[arg(long)]
    allow_other: bool,
    /// Who the processes on the mount are: all of them one user, or each the user of its uid
    #[arg(long, value_enum, default_value = "single")]
    identity: Who,
    /// With --identity os: root is an administrator of Nexus too
    #[arg(long)]
    root_admin: bool,
    /// Mount options as in fstab(5)
    #[arg(short = 'o', value_name = "OPTION,…", value_delimiter = ',')]
    options: Vec<String>,
    /// Stay in the foreground; SIGINT or SIGTERM unmounts and ends
    #[arg(long)]
    foreground: bool,
    /// Start the daemon again when it dies, with its mounts
    #[arg(long)]
    supervise: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    Single,
    Os,
}

#[derive(Debug, Args)]
pub(super) struct UmountArgs {
    dir: PathBuf,
    /// Wait until nobody uses it any more
    #[arg(long)]
    wait: bool,
    /// Take it out of the tree now, even while it is in use
    #[arg(long, conflicts_with = "wait")]
    lazy: bool,
}

pub(super) fn mount(place: &Place, args: &MountArgs) -> Result<()> {
    let dir = prepare(place, &args.dir)?;
    let request = request(place, args, &dir)?;
    if args.foreground && args.supervise {
        let again = std::env::args_os().skip(1).filter(|a| a != "--supervise");
        return supervise::run(&again.collect::<Vec<_>>(), None);
    }
    if args.foreground {
        return foreground(place, request);
    }
    ask(place, &request, args.supervise)
}

/// Asks the daemon for a mount, starting one when none runs.
pub(super) fn ask(place: &Place, request: &MountRequest, supervise: bool) -> Result<()> {
    let asked = start::ensure(place, supervise);
    let info: Result<MountInfo> = asked.and_then(|daemon| daemon.post("/daemon/mount", request));
    told(place, &info.map_err(cured)?)
}

/// Says what somebody can have who may make no mount.
fn cured(e: Error) -> Error {
    if !matches!(e.kind(), Kind::Denied | Kind::NotPermitted) {
        return e;
    }
    let cure = "who is neither works as an agent of his own with `nexus run --agent NAME -- CMD`";
    Error::new(
        e.kind(),
        format!("{e}: the owner of the data directory and root make mounts, {cure}"),
    )
    .caused_by(e)
}

fn foreground(place: &Place, request: MountRequest) -> Result<()> {
    let Peer { uid, gid, .. } = Peer::myself();
    let standing = Standing {
        request,
        os_uid: uid,
        os_gid: gid,
        bound: None,
        shows: None,
    };
    serve::run(place.config()?, |daemon| {
        told(place, &daemon.mount(&standing)?)
    })
}

fn told(place: &Place, info: &MountInfo) -> Result<()> {
    if let Some(name) = info.agent.as_ref().filter(|_| !info.binds) {
        label::tell(name);
    }
    if place.json {
        return output::json(info);
    }
    let who = match &info.user {
        Some(user) => format!("as user {user} of tenant {}", info.tenant),
        None => format!(
            "tenant {}, each process as the user of its uid",
            info.tenant
        ),
    };
    let data_dir = place.data_dir()?;
    output::line(format!("mounted  {} ({who})", info.dir))?;
    output::line(format!("store    {}", data_dir.display()))?;
    output::line(format!("socket   {}", place.own_socket()?.display()))?;
    output::line(format!("log      {}", start::log_of(&data_dir).display()))
}

/// The mount point as an absolute path without links, made when it does not exist, freed of a dead mount.
fn prepare(place: &Place, dir: &Path) -> Result<PathBuf> {
    let at = |e: std::io::Error| Error::from(e).context(format!("mount point {}", dir.display()));
    free(place, dir)?;
    if !dir.try_exists().map_err(at)? {
        std::fs::create_dir_all(dir).map_err(at)?;
        eprintln!("nexus: made the directory {}", dir.display());
    }
    dir.canonicalize().map_err(at)
}

/// Frees a mount point of a dead mount, and of the store's daemon if that is dead and cannot end.
pub(super) fn free(place: &Place, dir: &Path) -> Result<()> {
    bury(&place.config()?)?;
    fuse::clear_stale(dir)
}

fn request(place: &Place, args: &MountArgs, dir: &Path) -> Result<MountRequest> {
    let mut request = MountRequest {
        dir: Text(dir.as_os_str().as_bytes().to_vec()),
        tenant: place.tenant.clone(),
        user: args.user.clone(),
        agent: place.agent(),
        session: place.session(),
        read_only: args.read_only,
        allow_other: args.allow_other,
        identity: match args.identity {
            Who::Single => IdentityKind::Single,
            Who::Os => IdentityKind::Os,
        },
        root_admin: args.root_admin,
        options: Vec::new(),
    };
    for option in &args.options {
        take_option(&mut request, option)?;
    }
    Ok(request)
}

/// Understands one `-o` option: what `nexus mount` has a flag for, what only concerns mount(8), or one for the kernel.
pub(super) fn take_option(request: &mut MountRequest, option: &str) -> Result<()> {
    let (name, value) = option
        .split_once('=')
        .map_or((option, None), |(n, v)| (n, Some(v)));
    match (name, value) {
        ("tenant", Some(v)) => request.tenant = Some(v.to_owned()),
        ("user", Some(v)) => request.user = Some(v.to_owned()),
        ("agent", Some(v)) => request.agent = Some(v.to_owned()),
        ("session", Some(v)) => request.session = Some(v.to_owned()),
        ("identity", Some("single")) => request.identity = IdentityKind::Single,
        ("identity", Some("os")) => request.identity = IdentityKind::Os,
        ("root_admin", None) => request.root_admin = true,
        ("allow_other", None) => request.allow_other = true,
        ("ro", None) => request.read_only = true,
        ("rw", None) => request.read_only = false,
        (name, None) if FOR_MOUNT.contains(&name) => {}
        _ if name.starts_with("x-") => {}
        ("identity", _) => {
            return fail(Kind::Invalid, "mount option identity: say `single` or `os`");
        }
        _ => request.options.push(option.to_owned()),
    }
    Ok(())
}

pub(super) fn umount(place: &Place, args: &UmountArgs) -> Result<()> {
    // While a daemon is dead and cannot end, its mount does not even say what it is.
    if let Err(e) = place.config().and_then(|config| bury(&config)) {
        tracing::warn!("{}", e.chain());
    }
    let dir = mount_point(&args.dir)?;
    let daemon = match daemon_of(place, &dir) {
        Err(e) if e.kind() == Kind::Unavailable => return without_daemon(place, &dir),
        found => found?,
    };
    let request = UmountRequest {
        dir: Text(dir.as_os_str().as_bytes().to_vec()),
        lazy: args.lazy,
    };
    loop {
        match daemon.post::<Unmounted>("/daemon/umount", &request) {
            Err(e) if e.kind() == Kind::Busy && args.wait => std::thread::sleep(PAUSE),
            Err(e) if e.kind() == Kind::Busy => return Err(with_users(e, &dir)),
            done => return unmounted(place, &dir, &done?),
        }
    }
}

fn unmounted(place: &Place, dir: &Path, done: &Unmounted) -> Result<()> {
    let text = match done.pending.files {
        0 => format!("unmounted {}; nothing was pending", dir.display()),
        1 => format!(
            "unmounted {}; 1 file was pending and is stored",
            dir.display()
        ),
        n => format!(
            "unmounted {}; {n} files were pending and are stored",
            dir.display()
        ),
    };
    output::show(place.json, done, text)
}

fn with_users(e: Error, dir: &Path) -> Error {
    let users = busy::users_of(dir);
    if users.is_empty() {
        return e;
    }
    Error::new(
        Kind::Busy,
        format!(
            "{} is in use by {}: end them, or say --wait or --lazy",
            dir.display(),
            users.join(", ")
        ),
    )
    .caused_by(e)
}

/// The daemon that a mount belongs to, which it tells itself, whatever the data directory is.
fn daemon_of(place: &Place, dir: &Path) -> Result<Socket> {
    match mounted::socket(dir) {
        Ok(socket) => Socket::connect(&socket, Asked::default()),
        Err(_) => Socket::connect(&place.own_socket()?, Asked::default()),
    }
}

/// Clears a mount whose daemon died, and makes sure that the next one does not bring it back.
fn without_daemon(place: &Place, dir: &Path) -> Result<()> {
    if fuse::health(dir) == Health::Good {
        let message = format!("{} is not mounted: no daemon runs for it", dir.display());
        return fail(Kind::NotFound, message);
    }
    fuse::clear_stale(dir)?;
    let config = place.config()?;
    if config.database().exists() {
        forget(&*Nexus::open(config)?.db, dir)?;
    }
    output::line(format!("unmounted {}; its daemon was gone", dir.display()))
}

/// The absolute path of a mount point, links followed as when it was made. The mount itself may be dead and answer nothing.
fn mount_point(dir: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(dir)?;
    if let Ok(real) = absolute.canonicalize() {
        return Ok(real);
    }
    Ok(match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize()?.join(name),
        _ => absolute,
    })
}

pub(super) fn mounts(place: &Place) -> Result<()> {
    let all = match Socket::connect(&place.socket()?, Asked::default()) {
        Err(e) if e.kind() == Kind::Unavailable => Mounts::default(),
        daemon => daemon?.post("/daemon/mounts", &())?,
    };
    if place.json {
        return output::json(&all);
    }
    table(&all.mounts)
}

pub(super) fn table(mounts: &[MountInfo]) -> Result<()> {
    let head = ["mount", "tenant", "user", "agent", "access", "since"];
    let or = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    output::table(
        &head,
        mounts.iter().map(|m| {
            let user = if m.identity == IdentityKind::Os {
                "each by uid".to_owned()
            } else {
                or(&m.user)
            };
            let access = if m.read_only {
                "read"
            } else {
                "read and write"
            };
            vec![
                m.dir.to_string(),
                m.tenant.clone(),
                user,
                or(&m.agent),
                access.to_owned(),
                super::log::short(&m.since),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(options: &[&str]) -> Result<MountRequest> {
        let mut request = MountRequest::default();
        options
            .iter()
            .try_for_each(|o| take_option(&mut request, o))?;
        Ok(request)
    }

    #[test]
    fn options_of_fstab_mean_the_same_as_flags() {
        let r = taken(&[
            "defaults",
            "ro",
            "tenant=acme",
            "identity=os",
            "x-systemd.automount",
            "noatime",
        ])
        .unwrap();
        assert!(r.read_only);
        assert_eq!(r.tenant.as_deref(), Some("acme"));
        assert_eq!(r.identity, IdentityKind::Os);
        assert_eq!(r.options, ["noatime"]);
    }

    #[test]
    fn an_identity_nobody_knows_is_refused() {
        assert!(taken(&["identity=me"]).is_err());
    }
}
