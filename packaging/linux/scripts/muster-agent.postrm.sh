# After the files of muster-agent went. Its identity stays until it is purged; rpm knows no purge, so there it stays.
case "$1" in
    purge)
        # Keys, what waited to be sent, what was told: without them this machine joins anew.
        rm -rf /var/lib/muster-agent /run/muster-agent
        rm -f /etc/muster/join.json
        rmdir --ignore-fail-on-non-empty /etc/muster 2>/dev/null || :
        forget_units muster-agent.service muster-agent-probe.timer muster-agent-enroll.path muster-agent-enroll.service
        # The user stays, as is the custom: its number must not come to own what somebody else left.
        ;;
    0)
        echo "muster-agent: its identity is still in /var/lib/muster-agent; rm -r it if this machine shall not come back"
        ;;
esac
case "$1" in
    remove | 0) reload_systemd ;;
esac
