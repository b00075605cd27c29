/** The command line of pogshim (commander): its options and their help. Exits with 2 for wrong usage. */
import { Command, Option } from 'commander'
import { TRANSPORTS } from '../engine/transports.ts'
import { readVersion } from '../lib/version.ts'
import { DEFAULT_ETC_DIR, defaultRunDir, type EngineOptions } from './accepted-options.ts'

const EXIT_USAGE = 2

/** Reads the command line; ends the process when it is wrong, or when help was asked for. */
export function parseWords(argv: readonly string[]): EngineOptions {
	return new Command('pogshim')
		.description('Serves a private system log (POG) to every container, on a stock kernel.')
		.version(readVersion())
		.option('--run-dir <dir>', 'where the API socket, the mounts and the stores are', defaultRunDir(process.env))
		.option('--etc-dir <dir>', "the host's policy: pogs.conf and syslog.conf, obeyed at every change", DEFAULT_ETC_DIR)
		.addOption(
			new Option('--transport <name>', 'how files are served: docs/transports.md')
				.choices(TRANSPORTS)
				.default('kernel'),
		)
		.option(
			'--engine',
			'serve without a keeper of our own: for who keeps the descriptors as systemd does, and starts it again',
		)
		.option('--check-state', 'say whether this version could take over from the one that runs, and end')
		.addHelpText('after', '\nStop it with SIGTERM or ^C. "pogctl --help" tells what to do with it.')
		.exitOverride(error => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE))
		.parse(argv, { from: 'user' })
		.opts<EngineOptions>()
}
