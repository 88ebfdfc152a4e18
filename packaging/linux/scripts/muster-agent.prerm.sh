# Before the files of muster-agent go.
case "$1" in
    remove | 0)
        ask_systemd stop muster-agent-enroll.path muster-agent-enroll.service muster-agent-probe.timer \
            muster-agent-probe.service muster-agent.service
        ;;
esac
case "$1" in
    0)
        disable_units muster-agent.service muster-agent-probe.timer muster-agent-enroll.path muster-agent-enroll.service
        ;;
esac
