//! What POSIX promises to a program, by system calls on a real mount.

mod acl;
mod acl_access;
mod data;
mod locks;
mod names;
mod owners;
mod times;
