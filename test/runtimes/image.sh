# shellcheck shell=sh disable=SC2034
