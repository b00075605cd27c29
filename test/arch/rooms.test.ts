/**
 * The rooms of src/ and the arrows between them, as data: what may import what. A file that needs another arrow belongs into
 * another room, or what it needs belongs lower.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import test from 'ava'

const SRC = new URL('../../src', import.meta.url).pathname

/** Every room, from the bottom up. `engine` composes all of them but the commands. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
	lib: [],
	sys: ['lib'],
	record: ['lib'],
	ring: ['lib'],
	conf: ['record', 'lib'],
	pog: ['ring', 'conf', 'record', 'lib'],
	metrics: ['pog', 'lib'],
	fuse: ['sys', 'lib'],
	vfs: ['fuse', 'pog', 'record', 'ring', 'lib'],
	ingest: ['pog', 'record', 'sys', 'lib'],
	syslog2: ['pog', 'record', 'ring', 'sys', 'lib'],
	// `pogctl logs --facility` names facilities and severities as configurations do.
	control: ['pog', 'metrics', 'conf', 'record', 'lib'],
	attach: ['pog', 'control', 'sys', 'lib'],
	keeper: ['sys', 'lib'],
	engine: [
		'attach',
		'control',
		'syslog2',
		'ingest',
		'vfs',
		'fuse',
		'metrics',
		'pog',
		'conf',
		'ring',
		'record',
		'sys',
		'lib',
	],
	bin: ['keeper', 'engine', 'control', 'attach', 'lib'],
}

/** What else only one room may do, by the module's name. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
	koffi: ['sys'],
	commander: ['bin'],
	chokidar: ['engine'],
	pino: ['engine'],
	zod: ['control', 'attach'],
	'prom-client': ['metrics'],
	'node:worker_threads': ['engine', 'attach'],
}

interface SourceFile {
	/** Below src/. */
	readonly path: string
	readonly room: string
	readonly text: string
	readonly imports: readonly string[]
}

const FILES: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
	.filter(path => /\.(ts|mjs)$/.test(path))
	.sort()
	.map(path => {
		const text = readFileSync(join(SRC, path), 'utf8')
		const imports = [...text.matchAll(/(?:^|\n)(?:import|export)\s[^'"]*?from\s*'([^']+)'|import\('([^']+)'\)/g)]
		return { path, room: path.split('/')[0] ?? '', text, imports: imports.map(match => match[1] ?? match[2] ?? '') }
	})

/** Arrows that are not in the table: `from -> to`. */
function wrongArrows(files: readonly SourceFile[]): string[] {
	const wrong: string[] = []
	for (const { path, room, imports } of files) {
		for (const target of imports) {
			if (!target.startsWith('.')) {
				const rooms = Object.entries(ONLY_IN).find(([name]) => target === name || target.startsWith(`${name}/`))?.[1]
				if (rooms !== undefined && !rooms.includes(room)) wrong.push(`${path} -> ${target}`)
				continue
			}
			const to = relative(SRC, join(SRC, dirname(path), target))
			const other = to.split('/')[0] ?? ''
			if (other !== room && MAY_IMPORT[room]?.includes(other) !== true) wrong.push(`${path} -> ${to}`)
		}
	}
	return wrong
}

test('rooms import only what is below them', t => {
	t.deepEqual(wrongArrows(FILES), [])
})

test('an arrow that points up, and a library in a room that is not its own, are found', t => {
	const file = (path: string, ...imports: string[]): SourceFile => ({
		path,
		room: path.split('/')[0] ?? '',
		text: '',
		imports,
	})
	t.deepEqual(wrongArrows([file('ring/x.ts', '../lib/a.ts', './b.ts', '../pog/c.ts')]), ['ring/x.ts -> pog/c.ts'])
	t.deepEqual(wrongArrows([file('pog/x.ts', 'koffi', 'node:fs', 'lru-cache')]), ['pog/x.ts -> koffi'])
	t.deepEqual(wrongArrows([file('control/command/x.ts', '../../vfs/a.ts')]), ['control/command/x.ts -> vfs/a.ts'])
})

/** Files that name the package of the second transport where only its adapter and those who choose a transport may. */
function knowFuseNative(files: readonly SourceFile[]): string[] {
	return files
		.filter(({ room, text }) => /fuse-native|libfuse/i.test(text) && room !== 'fuse' && room !== 'engine')
		.map(({ path }) => path)
}

test('the package fuse-native is known to its adapter and to those who choose a transport alone', t => {
	t.deepEqual(knowFuseNative(FILES), [])
	const file = { path: 'vfs/x.ts', room: 'vfs', text: "require('fuse-native')", imports: [] }
	t.deepEqual(knowFuseNative([file, { ...file, path: 'fuse/y.ts', room: 'fuse' }]), ['vfs/x.ts'])
	const loads = FILES.filter(({ text }) => /(?:require\(|import\.meta\.url\)\(|from )'fuse-native'/.test(text))
	t.deepEqual(
		loads.map(({ path }) => path),
		['fuse/native-package.ts'],
	)
})

test('every room is in the table, and arrows make no circle', t => {
	for (const { room, path } of FILES) t.true(room in MAY_IMPORT, path)
	const order = Object.keys(MAY_IMPORT)
	for (const [room, others] of Object.entries(MAY_IMPORT)) {
		for (const other of others) t.true(order.indexOf(other) < order.indexOf(room), `${room} -> ${other}`)
	}
})

/** What is wrong with the text of a file. */
function faultsOf({ path, text, imports }: SourceFile): string[] {
	const faults: string[] = []
	const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g, ' ')
	const body = text.startsWith('#!') ? text.slice(text.indexOf('\n') + 1) : text
	if (!body.startsWith('/**')) faults.push('does not open with what it is for')
	if (text.split('\n').length > 401) faults.push('is longer than 400 lines')
	if (/[^\t\n -~]/.test(text)) faults.push('is not ASCII')
	if (/(?::|<|\bas|\|)\s*any\b/.test(code)) faults.push('uses any')
	if (/\bexport default\b/.test(code)) faults.push('has a default export')
	if (/\b(?:enum|namespace)\s+\w+\s*\{/.test(code)) faults.push('has an enum or a namespace')
	if (/(?:^|\/)(?:utils|helpers|manager|common|index)\.ts$/.test(path)) faults.push('has a name that says nothing')
	for (const target of imports)
		if (target.startsWith('.') && !/\.(ts|mjs)$/.test(target)) faults.push(`imports ${target}`)
	return faults.map(fault => `${path} ${fault}`)
}

test('every file opens with what it is for, fits in the head, and keeps the habits', t => {
	t.deepEqual(FILES.flatMap(faultsOf), [])
})

test('broken habits are found', t => {
	const faults = (text: string, path = 'lib/x.ts', imports: string[] = []): string[] =>
		faultsOf({ path, room: 'lib', text, imports })
	t.deepEqual(faults('/** x */\nexport const a = 1 // any\n'), [])
	t.is(faults('import x\n').length, 1)
	t.is(faults(`/** x */${'\n'.repeat(401)}`).length, 1)
	t.is(faults('/** \u00e4 */').length, 1)
	t.is(faults('/** x */\nlet a: any\nlet b = a as any').length, 1)
	t.is(faults('/** x */\nexport default 1').length, 1)
	t.is(faults('/** x */\nenum A { b }').length, 1)
	t.is(faults('/** x */', 'lib/utils.ts').length, 1)
	t.is(faults('/** x */', 'lib/x.ts', ['./y']).length, 1)
})
