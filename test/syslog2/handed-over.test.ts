/**
 * How a runtime hands over its seccomp listener. Source of truth: the example of the OCI runtime specification 1.1, config-linux.md,
 * "The Container Process State"; include/uapi/linux/audit.h.
 */
import test from 'ava'
import fc from 'fast-check'
import { parseContainerProcess, renderContainerProcess } from '../../src/attach/container-process.ts'
import { isSyslogCall } from '../../src/sys/seccomp.ts'

const SPECIFIED = `{
    "ociVersion": "0.2.0",
    "fds": ["seccompFd"],
    "pid": 4422,
    "metadata": "MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array",
    "state": {
        "ociVersion": "0.2.0",
        "id": "oci-container1",
        "status": "creating",
        "pid": 4422,
        "bundle": "/containers/redis",
        "annotations": { "myKey": "myValue" }
    }
}`

test("the specification's example is understood, and every piece of it is incomplete until it ends", t => {
	t.deepEqual(parseContainerProcess(SPECIFIED, false), {
		value: {
			metadata: 'MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array',
			containerId: 'oci-container1',
			pid: 4422,
			index: 0,
		},
	})
	for (let length = 0; length < SPECIFIED.length; length++) {
		const piece = SPECIFIED.slice(0, length)
		t.is(parseContainerProcess(piece, false), 'incomplete')
		t.true('problem' in (parseContainerProcess(piece, true) as object))
	}
})

test('the listener is the descriptor of that name; without it or without metadata there is a problem', t => {
	const process = JSON.parse(SPECIFIED) as Record<string, unknown>
	const parse = (change: Record<string, unknown>): unknown =>
		parseContainerProcess(JSON.stringify({ ...process, ...change }), true)
	t.like(parse({ fds: ['other', 'seccompFd'] }), { value: { index: 1 } })
	for (const fds of [undefined, [], ['other'], 'seccompFd', { 0: 'seccompFd' }])
		t.true('problem' in (parse({ fds }) as object))
	for (const metadata of [undefined, '', 7, null]) t.true('problem' in (parse({ metadata }) as object))
	for (const pid of [undefined, -1, 1.5, '7', 0]) t.like(parse({ pid }), { value: { pid: 0 } })
	for (const state of [undefined, null, 'x', { id: 7 }]) t.like(parse({ state }), { value: { containerId: '' } })
})

test('any text is answered, and what we send is understood', t => {
	fc.assert(
		fc.property(fc.oneof(fc.string(), fc.json()), fc.boolean(), (text, ended) => {
			parseContainerProcess(text, ended)
		}),
	)
	const ours = { metadata: 'web', containerId: 'web', pid: 77 }
	t.deepEqual(parseContainerProcess(renderContainerProcess(ours), false), { value: { ...ours, index: 0 } })
})

test('syslog(2) is known by table and number, x32 too, and nothing else is', t => {
	const X86_64 = 0xc000003e
	const I386 = 0x40000003
	for (const arch of [X86_64, I386]) {
		t.true(isSyslogCall(arch, 103, 'x64'))
		t.false(isSyslogCall(arch, 102, 'x64'))
		t.false(isSyslogCall(arch, 0, 'x64'))
	}
	t.true(isSyslogCall(X86_64, 103 | 0x40000000, 'x64'))
	t.true(isSyslogCall(0xc00000b7, 116, 'arm64'))
	t.false(isSyslogCall(X86_64, 116, 'arm64'))
	t.false(isSyslogCall(X86_64, 103, 'unknown'))
})
