# After the files of the collector went. The register is never deleted here: it may be the only one that there is.
case "$1" in
    purge | 0)
        if [ -d /var/lib/muster ]; then
            echo "muster: the register and its keys are still in /var/lib/muster; if nobody needs them: rm -r /var/lib/muster"
        fi
        ;;
esac
case "$1" in
    purge)
        rm -rf /run/muster
        rmdir --ignore-fail-on-non-empty /etc/muster 2>/dev/null || :
        forget_units muster.socket muster.service
        ;;
    remove | 0) reload_systemd ;;
esac
