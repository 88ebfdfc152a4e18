#!/bin/sh
# What the maintainer scripts of both packages have in common; the packages contain it at the head of each script.
# dpkg and rpm call them with other arguments:
#
#              dpkg                                   rpm
#   postinst   configure [OLD-VERSION], abort-…       1 first, 2 or more upgrade
#   prerm      remove, upgrade NEW-VERSION            0 last, 1 or more upgrade
#   postrm     remove, upgrade NEW-VERSION, purge     0 last, 1 or more upgrade
set -e

# Whether systemd runs here. In a chroot, an image or a container it does not, and nothing is started.
systemd_runs() {
    [ -d /run/systemd/system ]
}

# has PROGRAM
has() {
    command -v "$1" >/dev/null 2>&1
}

# make_user NAME: the user and group of a service, by sysusers.d where there is systemd, else by hand.
make_user() {
    if has systemd-sysusers && systemd-sysusers "/usr/lib/sysusers.d/$1.conf" && getent passwd "$1" >/dev/null; then
        return
    fi
    make_group "$1"
    getent passwd "$1" >/dev/null && return
    if has useradd; then
        useradd --system --gid "$1" --home-dir "/var/lib/$1" --no-create-home --shell /usr/sbin/nologin "$1"
    else
        adduser --system --ingroup "$1" --home "/var/lib/$1" --no-create-home --shell /usr/sbin/nologin "$1"
    fi
}

# make_group NAME
make_group() {
    getent group "$1" >/dev/null && return
    if has groupadd; then
        groupadd --system "$1"
    else
        addgroup --system "$1"
    fi
}

# make_folder PATH MODE USER GROUP: made if it is not there; else it is left as it is.
make_folder() {
    [ -d "$1" ] || install -d -m "$2" -o "$3" -g "$4" "$1"
}

# enable_units dpkg|rpm UNIT…: at the first installation; what an admin disabled later stays so.
enable_units() {
    manager=$1
    shift
    if [ "$manager" = rpm ]; then
        ! has systemctl || systemctl --no-reload preset "$@" >/dev/null 2>&1 || :
        return
    fi
    for unit in "$@"; do
        if has deb-systemd-helper; then
            deb-systemd-helper unmask "$unit" >/dev/null || :
            if deb-systemd-helper --quiet was-enabled "$unit"; then
                deb-systemd-helper enable "$unit" >/dev/null || :
            else
                deb-systemd-helper update-state "$unit" >/dev/null || :
            fi
        elif has systemctl; then
            systemctl enable "$unit" >/dev/null 2>&1 || :
        fi
    done
}

# ask_systemd start|restart|stop UNIT…: by dpkg's way, which asks the host's policy, where there is one.
ask_systemd() {
    systemd_runs || return 0
    action=$1
    shift
    if has deb-systemd-invoke; then
        deb-systemd-invoke "$action" "$@" >/dev/null || echo "muster: $action $*: see systemctl status" >&2
        return 0
    fi
    for unit in "$@"; do
        if [ "$action" = stop ] || systemctl --quiet is-enabled "$unit" 2>/dev/null; then
            systemctl "$action" "$unit" || echo "muster: $action $unit: see systemctl status" >&2
        fi
    done
}

# reload_systemd: it reads the units anew.
reload_systemd() {
    ! systemd_runs || systemctl --system daemon-reload >/dev/null || :
}

# forget_units UNIT…: what dpkg remembers of them.
forget_units() {
    ! has deb-systemd-helper || deb-systemd-helper purge "$@" >/dev/null || :
}

# disable_units UNIT…: for rpm, before the last of them goes.
disable_units() {
    ! has systemctl || systemctl --no-reload disable "$@" >/dev/null 2>&1 || :
}
