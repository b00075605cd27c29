/**
 * The engine of pogshim: its signals and exit codes. One that takes over from another has no time: its data plane starts first,
 * and its options were found good before.
 */
import type { Service } from '../engine/serve.ts'
import { raiseMainThread } from '../engine/priority.ts'
import { startShardThread } from '../engine/shard-worker.ts'
import { LEAVE_SIGNAL } from '../lib/leave-signal.ts'
import { acceptedOptions } from './accepted-options.ts'

const EXIT_FAILED = 1
/** What containers see has the modes that we give it; a service manager's UMask=, or a careful shell's, is not about that. */
const UMASK = 0o022

process.umask(UMASK)
const argv = process.argv.slice(2)
const standsBy = process.env['POGS_STANDBY'] !== undefined
const takesOver = standsBy || Number(process.env['LISTEN_FDS'] ?? 0) > 0
const options = takesOver ? acceptedOptions(argv, process.env) : (await import('./pogshim-words.ts')).parseWords(argv)
const program = process.env['POGS_PROGRAM'] ?? process.argv[1] ?? ''
delete process.env['POGS_PROGRAM']
const keeper = process.env['POGS_KEEPER']
delete process.env['POGS_KEEPER']
if (options.checkState === true) {
	const { checkState } = await import('../engine/upgrade.ts')
	const state = checkState(options.runDir)
	if ('problem' in state) process.stderr.write(`${state.problem}\n`)
	else process.stdout.write(`${state.value}\n`)
	process.exit('problem' in state ? EXIT_FAILED : 0)
}
if (!standsBy) raiseMainThread(takesOver)
const shardThread = takesOver && options.transport === 'kernel' ? startShardThread() : undefined

const { afterDeath, receiveUpbringing } = await import('../engine/standby.ts')
const { stderrLog } = await import('../engine/log.ts')
const { serve } = await import('../engine/serve.ts')

const log = stderrLog()
const phases = new Map<string, number>()
let service: Service | undefined
let asked: NodeJS.Signals | undefined
let stopping = false
// Before there is anything to give back: a signal in the middle of the start waits for its end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
process.on(LEAVE_SIGNAL, stop)

const upbringing = await receiveUpbringing(process.env, phases)
if (standsBy) raiseMainThread(true)
const started = await serve({
	...options,
	log,
	shardThread,
	leader: Number(keeper ?? process.pid),
	program,
	onReplaced: () => process.exit(0),
	upbringing,
	phases,
	onFatal(cause) {
		log('error', 'the data plane ended', { cause: String(cause instanceof Error ? cause.stack : cause) })
		process.exit(EXIT_FAILED)
	},
})
if ('problem' in started) {
	log('error', started.problem)
	process.exit(EXIT_FAILED)
}
service = started.value
if (!takesOver) process.stdout.write(`pogshim ready run-dir=${options.runDir} pid=${keeper ?? process.pid}\n`)
else log('info', 'took over', { restarts: service.restarts, pid: process.pid, ...afterDeath(phases) })

if (asked !== undefined) stop(asked)

function stop(signal: NodeJS.Signals): void {
	asked ??= signal
	if (stopping || service === undefined) return
	stopping = true
	void end(service, signal)
}

async function end(running: Service, signal: NodeJS.Signals): Promise<void> {
	if (signal === LEAVE_SIGNAL) {
		const why = await running.leave()
		// `onReplaced` ends the process.
		if (why === undefined) return
		log('error', 'cannot leave the logs to the next start: they end', { why })
	}
	log('info', 'stopping', { signal })
	running.stop().then(
		() => process.exit(0),
		(cause: unknown) => {
			log('error', 'could not stop cleanly', { cause: String(cause) })
			process.exit(EXIT_FAILED)
		},
	)
}
