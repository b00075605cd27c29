#!/bin/sh
# next-steps.sh RUN_DIR: what to type once "make run" has started pogshim in this terminal.

option=
[ "$1" = /run/pogs ] || option=" --run-dir $1"
[ -w /dev/fuse ] || echo "make run: /dev/fuse is missing or not ours: try \"modprobe fuse\", or run as root" >&2
cat <<TEXT
Starting pogshim; ^C stops it and removes its logs. In another terminal, type next:

  dist/bin/pogctl$option run --name box -- sh       a container with a log of its own; in there:
      logger hello; cat /var/log/messages               its log
      echo '<3>disk on fire' > /dev/kmsg; dmesg         its kernel log
      echo '*.err /var/log/errors' > /etc/syslog.conf   its configuration, at once
      /run/pog/pogctl --help                            what else there is
  dist/bin/pogctl$option ls                         all logs, from the host
  dist/bin/pogctl$option logs box -f                follow one

TEXT
