/**
 * Intake of /dev/log against syslog daemons: 100-byte messages of blocking senders, until the last one is logged.
 *
 * The rate counts from the moment the senders are let go to the moment the receiver has accounted for the last message: its
 * counter of accepted records (POGs), the size of its output file (rsyslogd, syslog-ng), its journal's count of entries, the end
 * of sending (busybox, whose queue holds ten). Nothing may be lost: counts are compared each time, and once with a million messages for POGs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { build, isMissing } from '../harness/build.ts'
import { type Bench, type Case, targetAt } from '../harness/case.ts'
import { type Cpu, run } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { interleave, summarise } from '../harness/statistics.ts'
import { SYSLOG_PEERS, type SyslogPeer, type SyslogPeerName, startSyslogPeer } from '../harness/syslog-peers.ts'
import type { Row } from '../harness/table.ts'

const SENDERS = [1, 4] as const
const MESSAGES = 100_000
const FEW_MESSAGES = 2_000
const ALL_MESSAGES = 1_000_000
const TARGETS: Readonly<Partial<Record<SyslogPeerName, number>>> = { busybox: 1.2, rsyslog: 3, 'syslog-ng': 6 }

/** CLOCK_MONOTONIC in seconds, the clock that devlog-send prints. */
const monotonic = (): number => Number(process.hrtime.bigint()) / 1e9

interface Receiver {
	readonly name: string
	readonly socket: string
	/** A figure that grows while messages are accounted for. */
	readonly progress: () => Promise<number>
	/** Messages accounted for so far; undefined when only the senders can tell. */
	readonly count: (() => Promise<number>) | undefined
}

const peerReceiver = ({ name, socket, progress, count }: SyslogPeer): Receiver => ({
	name,
	socket,
	progress: () => Promise.resolve(progress()),
	count: count === undefined ? undefined : () => Promise.resolve(count()),
})

/** Sends and waits; messages in a second. Throws when messages are missing. */
const intake = async (
	program: string,
	receiver: Receiver,
	senders: number,
	messages: number,
	client: Cpu,
): Promise<number> => {
	const before = (await receiver.count?.()) ?? 0
	const { stdout } = await run([program, receiver.socket, String(senders), String(messages)], client)
	const [start = 0, sent = 0] = stdout.split(' ').map(Number)
	if (receiver.count === undefined) return messages / (sent - start)
	/*
	 * The last growth that was seen is the end; when nothing grows any more at the first look, it was done when the senders
	 * were, but for a queue's worth. Quiet for 100 ms is taken for the end of all growth.
	 */
	let end = sent
	let last = await receiver.progress()
	for (let quietSince = monotonic(); monotonic() - quietSince < 0.1; ) {
		await sleep(1)
		const now = await receiver.progress()
		if (now === last) continue
		last = now
		quietSince = monotonic()
		end = quietSince
	}
	const counted = (await receiver.count()) - before
	if (counted < messages) throw new Error(`${receiver.name} lost ${messages - counted} of ${messages} messages`)
	return messages / (end - start)
}

const measure = async (
	bench: Bench,
	program: string,
	ours: Receiver,
	others: readonly [SyslogPeerName, Receiver][],
) => {
	const rows: Row[] = []
	for (const placement of bench.placements) {
		for (const senders of SENDERS) {
			bench.say(`${senders} sender(s) and receiver ${placement.name}`)
			const contestants = [ours, ...others.map(([, receiver]) => receiver)].map(receiver => ({
				name: receiver.name,
				measure: () =>
					intake(program, receiver, senders, bench.quick === true ? FEW_MESSAGES : MESSAGES, placement.client),
			}))
			const results = await interleave(contestants, bench.repeats)
			const summary = results.get(ours.name)
			for (const [key, receiver] of others) {
				const theirs = results.get(receiver.name)
				if (summary === undefined || theirs === undefined) continue
				const atLeast = TARGETS[key]
				rows.push({
					group: 'devlog',
					what: `/dev/log intake, ${senders} sender(s), ${placement.name}`,
					unit: 'msg/s',
					ours: summary,
					peer: { name: receiver.name, summary: theirs },
					ratio: summary.median / theirs.median,
					...(atLeast === undefined ? {} : targetAt(bench, placement, { atLeast })),
				})
			}
		}
	}
	return rows
}

export const devlog: Case = {
	name: 'devlog',
	about: '/dev/log intake against busybox syslogd, rsyslogd and syslog-ng',
	run: async bench => {
		const program = await build('devlog-send')
		if (isMissing(program)) return [{ group: 'devlog', what: '/dev/log intake', unit: 'msg/s', note: program.missing }]
		const rows: Row[] = []
		const peers: [SyslogPeerName, SyslogPeer][] = []
		const service = await Service.start(bench.server)
		try {
			for (const key of SYSLOG_PEERS) {
				const peer = await startSyslogPeer(key, bench.server)
				if (isMissing(peer)) rows.push({ group: 'devlog', what: '/dev/log intake', unit: 'msg/s', note: peer.missing })
				else peers.push([key, peer])
			}
			const pog = await service.create({ name: 'devlog', ringBytes: 16 << 20 })
			const accepted = async (): Promise<number> => (await service.show('devlog')).accepted.devlog
			const ours = { name: 'POGs', socket: pog.paths.devLog, progress: accepted, count: accepted }
			/* Warm: the first messages are compiled code's apprenticeship, for every contestant the same number. */
			const others = peers.map(([key, peer]): [SyslogPeerName, Receiver] => [key, peerReceiver(peer)])
			for (const receiver of [ours, ...others.map(([, receiver]) => receiver)])
				await intake(
					program.path,
					receiver,
					1,
					bench.quick === true ? FEW_MESSAGES : MESSAGES / 2,
					bench.placements[0]?.client,
				)
			rows.push(...(await measure(bench, program.path, ours, others)))
			for (const senders of bench.quick === true ? [] : SENDERS) {
				bench.say(`a million messages of ${senders} sender(s)`)
				const rate = await intake(program.path, ours, senders, ALL_MESSAGES, bench.placements[0]?.client)
				rows.push({
					group: 'devlog',
					what: `1,000,000 messages, ${senders} sender(s), nothing lost`,
					unit: 'msg/s',
					ours: summarise([rate]),
				})
			}
			return rows
		} finally {
			for (const [, peer] of peers) await peer.stop()
			await service.stop()
		}
	},
}
