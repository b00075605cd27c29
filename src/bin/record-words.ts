/**
 * The words of pogctl about records and events: logs, events, top, write.
 */
import type { Command } from 'commander'
import {
	parseCount,
	parseDelay,
	parseFacilities,
	parseName,
	parsePriority,
	parseSeverity,
	parseSince,
} from '../control/command/arguments.ts'
import type { Priority } from '../control/command/arguments.ts'
import { EXIT } from '../control/command/context.ts'
import type { EventsOptions } from '../control/command/events.ts'
import type { TopOptions } from '../control/command/top.ts'
import { collecting, contextOf, exit, leaf, taking } from './frame.ts'

const takingMoment = taking(word => parseSince(word, Date.now()))

interface LogsFlags {
	all?: boolean
	pog?: string[]
	until?: number
	grep?: string
	follow?: boolean
	lines?: number
	since?: number
	facility?: number[]
	severity?: number
	previous?: boolean
	color: boolean
}

interface TopFlags extends TopOptions {
	color: boolean
}

/** Adds them, in the order of `--help`. */
export function addRecordWords(program: Command): void {
	leaf(
		program,
		'logs',
		'print the records of a POG',
		'pogctl logs web -f',
		'pogctl logs web -n 20 --severity warning',
		'pogctl logs web --previous',
		'pogctl logs --all -f --severity err',
		'pogctl logs --pog web --pog db --since 10m --grep "connection refused"',
	)
		.argument('[name]', 'POG', taking(parseName))
		.option('-f, --follow', 'go on with new records until interrupted')
		.option('-n, --lines <n>', 'only the last N that match', taking(parseCount))
		.option('--since <time>', 'not older: 10m, 2h, 2025-11-21T22:00:01Z, epoch seconds', takingMoment)
		.option('--until <time>', 'not newer, in the same forms; -f ends there', takingMoment)
		.option('--facility <names>', 'only these facilities, by comma', taking(parseFacilities))
		.option('--severity <name>', 'this severity and more severe ones', taking(parseSeverity))
		.option('--grep <text>', 'only with this in the text or the tag; case counts when it has capitals')
		.option('--previous', 'of the last life of a container that was started again, while it is retained')
		.option('--all', 'all POGs and the host, merged by time')
		.option('--pog <name>', 'of all only this POG, or the host; may be repeated', collecting(parseName))
		.option('--no-color', 'no colours on a terminal (NO_COLOR)')
		.action(async (name: string | undefined, options: LogsFlags, command: Command) => {
			const merged = options.all === true || options.pog !== undefined
			if ((name === undefined) !== merged) command.error('error: name one POG, or give --all or --pog')
			if (merged && options.previous === true) command.error('error: --previous is of one POG')
			process.on('SIGINT', () => process.exit(EXIT.sigint))
			const { logs } = await import('../control/command/logs.ts')
			exit.code = await logs(contextOf(command, options.color), name, options)
		})

	leaf(
		program,
		'events',
		'print what happened to POGs: created, started, configured, drops, exited, removed',
		'pogctl events -f',
		'pogctl events --pog web --since 1h --json',
	)
		.option('-f, --follow', 'go on with new events until interrupted')
		.option('-n, --lines <n>', 'only the last N that match', taking(parseCount))
		.option('--since <time>', 'not older, as for logs', takingMoment)
		.option('--pog <name>', 'only of this POG; may be repeated', collecting(parseName))
		.action(async (options: EventsOptions, command: Command) => {
			process.on('SIGINT', () => process.exit(EXIT.sigint))
			const { events } = await import('../control/command/events.ts')
			exit.code = await events(contextOf(command), options)
		})

	leaf(
		program,
		'top',
		'a live table of POGs: rate, ring, drops, newest record; q quits',
		'pogctl top',
		'pogctl top --once --json',
	)
		.option('-d, --delay <seconds>', 'between two looks (default: 1)', taking(parseDelay))
		.option('--once', 'print one table and end, as without a terminal')
		.option('--no-color', 'no colours on a terminal (NO_COLOR)')
		.action(async (options: TopFlags, command: Command) => {
			const { top } = await import('../control/command/top.ts')
			exit.code = await top(contextOf(command, options.color), options)
		})

	leaf(
		program,
		'write',
		'write a record, or one for each line of stdin',
		'pogctl write web -p local0.err "disk is full"',
		'dmesg | pogctl write web -t dmesg',
	)
		.argument('<name>', 'POG', taking(parseName))
		.argument('[text...]', 'the message (default: lines of stdin)')
		.option('-p, --priority <priority>', 'FACILITY.SEVERITY (default: user.notice)', taking(parsePriority))
		.option('-t, --tag <tag>', 'name of the program', 'pogctl')
		.action(async (name: string, words: string[], options: { priority?: Priority; tag: string }, command: Command) => {
			const { write } = await import('../control/command/logs.ts')
			exit.code = await write(contextOf(command), name, words, { tag: options.tag, ...options.priority })
		})
}
