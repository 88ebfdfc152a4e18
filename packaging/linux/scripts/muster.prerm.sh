# Before the files of the collector go. In an upgrade it runs on until the new one is there.
case "$1" in
    remove | 0) ask_systemd stop muster.service muster.socket ;;
esac
case "$1" in
    0) disable_units muster.socket muster.service ;;
esac
