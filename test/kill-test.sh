#!/bin/sh
# kill-test.sh: the tests that kill the engine, at length, as the service runs: its directory in a tmpfs as /run is, a session of its own.

dir=$(mktemp -d) || exit 1
trap 'umount -l "$dir" 2>/dev/null; rmdir "$dir"' EXIT
trap 'exit 130' INT TERM
mount -t tmpfs -o mode=0700 pogs-kill-test "$dir" || echo 'kill-test: no tmpfs here: every file is written to a disk' >&2
export TMPDIR="$dir" POGS_TEST_CRASH_POINTS=all POGS_TEST_DIST=1
# shellcheck disable=SC2086
npx ava --config ava.e2e.config.js --timeout 30m ${FILES:-test/e2e/revival-load.test.ts test/e2e/revival.test.ts \
	test/e2e/revival-calls.test.ts test/e2e/old-kernel.test.ts}
