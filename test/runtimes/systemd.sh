# shellcheck shell=sh
systemd_checks=
