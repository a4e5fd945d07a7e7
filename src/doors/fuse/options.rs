//! How a mount is to be made, and what that means in the kernel's and fusermount3's options.

use super::caller::Identity;
use crate::core::{Kind, Result, TenantId, error::fail};
use fuser::{Config, MountOption, SessionACL};
use std::path::PathBuf;

/// How many threads answer one mount. More gain nothing for one client and cost memory.
const THREADS: usize = 4;
/// The option that says which way requests come.
const TRANSPORT: &str = "transport";
/// The option that says whether directories list their past.
const SNAPDIR: &str = "snapdir";

/// Which way requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// `io_uring` where the kernel has it enabled, else fuser.
    Auto,
    Fuser,
    IoUring,
}

/// How a mount is to be made.
#[derive(Debug, Clone)]
pub struct MountOptions {
    pub dir: PathBuf,
    pub tenant: TenantId,
    pub identity: Identity,
    pub read_only: bool,
    /// Lets other OS users enter; on a single-identity mount they act as its user.
    pub allow_other: bool,
    /// Whether it is for a user namespace that maps the mounting OS user and his group alone (user_namespaces(7)).
    pub is_alone: bool,
    /// What came with `-o`, as names with or without a value.
    pub extra: Vec<(String, Option<String>)>,
}

impl MountOptions {
    /// Translates; an option that is not known is refused rather than ignored.
    pub(super) fn config(&self, as_root: bool) -> Result<Config> {
        let mut set = Settings {
            read_only: self.read_only,
            allow_other: self.is_for_all(),
            // Who rules a directory by a grant may open a device or change a program in it that is root's: both take a word.
            devices: MountOption::NoDev,
            set_id: MountOption::NoSuid,
            plain: Vec::new(),
        };
        for (name, value) in &self.extra {
            if name != TRANSPORT && name != SNAPDIR {
                set.take(name, value.as_deref())?;
            }
        }
        let is_strict = (&set.devices, &set.set_id) == (&MountOption::NoDev, &MountOption::NoSuid);
        let is_roots = as_root && matches!(self.identity, Identity::Os { .. });
        if !is_strict && !is_roots {
            return fail(
                Kind::NotPermitted,
                "dev and suid are for root to allow, with `--identity os`: elsewhere uids are not those of the machine",
            );
        }
        Ok(set.config())
    }

    /// Whether the kernel lets in others than its owner.
    pub fn is_for_all(&self) -> bool {
        let said = self.extra.iter().any(|(name, _)| name == "allow_other");
        said || self.allow_other || matches!(self.identity, Identity::Os { .. })
    }

    /// Whether the root and its namespaces list `.at`; the last one said counts.
    pub(super) fn lists_past(&self) -> Result<bool> {
        match self.said(SNAPDIR).map(|(_, value)| value.as_deref()) {
            None | Some(Some("hidden")) => Ok(false),
            Some(Some("visible")) => Ok(true),
            Some(_) => fail(
                Kind::Invalid,
                "mount option snapdir: say `visible` or `hidden`",
            ),
        }
    }

    /// The last that was said of an option: its name, and its value if one was said.
    fn said(&self, option: &str) -> Option<&(String, Option<String>)> {
        self.extra.iter().rfind(|(name, _)| name == option)
    }

    /// Which way requests are to come; the last one said counts.
    pub(super) fn transport(&self) -> Result<Transport> {
        match self.said(TRANSPORT).map(|(_, value)| value.as_deref()) {
            None | Some(Some("auto")) => Ok(Transport::Auto),
            Some(Some("fuser")) => Ok(Transport::Fuser),
            Some(Some("io_uring")) => Ok(Transport::IoUring),
            Some(_) => fail(
                Kind::Invalid,
                "mount option transport: say `auto`, `fuser` or `io_uring`",
            ),
        }
    }
}

/// Options as they add up.
struct Settings {
    read_only: bool,
    allow_other: bool,
    devices: MountOption,
    set_id: MountOption,
    plain: Vec<MountOption>,
}

impl Settings {
    fn take(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if let Some(value) = value {
            return fail(
                Kind::Invalid,
                format!("mount option {name}={value}: no option of this name takes a value"),
            );
        }
        match name {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "allow_other" => self.allow_other = true,
            "dev" => self.devices = MountOption::Dev,
            "nodev" => self.devices = MountOption::NoDev,
            "suid" => self.set_id = MountOption::Suid,
            "nosuid" => self.set_id = MountOption::NoSuid,
            "noatime" => self.plain.push(MountOption::NoAtime),
            "noexec" => self.plain.push(MountOption::NoExec),
            "sync" => self.plain.push(MountOption::Sync),
            _ => {
                return fail(
                    Kind::Invalid,
                    format!(
                        "mount option {name:?} is not known: there are ro, rw, allow_other, noatime, noexec, nodev, \
                         dev, nosuid, suid, sync, transport and snapdir"
                    ),
                );
            }
        }
        Ok(())
    }

    fn config(self) -> Config {
        let mut options = self.plain;
        // `Subtype` reaches fusermount3 only; as a plain option the kernel takes it too and shows `fuse.nexus`.
        options.extend([
            MountOption::FSName("nexus".to_owned()),
            MountOption::CUSTOM("subtype=nexus".to_owned()),
        ]);
        options.extend([self.devices, self.set_id]);
        options.push(if self.read_only {
            MountOption::RO
        } else {
            MountOption::RW
        });
        // Without `default_permissions`: a mode is one of three layers, which the engine weighs. The kernel would also ask for
        // a directory's attributes before each change in it, half of what an unlink(2) costs.
        let mut config = Config::default();
        config.mount_options = options;
        config.acl = if self.allow_other {
            SessionACL::All
        } else {
            SessionACL::Owner
        };
        config.n_threads = Some(THREADS);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::User;

    fn single(extra: &[&str]) -> MountOptions {
        let user = User {
            id: crate::core::PrincipalId(20),
            created: crate::core::Time(0),
            tenant: TenantId(1),
            name: "alice".to_owned(),
            uid: 1_000_001,
            gid: 1_000_001,
            full_name: None,
            email: None,
        };
        MountOptions {
            dir: "/mnt".into(),
            tenant: TenantId(1),
            identity: Identity::Single {
                user,
                agent: None,
                session: None,
                os_uid: 1000,
                os_gid: 1000,
            },
            read_only: false,
            allow_other: false,
            is_alone: false,
            extra: extra.iter().map(|n| ((*n).to_owned(), None)).collect(),
        }
    }

    fn os() -> MountOptions {
        MountOptions {
            identity: Identity::Os { root_admin: false },
            ..single(&[])
        }
    }

    #[test]
    fn an_option_nobody_knows_is_refused_with_the_list_of_those_that_exist() {
        let refused = single(&["writeback"]).config(false).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(
            refused.message().contains("\"writeback\"") && refused.message().contains("noatime")
        );
    }

    #[test]
    fn the_transport_is_one_of_three_and_auto_when_nobody_says() {
        let said = |values: &[Option<&str>]| {
            let extra = values
                .iter()
                .map(|v| ("transport".to_owned(), v.map(str::to_owned)));
            let options = MountOptions {
                extra: extra.collect(),
                ..single(&[])
            };
            options.config(false).and_then(|_| options.transport())
        };
        assert_eq!(said(&[]).unwrap(), Transport::Auto);
        assert_eq!(said(&[Some("fuser")]).unwrap(), Transport::Fuser);
        let last = said(&[Some("fuser"), Some("io_uring")]);
        assert_eq!(last.unwrap(), Transport::IoUring);
        assert_eq!(said(&[Some("pigeon")]).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(said(&[None]).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn the_past_is_listed_where_somebody_says_so() {
        let said = |values: &[&str]| {
            let extra = values
                .iter()
                .map(|v| ("snapdir".to_owned(), Some((*v).to_owned())));
            let options = MountOptions {
                extra: extra.collect(),
                ..single(&[])
            };
            options.config(false).and_then(|_| options.lists_past())
        };
        assert!(!said(&[]).unwrap() && said(&["visible"]).unwrap());
        assert!(!said(&["visible", "hidden"]).unwrap());
        assert_eq!(said(&["perhaps"]).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_single_mount_is_for_its_user_alone_until_others_are_allowed() {
        let own = single(&[]).config(false).unwrap();
        assert_eq!(own.acl, SessionACL::Owner);
        let open = single(&["allow_other"]).config(false).unwrap();
        assert_eq!(open.acl, SessionACL::All);
    }

    #[test]
    fn the_engine_decides_and_no_kernel() {
        for options in [single(&[]), single(&["allow_other"]), os()] {
            let options = options.config(false).unwrap().mount_options;
            assert!(!options.contains(&MountOption::DefaultPermissions));
        }
    }

    #[test]
    fn devices_and_set_id_programs_work_only_where_root_says_so_on_a_multi_user_mount() {
        let with = |options: MountOptions, said: &str| MountOptions {
            extra: vec![(said.to_owned(), None)],
            ..options
        };
        let has = |m: &MountOptions, o| m.config(true).unwrap().mount_options.contains(&o);
        assert!(has(&os(), MountOption::NoDev) && has(&os(), MountOption::NoSuid));
        let suid = with(os(), "suid");
        assert!(has(&suid, MountOption::Suid) && has(&suid, MountOption::NoDev));
        assert!(has(&with(os(), "dev"), MountOption::Dev));
        for (options, as_root) in [(suid, false), (with(single(&[]), "suid"), true)] {
            let refused = options.config(as_root).unwrap_err();
            assert_eq!(refused.kind(), Kind::NotPermitted);
        }
    }

    #[test]
    fn the_last_of_ro_and_rw_counts() {
        let options = single(&["ro", "rw"]).config(false).unwrap().mount_options;
        assert!(options.contains(&MountOption::RW) && !options.contains(&MountOption::RO));
    }
}
