/**
 * Four hostile containers at once, and a fifth that logs as programs do: it loses nothing and need not wait, whatever they do.
 * `make hostile` measures the same at length; here the bound is a generous one, for a machine that does other things too.
 *
 * What the machine itself makes everybody wait is told by round trips to a process that only answers (bench/hostile/probe.c).
 */
import test from 'ava'
import { isMissing } from '../../bench/harness/build.ts'
import { Service } from '../../bench/harness/service.ts'
import { type Arena, openArena, suffer } from '../../bench/hostile/storms.ts'
import { needs } from '../helpers/programs.ts'
import { TRANSPORT } from '../helpers/transport.ts'

const SECONDS = 2
const MOST_MS = 50
/** Resident memory that a round may add, in MiB: nothing that a container does is kept for ever. */
const MOST_GROWTH = 150

let service: Service | undefined
let arena: Arena | undefined

test.before(async () => {
	if (TRANSPORT !== 'kernel') return
	service = await Service.start(undefined)
	const opened = await openArena(service)
	if (!isMissing(opened)) arena = opened
})
test.after.always(() => service?.stop())

/** Four kinds at a time, one in each container. */
const ROUNDS: readonly (readonly string[])[] = [
	['datagrams', 'kmsg-writes', 'names', 'opens'],
	['huge-datagrams', 'pollers', 'waiters', 'directories'],
	['fork-senders', 'oddities', 'quota', 'whole'],
	['reports', 'appends', 'handles', 'kmsg-opens'],
]

for (const kinds of ROUNDS) {
	needs('gcc')(`a neighbour of ${kinds.join(', ')} loses nothing and need not wait`, async t => {
		if (arena === undefined) {
			t.pass('not here: the service is built, and serves by the kernel protocol, for this one')
			return
		}
		const { kmsg, devlog, peer, lost, rssBefore, rssMost, attackers } = await suffer(arena, kinds, SECONDS)
		t.log(
			`p99 ${kmsg.p99} us to /dev/kmsg, ${devlog.p99} us to /dev/log, ${peer.p99} us to a process that only answers`,
		)
		t.is(lost, 0)
		t.is(kmsg.failed + devlog.failed, 0)
		for (const said of attackers) t.regex(said, /^\S+: \d+ done, \d+ refused$/)
		const mostUs = MOST_MS * 1000 + 2 * peer.p99
		t.true(kmsg.p99 < mostUs && devlog.p99 < mostUs, JSON.stringify({ kmsg, devlog, peer }))
		t.true(rssMost - rssBefore < MOST_GROWTH, `${rssBefore} MiB, then ${rssMost} MiB`)
	})
}
