use super::*;
use crate::source::tape::Tape;
use proptest::prelude::*;

const MACHINE: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw,size=12334460k
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=24684084k
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 254:0 /srv/data /mnt/data rw - ext4 /dev/vda rw,discard
31 27 254:0 /etc/x /etc/hosts rw - ext4 /dev/vda rw,discard
32 27 0:40 / /srv/with\\040space\\134x rw - nfs4 files:/srv rw,vers=4.2
33 27 0:41 / /tmp rw - tmpfs tmpfs rw,size=65536k
34 27 0:42 / /scratch rw - tmpfs none rw
35 27 7:1 / /snap/core/1 ro,nodev - squashfs /dev/loop1 ro
36 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw
37 27 8:2 / /srv/old/disk rw - xfs /dev/sda2 rw
38 27 8:3 / /srv/old rw - xfs /dev/sda3 rw
39 27 8:4 / /over rw - ext4 /dev/sda4 rw
40 39 8:5 / /over ro - ext4 /dev/sda5 rw
41 27 0:50 /@home /home rw - btrfs /dev/sdb1 rw,subvol=/@home
42 27 0:50 /@srv /var rw - btrfs /dev/sdb1 rw,subvol=/@srv
43 27 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/l
half a line
44 27 x:1 / /bad rw - ext4 /dev/x rw
";

#[test]
fn one_mount_of_each_filesystem_that_holds_files_counts() {
    let chosen = select(&parse(MACHINE.as_bytes()));
    let told: Vec<(&str, &str, bool, bool)> =
        chosen.iter().map(|m| (m.point.as_str(), m.source.as_str(), m.remote, m.fills())).collect();
    assert_eq!(
        told,
        [
            ("/", "/dev/vda", false, true),
            ("/boot/efi", "/dev/sda1", false, true),
            ("/over", "/dev/sda5", false, false),
            ("/snap/core/1", "/dev/loop1", false, false),
            ("/srv/old", "/dev/sda3", false, true),
            ("/srv/with space\\x", "files:/srv", true, false),
            ("/tmp", "tmpfs", false, true),
            ("/var", "/dev/sdb1", false, true),
        ]
    );
}

#[test]
fn a_sandbox_makes_nothing_read_only() {
    let own = "21 1 8:1 / / ro,nosuid - ext4 /dev/sda1 rw\n22 21 8:2 / /old ro - ext4 /dev/sda2 ro\n";
    let sandbox = Tape::new().link("/proc/self/ns/mnt", "mnt:[2]").file("/proc/self/mountinfo", own);
    let told = |tape: &Tape| local(tape).expect("mounts").iter().map(Mount::read_only).collect::<Vec<_>>();
    assert_eq!(told(&sandbox), [false, true], "what the filesystem says is true");
    assert_eq!(told(&sandbox.clone().link("/proc/1/ns/mnt", "mnt:[2]")), [true, true], "it is no sandbox");
    let first = own.replace("/old ro - ext4 /dev/sda2 ro", "/old rw - ext4 /dev/sda2 rw");
    assert_eq!(told(&sandbox.file("/proc/1/mountinfo", first)), [true, false], "the first process sees it");
}

#[test]
fn a_containers_root_counts_and_the_hosts_files_in_it_do_not() {
    let chosen = select(&parse(
        b"1 0 0:9 / / rw - overlay overlay rw,lowerdir=/l\n2 1 8:1 /c/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
    ));
    assert_eq!(chosen.iter().map(|m| m.point.as_str()).collect::<Vec<_>>(), ["/"]);
}

#[test]
fn what_lies_behind_something_that_may_be_dead_is_told_and_not_asked() {
    let chosen = select(&parse(
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
          2 1 0:40 / /home rw - nfs4 dead:/home rw\n\
          3 2 8:2 / /home/scratch rw - ext4 /dev/sda2 rw\n\
          4 3 8:3 / /home/scratch/deep rw - xfs /dev/sda3 rw\n\
          5 1 0:41 / /boot rw - autofs systemd-1 rw\n\
          6 5 8:4 / /boot rw - vfat /dev/sda4 rw\n\
          7 1 8:5 / /cluster rw - gfs2 /dev/mapper/shared rw\n\
          8 1 8:6 / /caf\xe9 rw - ext4 /dev/sda6 rw\n\
          9 1 8:7 / /srv rw - ext4 /dev/sda7 rw\n\
          10 1 0:42 / /net rw - autofs auto.net rw\n\
          11 10 8:8 / /net/disk rw - ext4 /dev/sda8 rw\n\
          12 1 8:9 / /windows rw - fuseblk /dev/sda9 rw\n\
          13 12 8:10 / /windows/linux rw - ext4 /dev/sda10 rw\n\
          14 2 0:43 / /home/auto rw - autofs systemd-1 rw\n\
          15 14 8:11 / /home/auto rw - ext4 /dev/sda11 rw\n",
    ));
    let told: Vec<(&str, bool, Option<Unasked>)> =
        chosen.iter().map(|mount| (mount.point.as_str(), mount.remote, mount.unasked)).collect();
    let behind = Some(Unasked::Behind);
    assert_eq!(
        told,
        [
            ("/", false, None),
            ("/boot", false, None),
            ("/caf\u{fffd}", false, Some(Unasked::Unnamed)),
            ("/cluster", true, None),
            ("/home", true, None),
            ("/home/auto", false, behind),
            ("/home/scratch", false, behind),
            ("/home/scratch/deep", false, behind),
            ("/net/disk", false, behind),
            ("/srv", false, None),
            ("/windows", false, None),
            ("/windows/linux", false, None),
        ]
    );
}

#[test]
fn a_way_hangs_where_a_mount_on_it_may() {
    let all = parse(
        b"1 0 0:40 / / rw - nfs4 files:/root rw\n\
          2 1 0:41 / /boot rw - autofs systemd-1 rw\n\
          3 2 8:4 / /boot rw - vfat /dev/sda4 rw\n\
          4 1 0:42 / /efi rw - autofs systemd-1 rw\n\
          5 1 0:43 / /home rw - nfs4 dead:/home rw\n\
          6 5 8:5 / /home/x rw - ext4 /dev/sda5 rw\n\
          7 1 0:44 / /mnt/s rw - fuse.sshfs me@there: rw\n\
          8 1 8:6 / /windows rw - fuseblk /dev/sda6 rw\n",
    );
    for (path, hangs) in [
        ("/opt/x", false),
        ("/boot/vmlinuz", false),
        ("/efi", true),
        ("/efi/x", true),
        ("/efix", false),
        ("/home/x/y", true),
        ("/mnt/s/y", true),
        ("/windows/x", false),
    ] {
        assert_eq!(may_hang(&all, path), hangs, "{path}");
    }
}

#[test]
fn a_root_on_another_machine_does_not_hide_this_ones_disks() {
    let chosen = select(&parse(b"1 0 0:40 / / rw - nfs4 files:/root rw\n2 1 8:1 / /scratch rw - ext4 /dev/sda1 rw\n"));
    assert_eq!(chosen.iter().map(|mount| mount.unasked).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn what_is_mounted_for_a_container_is_left_out() {
    let mut lines = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n".to_owned();
    for (at, (point, source)) in [
        ("/var/lib/docker/containers/ab/mounts/x", "tmpfs"),
        ("/srv/docker/containers/ab/mounts/shm", "shm"),
        ("/home/x/.local/share/containers/storage/overlay-containers/ab/userdata/shm", "shm"),
        ("/var/lib/kubelet/pods/ab/volumes/x", "tmpfs"),
        ("/data/kubelet/pods/ab/volumes/kubernetes.io~projected/token", "tmpfs"),
        ("/run/user/1000", "tmpfs"),
        ("/var/lib/dockerish", "tmpfs"),
    ]
    .iter()
    .enumerate()
    {
        let id = at + 2;
        lines.push_str(&format!("{id} 1 0:{} / {point} rw - tmpfs {source} rw,size=65536k\n", id + 40));
    }
    let chosen = select(&parse(lines.as_bytes()));
    assert_eq!(chosen.iter().map(|mount| mount.point.as_str()).collect::<Vec<_>>(), ["/", "/var/lib/dockerish"]);
}

#[test]
fn a_table_that_changed_is_looked_at_anew() {
    let points = |table: &str| {
        let mounts = local(&Tape::new().file("/proc/self/mountinfo", table)).expect("mounts");
        mounts.into_iter().map(|mount| mount.point).collect::<Vec<_>>()
    };
    let one = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
    let two = format!("{one}2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n");
    for _ in 0..2 {
        assert_eq!(
            (points(one), points(one), points(&two)),
            (vec!["/".into()], vec!["/".into()], vec!["/".into(), "/srv".into()])
        );
    }
}

/// A comparison of each with each would take minutes.
#[test]
fn as_many_mounts_as_the_kernel_allows_are_looked_through() {
    let mount = |id: u32| Mount {
        id,
        parent: 1,
        device: (8, id),
        root: "/".into(),
        point: if id == 1 { "/".into() } else { format!("/m/{id}") },
        fstype: "ext4".into(),
        ..Mount::default()
    };
    let mut all: Vec<Mount> = (1..=100_000).map(mount).collect();
    all.push(Mount { point: "/m".into(), ..mount(100_001) });
    let chosen = select(&all);
    assert_eq!(chosen.iter().map(|mount| mount.point.as_str()).collect::<Vec<_>>(), ["/", "/m"]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        select(&parse(&bytes));
    }
}
