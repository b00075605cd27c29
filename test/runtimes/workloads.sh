# shellcheck shell=sh disable=SC2034
workload_checks=
