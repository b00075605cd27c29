/**
 * Which transport the end-to-end suites run on: POGS_TEST_TRANSPORT=fuse-native is the other one.
 *
 * Source of truth for what that one cannot do: docs/transports.md; each row is tested in test/e2e/transport-native.test.ts.
 */

export const TRANSPORT = process.env['POGS_TEST_TRANSPORT'] || 'kernel'

const WAITS = 'a read that would wait answers EAGAIN, and poll always says ready'
const CLEARED = 'SEEK_DATA does not know the last clear'

/** Tests by title that ask for what fuse-native cannot do, and which row says so. */
const BEYOND_FUSE_NATIVE: Readonly<Record<string, string>> = {
	'dmesg -w prints what is there and then follows, dmesg -W only what comes': WAITS,
	'cat and head read one record per read, ^C ends a waiting cat': WAITS,
	'an edge-triggered reader as in Go sees each record at once': WAITS,
	'SEEK_DATA goes to the first record after the last clear, and nothing else is hidden': CLEARED,
	'two POGs have positions, sequence numbers and clear points of their own': CLEARED,
	'the other setting of dmesg_restrict decides what is free': 'who asks is not known: the mode of /dev/kmsg says no',
	'READ and /proc/kmsg share one position, READ_CLEAR and SEEK_DATA one clear point': WAITS,
	"util-linux dmesg -S, -C, -c, -n, -D and -E do to the container's log what they do to a kernel's": CLEARED,
	'less reads whole lines in order while the ring is overwritten':
		'the size of a view counts what was overwritten since the first who has it open opened it',
	...Object.fromEntries(
		['own files, passthrough', 'own files, served', 'a view, a file of lines'].map(what => [
			`${what}: every operation answers as on a tmpfs, but for the differences that are named`,
			'what libfuse 2 cannot do is tested row by row in transport-native.test.ts',
		]),
	),
	...Object.fromEntries(
		[
			'no call fails, and no line is lost, double or out of order',
			'whatever the engine is killed at, everything goes on as if it had not been',
			'a write that the engine dies of twice is refused, a message too, and the rest goes on',
			'^C ends a read that waits, before an engine is there again and after',
			'what is carried out in steps is done when the engine is killed between two of them',
			'whatever the engine is killed at, a call ends, with an error at most, and the next one is served',
			'a read that waits ends with EINTR, and a command to the control file fails instead of waiting',
			'at whatever step of a call the engine is killed, its caller sees what he would have seen',
			'a call that the engine dies of twice gets EIO, and the next ones are answered',
			'runc: a container starts with its own log whenever the engine is killed meanwhile',
			'crun: a container starts with its own log whenever the engine is killed meanwhile',
			'an engine that dies while it waits for itself is followed, and goes',
		].map(title => [title, 'its mounts end with its process']),
	),
	'the ring is charged to the container it was attached to, of whatever size, and so are its own files':
		'there is no passthrough: the service writes its own files',
	'docker: a reader has an OOM kill of its own container within 100 ms, and nobody else has it': WAITS,
	'in a container its root alone gives commands and reads what is consumed': WAITS,
	'a container that is gone before its log is made leaves none': 'it mounts for itself when a POG is made',
	'every difference that is named belongs to a probe': 'the probes are not asked',
}

/** Why a test cannot be held on this transport; undefined when it can. */
export function beyondTransport(title: string): string | undefined {
	return TRANSPORT === 'fuse-native' ? BEYOND_FUSE_NATIVE[title] : undefined
}
