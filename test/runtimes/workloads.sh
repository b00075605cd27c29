# shellcheck shell=sh
workload_checks=
