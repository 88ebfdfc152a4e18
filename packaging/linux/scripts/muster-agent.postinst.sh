# After the files of muster-agent are there.
units="muster-agent.service muster-agent-probe.timer muster-agent-enroll.path muster-agent-enroll.service"

case "$1" in
    configure) manager=dpkg old=$2 ;;
    abort-*) manager=dpkg old=same ;;
    1) manager=rpm old= ;;
    *) manager=rpm old=some ;;
esac

make_user muster-agent
make_folder /var/lib/muster-agent 0700 muster-agent muster-agent
if [ "$manager" = dpkg ] || [ -z "$old" ]; then
    enable_units "$manager" $units
fi
reload_systemd
if [ -n "$old" ]; then
    ask_systemd restart muster-agent.service muster-agent-probe.timer muster-agent-enroll.path
else
    ask_systemd start muster-agent-enroll.path muster-agent-probe.timer muster-agent.service
fi
# A join file that was there before the package: this machine joins by itself.
if [ -e /etc/muster/join.json ]; then
    if systemd_runs; then
        ask_systemd start muster-agent-enroll.service
    else
        echo "muster-agent: no systemd runs here; join with: muster-agent enroll --join /etc/muster/join.json"
    fi
fi
