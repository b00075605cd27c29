/** The engine of pogshim: its options, signals and exit codes. */
import { Command, Option } from 'commander'
import { takeUpbringing } from '../engine/fd-store.ts'
import { stderrLog } from '../engine/log.ts'
import { type Transport, TRANSPORTS } from '../engine/messages.ts'
import { raisePriority } from '../engine/priority.ts'
import { serve } from '../engine/serve.ts'
import { readVersion } from '../lib/version.ts'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

const program = new Command('pogshim')
	.description('Serves a private system log (POG) to every container, on a stock kernel.')
	.version(readVersion())
	.option(
		'--run-dir <dir>',
		'where the API socket, the mounts and the stores are',
		process.env['POGS_RUN_DIR'] || '/run/pogs',
	)
	.option('--etc-dir <dir>', "the host's policy: pogs.conf and syslog.conf, obeyed at every change", '/etc/pogs')
	.addOption(
		new Option('--transport <name>', 'how files are served: docs/transports.md').choices(TRANSPORTS).default('kernel'),
	)
	.option('--engine', 'serve without a keeper of our own: for service managers that keep descriptors (systemd)')
	.addHelpText('after', '\nStop it with SIGTERM or ^C. "pogctl --help" tells what to do with it.')
	.exitOverride(error => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE))
	.parse()

const { runDir, etcDir, transport } = program.opts<{ runDir: string; etcDir: string; transport: Transport }>()
const log = stderrLog()
const keeper = process.env['POGS_KEEPER']
delete process.env['POGS_KEEPER']

raisePriority(Number(keeper ?? process.pid))

const started = await serve({
	runDir,
	etcDir,
	transport,
	log,
	upbringing: takeUpbringing(process.env, process.pid),
	onFatal(cause) {
		log('error', 'the data plane ended', { cause: String(cause instanceof Error ? cause.stack : cause) })
		process.exit(EXIT_FAILED)
	},
})
if ('problem' in started) {
	log('error', started.problem)
	process.exit(EXIT_FAILED)
}
if (started.value.restarts === 0) process.stdout.write(`pogshim ready run-dir=${runDir} pid=${keeper ?? process.pid}\n`)
else log('info', 'took over', { restarts: started.value.restarts, pid: process.pid })

let stopping = false
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
	process.on(signal, () => {
		if (stopping) return
		stopping = true
		log('info', 'stopping', { signal })
		started.value.stop().then(
			() => process.exit(0),
			(cause: unknown) => {
				log('error', 'could not stop cleanly', { cause: String(cause) })
				process.exit(EXIT_FAILED)
			},
		)
	})
}
