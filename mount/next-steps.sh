#!/bin/sh
# next-steps.sh RUN_DIR: what to type once "make run" has started pogshim in this terminal.

pogctl=dist/bin/pogctl
[ "$1" = /run/pogs ] || pogctl="dist/bin/pogctl --run-dir $1"
[ -w /dev/fuse ] || echo "make run: /dev/fuse is missing or not ours: try \"modprobe fuse\", or run as root" >&2
cat <<TEXT
Starting pogshim; ^C stops it and removes its logs. In another terminal, type next:

  A container with a log of its own:    $pogctl run --name box -- sh
    in there, its log:                    logger hello; cat /var/log/messages
    its kernel log:                       echo '<3>disk on fire' > /dev/kmsg; dmesg
    its configuration, at once:           echo '*.err /var/log/errors' > /etc/syslog.conf
    what else there is:                   /run/pog/pogctl --help
  All logs, from the host:              $pogctl ls
  Follow one:                           $pogctl logs box -f

TEXT
