# After the files of the collector are there.
case "$1" in
    configure) manager=dpkg old=$2 ;;
    abort-*) manager=dpkg old=same ;;
    1) manager=rpm old= ;;
    *) manager=rpm old=some ;;
esac

make_group muster-admin
make_user muster
# Where sysusers.d did not do it.
id -nG muster | grep -qw muster-admin || ! has usermod || usermod --append --groups muster-admin muster
make_folder /var/lib/muster 0700 muster muster
# Settings are for the collector and root alone, unless an admin decided otherwise.
if [ "$(stat -c %U:%G /etc/muster/muster.toml 2>/dev/null)" = root:root ]; then
    chgrp muster /etc/muster/muster.toml
fi
if has systemd-tmpfiles && systemd_runs; then
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/muster.conf || :
else
    make_folder /run/muster 0755 muster muster-admin
fi
if [ "$manager" = dpkg ] || [ -z "$old" ]; then
    enable_units "$manager" muster.socket muster.service
fi
reload_systemd
ask_systemd start muster.socket
if [ -n "$old" ]; then
    ask_systemd restart muster.service
else
    ask_systemd start muster.service
fi
