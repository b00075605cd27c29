/** A door that an earlier engine had: gone on with where it can be found, made anew where it cannot. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { claimSocket } from '../../src/engine/doors.ts'
import { FdStore } from '../../src/engine/fd-store.ts'
import { close } from '../../src/sys/io.ts'
import { bindNotifySocket, NotifyMessages } from '../../src/sys/notify-socket.ts'
import { listenStream } from '../../src/sys/seccomp-socket.ts'

test('a listening socket without its name is closed, and forgotten by who keeps it', t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-doors-test-'))
	t.teardown(() => rmSync(directory, { recursive: true, force: true }))
	const keeper = bindNotifySocket(join(directory, 'notify'))
	t.teardown(() => close(keeper))
	const fdStore = new FdStore(join(directory, 'notify'), problem => t.fail(problem))
	const path = join(directory, 's')
	const fd = listenStream(path)
	t.is(claimSocket('api', path, { inherited: new Map([['api', fd]]), fdStore }), fd)
	t.is(claimSocket('api', path, { inherited: new Map(), fdStore }), -1)
	t.is(new NotifyMessages().receive(keeper), -11)
	rmSync(path)
	const inherited = new Map([['api', fd]])
	t.is(claimSocket('api', path, { inherited, fdStore }), -1)
	t.is(inherited.size, 0)
	t.like(new NotifyMessages().receive(keeper), { text: 'FDSTOREREMOVE=1\nFDNAME=api' })
	// It was closed: the number is free.
	t.is(listenStream(path), fd)
	close(fd)
})
