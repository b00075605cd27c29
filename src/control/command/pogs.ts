/**
 * The commands about POGs as a whole: create, rm, ls, show, clear, resize, attach, detach.
 *
 * Each answers its exit code. The bind sources that `create` and `show` print are the contract with whoever starts the container.
 */
import { readFile } from 'node:fs/promises'
import { DENIED_REASONS, DROP_REASONS, ORIGINS } from '../../pog/info.ts'
import type { DeniedReason, DropReason, PogInfo, PogPaths } from '../../pog/info.ts'
import { formatSize } from '../../lib/size.ts'
import { HOST_SYSLOG_WORDS } from './host-syslog-words.ts'
import type { Answered } from '../client.ts'
import type { AttachReport, AttachRequest, PogSpec, ServiceInfo } from '../service.ts'
import { countDiagnostics, EXIT, fail, failHere, printDiagnostics, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { renderPairs, renderTable } from './table.ts'

/** Where each source belongs in the container. */
const TARGETS: readonly (readonly [keyof PogPaths, string])[] = [
	['varLog', '/var/log'],
	['procKmsg', '/proc/kmsg'],
	['devKmsg', '/dev/kmsg'],
	['devLog', '/dev/log'],
	['syslogConf', '/etc/syslog.conf'],
	['runPog', '/run/pog'],
]

export interface CreateOptions {
	container?: string
	ring?: number
	quota?: number
	hostname?: string
	conf?: string
	owner?: { uid: number; gid: number }
}

/** Creates a POG and tells the paths to bind. */
export async function create(context: Context, name: string, options: CreateOptions): Promise<number> {
	const conf = options.conf === undefined ? undefined : await readInput(options.conf)
	if (conf !== undefined && 'problem' in conf) return failHere(context, conf.problem)
	const body: PogSpec = {
		name,
		...(options.container !== undefined && { containerId: options.container }),
		...(options.ring !== undefined && { ringBytes: options.ring }),
		...(options.quota !== undefined && { quotaBytes: options.quota }),
		...(options.hostname !== undefined && { hostname: options.hostname }),
		...(options.owner !== undefined && { owner: options.owner }),
		...(conf !== undefined && { conf: conf.text }),
	}
	const answer = await context.client.call('create', { body })
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) {
		await printJson(context, answer.value)
	} else {
		const { id, ring, paths } = answer.value
		await printLines(context, [
			`Created ${name}: POG ${id}, ring ${formatSize(ring.sizeBytes)}. Bind into its container:`,
		])
		await printLines(context, bindLines(paths))
		printDiagnostics(context, answer.value.conf.diagnostics)
	}
	return EXIT.ok
}

/** Removes POGs; goes on after a failure, and exits as the worst one. */
export async function remove(context: Context, names: readonly string[]): Promise<number> {
	const removed: string[] = []
	let code: number = EXIT.ok
	for (const name of names) {
		const answer = await context.client.call('remove', { params: { name } })
		if ('failure' in answer) code = Math.max(code, fail(context, answer.failure))
		else removed.push(name)
		if (code === EXIT.unreachable) break
	}
	if (context.json) await printJson(context, { removed })
	else await printLines(context, removed)
	return code
}

/** The POG table, the host first. */
export async function list(context: Context): Promise<number> {
	const answer = await context.client.call('list', {})
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) {
		await printJson(context, answer.value)
		return EXIT.ok
	}
	const columns = [
		{ title: 'POG', align: 'right' },
		{ title: 'NAME' },
		{ title: 'CONTAINER' },
		{ title: 'STATUS' },
		{ title: 'RING', align: 'right' },
		{ title: 'RECORDS', align: 'right' },
		{ title: 'DROPS', align: 'right' },
		{ title: 'CONF' },
	] as const
	await printLines(context, renderTable(columns, answer.value.map(listRow)))
	const exposed = answer.value.find(pog => pog.hostSyslog !== undefined)
	if (exposed !== undefined)
		context.err(`! syslog(2) shows the host's kernel log: "pogctl show ${exposed.name}" says why, and what helps\n`)
	return EXIT.ok
}

function listRow(pog: PogInfo): string[] {
	const problems = countDiagnostics(pog.conf.diagnostics)
	return [
		String(pog.id),
		pog.name,
		pog.containerId === '' ? '-' : pog.containerId.slice(0, 12),
		pog.hostSyslog === undefined ? pog.status : `${pog.status}!`,
		`${formatSize(pog.ring.usedBytes)}/${formatSize(pog.ring.sizeBytes)}`,
		String(pog.ring.records),
		String(sum(pog.drops)),
		problems === '' ? pog.conf.state : `${pog.conf.state} (${problems})`,
	]
}

/** One POG in full, or the service when no name is given. */
export async function show(context: Context, name: string | undefined): Promise<number> {
	if (name === undefined) {
		const answer = await context.client.call('describe', {})
		if ('failure' in answer) return fail(context, answer.failure)
		if (context.json) await printJson(context, answer.value)
		else await printLines(context, serviceLines(answer.value))
		return EXIT.ok
	}
	const answer = await context.client.call('show', { params: { name } })
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) await printJson(context, answer.value)
	else await printLines(context, pogLines(answer.value))
	return EXIT.ok
}

/** Empties the views of a POG. */
export async function clear(context: Context, name: string): Promise<number> {
	const answer = await context.client.call('clear', { params: { name } })
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) await printJson(context, { cleared: name })
	return EXIT.ok
}

/** Gives the ring another size; the newest records stay. */
export async function resize(context: Context, name: string, sizeBytes: number): Promise<number> {
	const answer = await context.client.call('resize', { params: { name }, body: { sizeBytes } })
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) await printJson(context, answer.value)
	else await printLines(context, [`${name}: ring ${formatSize(answer.value.ring.sizeBytes)}`])
	return EXIT.ok
}

/** Mounts a POG in a running container. What could not be mounted is told, with exit code 1; what stays open, as a warning. */
export async function attach(context: Context, name: string, request: AttachRequest): Promise<number> {
	const answer = await context.client.call('attach', { params: { name }, body: request })
	const code = await report(context, answer, 'mounted')
	if ('failure' in answer || answer.value.hostSyslog === undefined || context.json) return code
	const { found, remedy } = HOST_SYSLOG_WORDS[answer.value.hostSyslog]
	context.err(`pogctl: warning: syslog(2) ${found}\n  -> ${remedy}\n`)
	return code
}

/** Takes a POG out of its container. */
export async function detach(context: Context, name: string): Promise<number> {
	return report(context, await context.client.call('detach', { params: { name } }), 'unmounted')
}

async function report(context: Context, answer: Answered<AttachReport>, word: string): Promise<number> {
	if ('failure' in answer) return fail(context, answer.failure)
	const { done, left } = answer.value
	if (context.json) await printJson(context, answer.value)
	else await printLines(context, [...done.map(path => `${word} ${path}`), ...left.map(reason => `left out: ${reason}`)])
	return left.length > 0 ? EXIT.failed : EXIT.ok
}

export interface Input {
	bytes: Uint8Array
	/** As UTF-8, which is what the API carries. */
	text: string
}

const inputOf = (bytes: Buffer): Input => ({ bytes, text: bytes.toString('utf8') })

/** All of a file, or of stdin for `-`. */
export async function readInput(file: string): Promise<Input | { problem: string }> {
	try {
		if (file !== '-') return inputOf(await readFile(file))
		const chunks: Buffer[] = []
		for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
		return inputOf(Buffer.concat(chunks))
	} catch (error) {
		return { problem: `Cannot read "${file}": ${error instanceof Error ? error.message : String(error)}` }
	}
}

function serviceLines(service: ServiceInfo): string[] {
	const features = Object.entries(service.features).map(([feature, value]) => [`  ${feature}`, String(value)] as const)
	return renderPairs([
		['Version', service.version],
		['Run directory', service.runDir],
		['Engine', `pid ${service.engine.pid}, since ${new Date(service.engine.startedAtMs).toISOString()}`],
		['Restarts', String(service.restarts)],
		['Uptime', `${Math.floor(service.uptimeMs / 1000)} s`],
		['POGs', String(service.pogs)],
		['Features', ''],
		...features,
	])
}

function pogLines(pog: PogInfo): string[] {
	const { ring, conf } = pog
	const problems = countDiagnostics(conf.diagnostics)
	const used = `${formatSize(ring.usedBytes)} of ${formatSize(ring.sizeBytes)} used`
	return [
		...renderPairs([
			['Name', pog.name],
			['POG id', String(pog.id)],
			['Status', pog.status],
			...hostSyslogLines(pog),
			...(pog.previousOf === undefined ? [] : ([['Earlier life of', pog.previousOf]] as const)),
			['Container', pog.containerId === '' ? '-' : pog.containerId],
			['Created', new Date(pog.createdAtMs).toISOString()],
			['Ring', `${used}, ${ring.records} records kept of ${ring.nextSeq}`],
			['Accepted', ORIGINS.map(origin => `${origin} ${pog.accepted[origin]}`).join(', ')],
			[
				'Configuration',
				`${conf.state}, ${conf.rules} ${conf.rules === 1 ? 'rule' : 'rules'}${problems === '' ? '' : `, ${problems}`}`,
			],
		]),
		...conf.diagnostics.map(
			({ file, line, column, level, message }) => `  ${file}:${line}:${column}: ${level}: ${message}`,
		),
		'Drops',
		...renderTable(
			[{ title: '  REASON' }, { title: 'COUNT', align: 'right' }, { title: 'MEANING' }],
			(Object.keys(DROP_REASONS) as DropReason[]).map(reason => [
				`  ${reason}`,
				String(pog.drops[reason]),
				DROP_REASONS[reason],
			]),
		),
		...deniedLines(pog),
		'Views',
		...renderTable(
			[{ title: '  FILE' }, { title: 'SIZE', align: 'right' }, { title: 'RECORDS', align: 'right' }],
			pog.views.map(view => [`  ${view.path}`, formatSize(view.sizeBytes), String(view.records)]),
		),
		'Bind',
		...bindLines(pog.paths),
	]
}

function hostSyslogLines({ hostSyslog }: PogInfo): (readonly [string, string])[] {
	if (hostSyslog === undefined) return []
	const { found, remedy } = HOST_SYSLOG_WORDS[hostSyslog]
	return [
		['syslog(2)', found],
		['', `-> ${remedy}`],
	]
}

function bindLines(paths: PogPaths): string[] {
	return renderPairs(TARGETS.map(([key, target]) => [`  ${target}`, paths[key]] as const))
}

function sum(counts: Readonly<Record<string, number>>): number {
	return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** Nothing where nothing was denied, as is usual. */
function deniedLines({ denied }: PogInfo): string[] {
	const rows = (Object.keys(DENIED_REASONS) as DeniedReason[]).filter(reason => denied[reason] > 0)
	if (rows.length === 0) return []
	const columns = [{ title: '  REASON' }, { title: 'COUNT', align: 'right' }, { title: 'MEANING' }] as const
	const cells = rows.map(reason => [`  ${reason}`, String(denied[reason]), DENIED_REASONS[reason]])
	return ['Denied', ...renderTable(columns, cells)]
}
