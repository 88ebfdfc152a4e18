//! How one answer of root's is laid over a live one that is not the whole truth. Pure.

use std::collections::BTreeMap;

/// What the kernel tells of a user that has no number in this user namespace (`/proc/sys/kernel/overflowuid`).
const NOBODY: &str = "65534";

/// The host's mounts, from this namespace's and from what root saw some time ago (proc_pid_mountinfo(5)). Mounts
/// and unmounts reach a service's namespace at once, and so does what the filesystem says of itself; whether a
/// mount is read-only there is the sandbox's choice. So: each mount as it is here now, with the
/// options that it had for root, and without those that only the sandbox has made.
pub fn mounts(own: &[u8], roots: &[u8]) -> Vec<u8> {
    let mut known: BTreeMap<Place<'_>, &str> = BTreeMap::new();
    let (own, roots) = (String::from_utf8_lossy(own), String::from_utf8_lossy(roots));
    known.extend(roots.lines().filter_map(place));
    let mut all = String::with_capacity(own.len());
    for line in own.lines() {
        let Some((place, options)) = place(line) else { continue };
        // What came later than root's look is as it came; a sandbox changes only what it finds.
        let options = known.get(&place).copied().unwrap_or(options);
        let mut fields = line.splitn(7, ' ');
        for field in fields.by_ref().take(5) {
            all.push_str(field);
            all.push(' ');
        }
        all.push_str(options);
        for rest in fields.skip(1) {
            all.push(' ');
            all.push_str(rest);
        }
        all.push('\n');
    }
    all.into_bytes()
}

/// Device, what of it is mounted, and where.
type Place<'a> = (&'a str, &'a str, &'a str);

/// A mount and its options.
fn place(line: &str) -> Option<(Place<'_>, &str)> {
    let mut fields = line.split(' ').skip(2);
    let place = (fields.next()?, fields.next()?, fields.next()?);
    Some((place, fields.next()?))
}

/// A table of sockets as it is now, with the users that root saw (proc_net_tcp(5)). A socket that is newer stays
/// [`NOBODY`]'s.
pub fn sockets(own: &[u8], roots: &[u8]) -> Vec<u8> {
    let (own, roots) = (String::from_utf8_lossy(own), String::from_utf8_lossy(roots));
    let users: BTreeMap<&str, &str> = roots.lines().filter_map(user).collect();
    let mut all = String::with_capacity(own.len());
    for line in own.lines() {
        match user(line).filter(|(_, uid)| *uid == NOBODY).and_then(|(inode, _)| users.get(inode)) {
            Some(uid) => {
                let fields = line.split_ascii_whitespace().enumerate();
                let fields: Vec<&str> = fields.map(|(at, field)| if at == UID { uid } else { field }).collect();
                all.push_str(&fields.join(" "));
            }
            None => all.push_str(line),
        }
        all.push('\n');
    }
    all.into_bytes()
}

/// Where a line has the user; the inode is two further on.
const UID: usize = 7;

/// Inode and user of a socket.
fn user(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split_ascii_whitespace().skip(UID);
    let uid = fields.next()?;
    Some((fields.nth(1)?, uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mount_is_read_only_as_root_sees_it_and_new_ones_show() {
        let roots = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                     22 21 8:2 / /usr ro,relatime shared:2 - ext4 /dev/sda2 rw\n\
                     23 21 8:3 / /gone rw - ext4 /dev/sda3 rw\n";
        let own = "91 80 8:1 / / ro,nosuid,relatime shared:1 master:7 - ext4 /dev/sda1 ro,errors=remount-ro\n\
                   92 91 8:2 / /usr ro,nosuid,relatime master:2 - ext4 /dev/sda2 rw\n\
                   93 91 8:4 / /new rw,relatime master:9 - ext4 /dev/sda4 rw\nodd\n";
        let told = mounts(own.as_bytes(), roots.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&told),
            "91 80 8:1 / / rw,relatime shared:1 master:7 - ext4 /dev/sda1 ro,errors=remount-ro\n\
             92 91 8:2 / /usr ro,relatime master:2 - ext4 /dev/sda2 rw\n\
             93 91 8:4 / /new rw,relatime master:9 - ext4 /dev/sda4 rw\n"
        );
    }

    #[test]
    fn sockets_have_the_users_that_root_saw() {
        let line = |uid: u32, inode: u32| {
            format!("   0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1 x\n")
        };
        let own = format!("  sl  local_address\n{}{}{}", line(65_534, 7), line(65_534, 8), line(997, 9));
        let roots = format!("  sl  local_address\n{}{}", line(104, 7), line(5, 9));
        let told = String::from_utf8(sockets(own.as_bytes(), roots.as_bytes())).expect("text");
        let users: Vec<Option<(&str, &str)>> = told.lines().skip(1).map(user).collect();
        assert_eq!(users, [Some(("7", "104")), Some(("8", "65534")), Some(("9", "997"))]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(own in "([0-9a-z/:, -]|\\PC|\\n){0,200}", roots in "([0-9a-z/:, -]|\\n){0,200}") {
            mounts(own.as_bytes(), roots.as_bytes());
            sockets(own.as_bytes(), roots.as_bytes());
        }
    }
}
