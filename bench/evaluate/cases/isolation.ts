/**
 * Tables 1 and 3: what one container can do to another one's log, in real containers of runc and of Docker.
 *
 * The rows are those of the demo (bench/demo/rows.ts). Both sides get the same: the device /dev/kmsg and CAP_SYSLOG, without which a
 * container of today has no kernel log at all. The native side is the machine's own kernel log and one rsyslogd for all, whose socket
 * and /var/log are bound into the containers; nothing clears, drains or floods the machine's log.
 */
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { Container } from '../../demo/container.ts'
import { findSyslogd, kernelLogAccess, Native } from '../../demo/native.ts'
import { FUNCTIONS, GROUPS } from '../../demo/rows.ts'
import { type Row, WORDS } from '../../demo/table.ts'
import { isMissing } from '../../harness/build.ts'
import { Service } from '../../harness/service.ts'
import { Bundles, tmpfs } from '../bundles.ts'
import type { EvaluationCase, Finding } from '../case.ts'
import { Docker } from '../docker.ts'
import { HOST_USR, hostRoot } from '../roots.ts'

/** How an engine starts the shell of a container. */
interface Engine {
	readonly name: string
	native(name: string, shared: string): readonly string[]
	pogs(name: string): readonly string[]
}

const runcEngine = async (bundles: Bundles, scratch: string): Promise<Engine> => {
	const prepare = async (name: string, pogs: boolean): Promise<void> => {
		const root = hostRoot(path.join(scratch, `root-${name}`))
		const shared = path.join(scratch, 'native-runc/native')
		const native = [
			{ destination: '/var/log', source: path.join(shared, 'log.d'), options: ['bind'] },
			{ destination: '/run/shared', source: shared, options: ['bind'] },
		]
		const mounts = [HOST_USR, tmpfs('/tmp', 'mode=1777'), ...(pogs ? [] : native)]
		const annotations = pogs ? { 'pogs.ring': '1m' } : {}
		await bundles.prepare({ name, root, args: ['sh'], pogs, mounts, kernelLog: true, annotations })
	}
	for (const name of ['red', 'blue']) {
		await prepare(name, true)
		await prepare(`native-${name}`, false)
	}
	return {
		name: 'runc',
		native: name => bundles.command(`native-${name}`, false),
		pogs: name => bundles.command(name, true),
	}
}

const dockerEngine = (docker: Docker, bundles: Bundles): Engine => {
	const common = ['-i', '--rm', '-v', '/usr:/usr:ro', '--device', '/dev/kmsg', '--cap-add', 'SYSLOG']
	return {
		name: 'Docker',
		native: (_name, shared) =>
			docker.runs(false, [...common, '-v', `${shared}:/run/shared`, '-v', `${shared}/log.d:/var/log`], ['sh']),
		pogs: name => docker.runs(true, [...common, '-e', `POGS_NAME=${bundles.id(name)}`, '-e', 'POGS_RING=1m'], ['sh']),
	}
}

const compare = async (
	engine: Engine,
	scratch: string,
	service: Service,
	bundles: Bundles,
	say: (text: string) => void,
): Promise<Row[]> => {
	const directory = path.join(scratch, `native-${engine.name.toLowerCase()}`)
	const native = new Native(directory, await findSyslogd(scratch))
	const containers: Container[] = []
	try {
		await native.start(name => engine.native(name, native.directory), 'ln -sf /run/shared/log /dev/log')
		const { red: nativeRed, blue: nativeBlue } = native
		if (nativeRed === undefined || nativeBlue === undefined) throw new Error('No native containers')
		const [red, blue] = ['red', 'blue'].map(name => new Container(name, engine.pogs(name)))
		if (red === undefined || blue === undefined) throw new Error('No containers')
		containers.push(red, blue)
		for (const each of [nativeRed, nativeBlue, red, blue]) await each.run(FUNCTIONS)
		for (const each of [red, blue]) await each.run("printf '*.* /var/log/messages\\n' >/etc/syslog.conf")
		const scene = {
			native,
			nativeRed,
			nativeBlue,
			red,
			blue,
			kernelLog: kernelLogAccess(),
			salt: randomBytes(4).toString('hex'),
			info: (name: string) => service.show(bundles.id(name)),
		}
		const rows: Row[] = []
		for (const { problems } of GROUPS)
			for (const problem of problems) {
				const { title } = problem
				say(`${engine.name}: ${title}`)
				rows.push({ title, native: await problem.native(scene), pogs: await problem.pogs(scene) })
			}
		return rows
	} finally {
		for (const container of containers) await container.stop()
		await native.stop()
	}
}

const verdicts = (row: Row | undefined): string =>
	row === undefined ? '-' : `${WORDS[row.native.verdict]} / ${WORDS[row.pogs.verdict]}`

export const isolation: EvaluationCase = {
	name: 'isolation',
	title: 'Isolation (Tables 1 and 3)',
	about:
		"Two containers, red and blue, twice: with the machine's kernel log and one rsyslogd for all, and with a POG each. Both sides have `/dev/kmsg` and `CAP_SYSLOG`. Each row does something real and looks at what came of it.",
	run: async ({ scratch, say }) => {
		const findings: Finding[] = []
		const notes: string[] = [
			'"not tried": it would have cleared, drained or flooded the log of the machine that this was taken on.',
		]
		const service = await Service.start(undefined, [], 'retain-count = 0\n')
		const bundles = new Bundles(scratch, service.runDir)
		let docker: Docker | undefined
		try {
			const engines = [await runcEngine(bundles, scratch)]
			const found = await Docker.start(scratch, service.runDir, hostRoot(path.join(scratch, 'image')))
			if (isMissing(found)) notes.push(`Docker: not tried, ${found.missing}.`)
			else {
				docker = found
				engines.push(dockerEngine(docker, bundles))
			}
			const seen = new Map<string, Row[]>()
			for (const engine of engines) {
				const rows = await compare(engine, scratch, service, bundles, say)
				seen.set(engine.name, rows)
				const count = (side: 'native' | 'pogs', verdict: string): number =>
					rows.filter(row => row[side].verdict === verdict).length
				findings.push({
					what: `isolation in containers of ${engine.name}`,
					paper: 'all isolated',
					target: 'all isolated',
					ours: `${count('pogs', 'holds')} of ${rows.length} rows hold; natively ${count('native', 'broken')} are broken, the rest not tried`,
					holds: count('pogs', 'holds') === rows.length,
				})
			}
			/* What was seen differs in nothing but figures: the words of one engine, the verdicts of all. */
			const [first = '', rows = []] = [...seen][0] ?? []
			return {
				findings,
				tables: [
					{
						title: `What was seen in containers of ${first}, and the verdicts, natively and with POGs`,
						columns: ['problem', 'the kernel log and a shared rsyslogd', 'POGs', ...seen.keys()],
						rows: rows.map(({ title, native, pogs }, at) => [
							title,
							native.saw,
							pogs.saw,
							...[...seen.values()].map(each => verdicts(each[at])),
						]),
					},
				],
				figures: [],
				notes,
			}
		} finally {
			await docker?.stop()
			await service.stop()
		}
	},
}
