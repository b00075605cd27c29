#!/usr/bin/env node
/**
 * pogctl: manages all POGs of one service from the host. This file and those beside it hold the words of the command line (commander),
 * their help and the exit codes; what a command does is in `control/command/`, loaded when it is asked for, so that `--help` and `ls` are quick.
 *
 * Exit codes: 0 done; 1 it failed, or a check found errors; 2 wrong usage; 3 no service; `run` has its command's own.
 */
import { Command, CommanderError } from 'commander'
import { parseName, parseOwner, parseParts, parsePid, parseQuota, parseRing } from '../control/command/arguments.ts'
import { EXIT, fail } from '../control/command/context.ts'
import type { CreateOptions } from '../control/command/pogs.ts'
import type { AttachRequest } from '../control/service.ts'
import { readVersion } from '../lib/version.ts'
import { contextOf, examples, exit, leaf, taking, withGlobals, writeErr } from './frame.ts'
import { addRecordWords } from './record-words.ts'

const program = withGlobals(new Command('pogctl'))
	.description('Manage private container logs: every container has a POG, its own system log.')
	.version(readVersion(), '-V, --version', 'print the version')
	.helpOption('-h, --help', 'print help')
	.helpCommand('help [command]', 'print help for a command')
	.enablePositionalOptions()
	.showHelpAfterError('(pogctl --help tells more)')
	.configureHelp({ showGlobalOptions: false })
	.addHelpText(
		'after',
		`${examples('pogctl run -- sh', 'pogctl ls', 'pogctl logs web -f')}
Exit codes: 0 done, 1 failed or errors found, 2 wrong usage, 3 service not reachable;
run passes on the exit code of its command (125 to 127: it did not start).
`,
	)

leaf(
	program,
	'create',
	'create a POG and print the paths to bind into its container',
	'pogctl create web',
	'pogctl create web --ring 1m --conf web.syslog.conf --json',
)
	.argument('<name>', 'name: 1 to 64 of A-Z a-z 0-9 . _ -', taking(parseName))
	.option('--ring <size>', 'text bytes of the ring, 64k to 64m', taking(parseRing))
	.option('--conf <file>', 'its syslog.conf, - for stdin (default: the one of the host)')
	.option('--hostname <name>', 'host name in its log lines (default: the name)')
	.option('--container <id>', 'container it belongs to')
	.option('--quota <size>', 'bytes for the own files of the container below /var/log', taking(parseQuota))
	.option('--owner <uid:gid>', 'host ids that root of the container has', taking(parseOwner))
	.action(async (name: string, options: CreateOptions, command: Command) => {
		const { create } = await import('../control/command/pogs.ts')
		exit.code = await create(contextOf(command), name, options)
	})

leaf(program, 'rm', 'remove POGs and their records', 'pogctl rm web db')
	.argument('<name...>', 'POGs')
	.action(async (names: string[], _options: unknown, command: Command) => {
		const { remove } = await import('../control/command/pogs.ts')
		exit.code = await remove(contextOf(command), names)
	})

leaf(program, 'ls', 'list POGs; the host is 0', 'pogctl ls', 'pogctl ls --json | jq -r ".[].name"').action(
	async (_options: unknown, command: Command) => {
		const { list } = await import('../control/command/pogs.ts')
		exit.code = await list(contextOf(command))
	},
)

leaf(program, 'show', 'show one POG in full, or the service', 'pogctl show web', 'pogctl show --json')
	.argument('[name]', 'POG (default: the service itself)', taking(parseName))
	.action(async (name: string | undefined, _options: unknown, command: Command) => {
		const { show } = await import('../control/command/pogs.ts')
		exit.code = await show(contextOf(command), name)
	})

addRecordWords(program)

leaf(program, 'clear', 'empty the views of a POG', 'pogctl clear web')
	.argument('<name>', 'POG', taking(parseName))
	.action(async (name: string, _options: unknown, command: Command) => {
		const { clear } = await import('../control/command/pogs.ts')
		exit.code = await clear(contextOf(command), name)
	})

leaf(program, 'resize', 'change the size of the ring; the newest records stay', 'pogctl resize web 1m')
	.argument('<name>', 'POG', taking(parseName))
	.argument('<size>', '64k to 64m', taking(parseRing))
	.action(async (name: string, sizeBytes: number, _options: unknown, command: Command) => {
		const { resize } = await import('../control/command/pogs.ts')
		exit.code = await resize(contextOf(command), name, sizeBytes)
	})

leaf(
	program,
	'attach',
	'mount a POG in a container that runs; it is made when there is none of that name',
	'pogctl attach web --pid 4711',
	'pogctl attach web --pid 4711 --parts kmsg,devlog',
)
	.argument('<name>', 'POG', taking(parseName))
	.requiredOption('--pid <pid>', 'a process of the container, as the host sees it', taking(parsePid))
	.option('--parts <list>', 'of kmsg, devlog, varlog, conf (default: all)', taking(parseParts))
	.action(async (name: string, options: AttachRequest, command: Command) => {
		const { attach } = await import('../control/command/pogs.ts')
		exit.code = await attach(contextOf(command), name, options)
	})

leaf(program, 'detach', 'take a POG out of its container; the POG stays', 'pogctl detach web')
	.argument('<name>', 'POG', taking(parseName))
	.action(async (name: string, _options: unknown, command: Command) => {
		const { detach } = await import('../control/command/pogs.ts')
		exit.code = await detach(contextOf(command), name)
	})

interface InstallFlags {
	dryRun?: boolean
	optIn?: boolean
	root?: string
}

leaf(
	program,
	'install',
	'let a container engine give its containers POGs: shows the change, keeps a backup',
	'pogctl install docker --dry-run',
	'pogctl install podman',
)
	.argument('<engine>', 'docker, podman, containerd, crio, lxc, systemd, hooks (OCI hooks.d) or cdi')
	.option('-n, --dry-run', 'show the change, write nothing')
	.option('--opt-in', 'leave the default runtime of the engine as it is')
	.option('--root <dir>', 'the root directory of another system')
	.action(async (engine: string, options: InstallFlags, command: Command) => {
		const { install } = await import('../control/command/install.ts')
		exit.code = await install(contextOf(command), engine, options)
	})

leaf(program, 'uninstall', 'take POGs out of the configuration of an engine', 'pogctl uninstall docker')
	.argument('<engine>', 'as for install')
	.option('-n, --dry-run', 'show the change, write nothing')
	.option('--root <dir>', 'the root directory of another system')
	.action(async (engine: string, options: InstallFlags, command: Command) => {
		const { uninstall } = await import('../control/command/install.ts')
		exit.code = await uninstall(contextOf(command), engine, options)
	})

leaf(program, 'upgrade', 'let the version of pogshim that is installed now take over', 'pogctl upgrade')
	.option('--no-wait', 'end as soon as it is going to, without waiting until it has')
	.action(async ({ wait }: { wait: boolean }, command: Command) => {
		const { upgrade } = await import('../control/command/upgrade.ts')
		exit.code = await upgrade(contextOf(command), wait)
	})

leaf(
	program,
	'doctor',
	'what this host can do for POGs and what is missing, with the remedy',
	'pogctl doctor',
	'pogctl doctor --isolation',
)
	.option('--isolation', 'show that no container reads the log of another one or of the host: docs/security.md')
	.action(async ({ isolation }: { isolation?: boolean }, command: Command) => {
		const context = contextOf(command)
		if (isolation === true) {
			const { doctorIsolation } = await import('../control/command/isolation.ts')
			exit.code = await doctorIsolation(context)
			return
		}
		const { doctor } = await import('../control/command/doctor.ts')
		exit.code = await doctor(context)
	})

const conf = withGlobals(program.command('conf')).description('read, set, edit and check the syslog.conf of a POG')

leaf(conf, 'get', 'print the configuration', 'pogctl conf get web > web.conf')
	.argument('<name>', 'POG', taking(parseName))
	.action(async (name: string, _options: unknown, command: Command) => {
		const { getConf } = await import('../control/command/conf.ts')
		exit.code = await getConf(contextOf(command), name)
	})

leaf(conf, 'set', 'set the configuration; exit code 1 when lines were skipped', 'pogctl conf set web web.conf')
	.argument('<name>', 'POG', taking(parseName))
	.argument('<file>', 'file, - for stdin')
	.action(async (name: string, file: string, _options: unknown, command: Command) => {
		const { setConf } = await import('../control/command/conf.ts')
		exit.code = await setConf(contextOf(command), name, file)
	})

leaf(conf, 'edit', 'edit the configuration with $VISUAL, $EDITOR or vi', 'EDITOR=nano pogctl conf edit web')
	.argument('<name>', 'POG', taking(parseName))
	.action(async (name: string, _options: unknown, command: Command) => {
		const { editConf } = await import('../control/command/conf.ts')
		exit.code = await editConf(contextOf(command), name)
	})

leaf(
	conf,
	'check',
	'check a file without a service; exit code 1 on errors',
	'pogctl conf check web.conf --verbose',
	'pogctl conf get web | pogctl conf check -',
)
	.argument('<file>', 'file, - for stdin')
	.option('-v, --verbose', 'print the table of rules too')
	.action(async (file: string, options: { verbose?: boolean }, command: Command) => {
		const { checkConf } = await import('../control/command/conf.ts')
		exit.code = await checkConf(contextOf(command), file, options)
	})

leaf(conf, 'reset', 'back to the configuration of the host', 'pogctl conf reset web')
	.argument('<name>', 'POG', taking(parseName))
	.action(async (name: string, _options: unknown, command: Command) => {
		const { resetConf } = await import('../control/command/conf.ts')
		exit.code = await resetConf(contextOf(command), name)
	})

interface RunFlags {
	name?: string
	rootfs?: string
	ring?: number
	conf?: string
	hostname?: string
	rm?: boolean
	keep?: boolean
}

leaf(
	program,
	'run',
	'run a command in fresh namespaces with a POG of its own, no container runtime needed',
	'pogctl run -- sh',
	'pogctl run --name web --rootfs /srv/web --ring 1m -- httpd -f',
)
	.argument('<command...>', 'command and its arguments')
	.option('--name <name>', 'name of the POG (default: made up)', taking(parseName))
	.option('--rootfs <dir>', 'root file system (default: the one of the host)')
	.option('--ring <size>', 'text bytes of the ring, 64k to 64m', taking(parseRing))
	.option('--conf <file>', 'its syslog.conf, - for stdin')
	.option('--hostname <name>', 'host name of the container (default: the name)')
	.option('--rm', 'remove the POG at the end (this is the default)')
	.option('--keep', 'keep the POG and its records at the end')
	.passThroughOptions()
	.action(async (words: string[], options: RunFlags, command: Command) => {
		const context = contextOf(command)
		const { rm: _isDefault, conf, ring, keep = false, ...named } = options
		const input = conf === undefined ? undefined : await (await import('../control/command/pogs.ts')).readInput(conf)
		if (input !== undefined && 'problem' in input) {
			fail(context, { status: 1, message: input.problem })
			exit.code = EXIT.runFailed
			return
		}
		const { runCommand } = await import('../attach/run.ts')
		exit.code = await runCommand({
			runDir: context.runDir,
			keep,
			command: words,
			...named,
			...(ring !== undefined && { ringBytes: ring }),
			...(input !== undefined && { confText: input.text }),
		})
	})

/** All levels report in our way, and leave the exit code to us. */
function configure(command: Command): void {
	if (wantsJson()) command.showHelpAfterError(false)
	command.exitOverride().configureOutput({
		outputError: (text, print) => {
			if (!wantsJson()) print(text)
			else if (text.startsWith('error: '))
				fail({ json: true, err: writeErr }, { status: 0, message: text.slice(7).trim() })
		},
	})
	for (const child of command.commands) configure(child)
}

/** Wrong usage is told before the options are read: look at the words before any `--`. */
function wantsJson(): boolean {
	const words = process.argv.slice(2)
	const end = words.indexOf('--')
	return words.slice(0, end === -1 ? words.length : end).includes('--json')
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
	// The reader has gone, as in `pogctl logs web | head`: end as a program that SIGPIPE ends.
	process.exit(error.code === 'EPIPE' ? EXIT.sigpipe : EXIT.failed)
})

configure(program)
try {
	await program.parseAsync()
} catch (error) {
	if (!(error instanceof CommanderError)) throw error
	exit.code = error.exitCode === 0 ? EXIT.ok : EXIT.usage
}
// What is still on its way to a pipe leaves before the process does.
process.stdout.write('', () => process.exit(exit.code))
