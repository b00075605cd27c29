/**
 * A noisy neighbour: what a container that logs now and then loses and waits for while another one floods the log.
 *
 * The victim sends a numbered line a millisecond by syslog(3); four senders of the neighbour send as fast as they can. With a shared
 * daemon both use one socket and one bounded log, with POGs each its own. Afterwards the victim's lines are looked for where its
 * administrator would look.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { build, isMissing } from '../../harness/build.ts'
import { run } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { type Summary, summarise } from '../../harness/statistics.ts'
import { startSyslogPeer, type SyslogPeer, type SyslogPeerName } from '../../harness/syslog-peers.ts'
import type { Cell, EvaluationCase, Finding } from '../case.ts'
import { figure } from '../document.ts'
import { paced, type Paced, pacedProgram } from '../paced.ts'

const RING_KB = 1024
const INTERVAL_US = 1000
const SENDERS = 4
/** Records that this case writes to the machine's own kernel log, in all. */
const KERNEL_LINES = 100

interface Shared {
	readonly name: string
	readonly victim: string
	readonly neighbour: string
	/** All that the victim's administrator finds. */
	readonly text: () => Promise<string>
	readonly clear: () => Promise<void>
}

interface Turn {
	readonly alone: Paced
	readonly flooded: Paced
	readonly lost: number
	readonly floodPerSecond: number
}

const foundOf = (text: string, tag: string): number =>
	new Set([...text.matchAll(new RegExp(`${tag}: (\\d{6})`, 'g'))].map(([, number]) => number)).size

/** The kernel's own log, with few lines and no flood: how long one takes, and how many the rate limit of a writer lets through. */
const kernelNotes = async (program: string): Promise<string> => {
	try {
		const limit = readFileSync('/proc/sys/kernel/printk_devkmsg', 'latin1').trim()
		const tag = `evaluate-${Date.now() % 1e6}`
		const { medianUs } = await paced([program], 'write', '/dev/kmsg', { count: KERNEL_LINES, intervalUs: 1000, tag })
		const kept = foundOf((await run(['dmesg'])).stdout, tag)
		return `The machine's own kernel log was not flooded, because it is everybody's: one ring for the host and all containers, in which whoever writes as much as it holds overwrites all that was there. Of ${KERNEL_LINES} lines that were written to it in ${KERNEL_LINES} ms by one program, ${kept} were kept (printk.devkmsg=${limit}); a write took ${figure(medianUs)} us.`
	} catch (error) {
		return `The machine's own kernel log: not tried, ${String(error).slice(0, 120)}.`
	}
}

export const neighbour: EvaluationCase = {
	name: 'neighbour',
	title: 'A noisy neighbour',
	about: `A victim logs a line a millisecond by syslog(3), alone and while ${SENDERS} senders of another container flood. Every log holds 1 MiB: one for both with a shared daemon, one each with POGs.`,
	run: async ({ quick, cpus, say }) => {
		const send = await build('devlog-send')
		if (isMissing(send)) throw new Error(send.missing)
		const program = await pacedProgram()
		const [turns, count, flood] = quick ? [1, 300, 30_000] : [7, 2000, 400_000]
		const service = await Service.start(cpus.server)
		const peers: SyslogPeer[] = []
		const notes: string[] = []
		try {
			const contestants: Shared[] = []
			const made = []
			for (const name of ['victim', 'neighbour']) made.push(await service.create({ name, ringBytes: RING_KB * 1024 }))
			const [victim, other] = made
			if (victim === undefined || other === undefined) throw new Error('no POGs')
			contestants.push({
				name: 'a POG each',
				victim: victim.paths.devLog,
				neighbour: other.paths.devLog,
				text: async () => (await run(['cat', path.join(victim.paths.varLog, 'messages')])).stdout,
				clear: () => Promise.resolve(),
			})
			const add = async (key: SyslogPeerName, name: string, tail: (text: string) => string): Promise<void> => {
				const peer = await startSyslogPeer(key, cpus.server, RING_KB)
				if (isMissing(peer)) {
					notes.push(`${name}: not measured, ${peer.missing}.`)
					return
				}
				peers.push(peer)
				const text = async (): Promise<string> => tail((await run(peer.read())).stdout)
				contestants.push({ name, victim: peer.socket, neighbour: peer.socket, text, clear: () => peer.empty() })
			}
			/* A rotated file of a bounded size: its newest megabyte. */
			await add('rsyslog', 'shared rsyslogd', text => text.slice(-RING_KB * 1024))
			await add('busybox', 'shared busybox syslogd -C', text => text)

			const results = new Map<string, Turn[]>(contestants.map(({ name }) => [name, []]))
			for (let turn = 0; turn < turns; turn++)
				for (const each of contestants) {
					say(`${each.name}, turn ${turn + 1}`)
					await each.clear()
					const tag = `victim-${turn}`
					const alone = await paced([program], 'send', each.victim, { count, intervalUs: INTERVAL_US, tag: 'alone' })
					const flooding = run([send.path, each.neighbour, String(SENDERS), String(flood)], cpus.client)
					const flooded = await paced([program], 'send', each.victim, { count, intervalUs: INTERVAL_US, tag })
					const [start = 0, end = 0] = (await flooding).stdout.split(' ').map(Number)
					await new Promise(resolve => setTimeout(resolve, 300))
					const lost = count - foundOf(await each.text(), tag)
					results.get(each.name)?.push({ alone, flooded, lost, floodPerSecond: flood / (end - start) })
				}
			const over = (name: string, figureOf: (turn: Turn) => number): Summary =>
				summarise((results.get(name) ?? []).map(figureOf))
			const rows: Cell[][] = contestants.map(({ name }) => [
				name,
				over(name, turn => (turn.lost / count) * 100),
				over(name, turn => turn.alone.p99Us),
				over(name, turn => turn.flooded.p99Us),
				over(name, turn => turn.flooded.maxUs),
				over(name, turn => turn.floodPerSecond),
			])
			const ours = over('a POG each', turn => turn.lost)
			const p99 = (name: string): string => `${figure(over(name, turn => turn.flooded.p99Us).median)} us`
			const lostBy = (name: string): string =>
				`${figure(over(name, turn => (turn.lost / count) * 100).median)} % lost, 99th percentile ${p99(name)}`
			const finding: Finding = {
				what: 'a victim beside a flood',
				paper: '-',
				target: 'no line lost',
				ours: contestants.map(({ name }) => `${name}: ${lostBy(name)}`).join('; '),
				holds: ours.max === 0,
			}
			return {
				findings: [finding],
				tables: [
					{
						title: "The victim's lines and how long it waits for one, in us",
						columns: ['log', 'lines lost, %', '99 % alone', '99 % flooded', 'longest, flooded', 'flood, msg/s'],
						rows,
					},
				],
				figures: [],
				notes: [
					...notes,
					'The flood and the victim are unthrottled senders in the sense of syslog(3): they block while the queue is full. The POG of the neighbour overwrites its own oldest lines, counted.',
					await kernelNotes(program),
				],
			}
		} finally {
			for (const peer of peers) await peer.stop()
			await service.stop()
		}
	},
}
