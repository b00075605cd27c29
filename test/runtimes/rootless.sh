# shellcheck shell=sh
rootless_missing() { echo not yet; return 1; }
workload_runc_missing() { false; }
workload_docker_missing() { false; }
systemd_podman_missing() { false; }
systemd_nspawn_missing() { false; }
