# shellcheck shell=sh disable=SC2034
systemd_checks=
