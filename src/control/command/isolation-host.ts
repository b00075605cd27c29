/**
 * What the host keeps of POGs, searched from outside: the raw bytes of each POG's directory, which only its own words may be in, and the
 * whole run directory as a user who is nobody, who may see none.
 *
 *     RUN/pogs/NAME/{store/ring,store/*,state,conf-N,...}    one POG's, here NAME's
 *     RUN/{engine.json,starts/,staging*,*.sock,host/}         the service's
 *
 * Invariant: nothing is changed. The FUSE mounts (RUN/pogs/NAME/mnt) are not searched for a POG's bytes: reading /proc/kmsg there consumes.
 */
import { spawn } from 'node:child_process'
import type { Aviary, Sighting } from './canaries.ts'
import { WORD_PATTERN } from './isolation-words.ts'

/** user `nobody` of every distribution; it owns nothing. */
const NOBODY = 65_534
const PATIENCE_MS = 20_000

/** Names and bytes that look like words. `$1` is a POG's directory, `$2` what words are like. */
const RAW = `for each in "$1"/*; do
	case $each in */mnt) ;; *) find "$each" -print -type f -exec grep -aoE "$2" {} + ;; esac
done | grep -aE "$2"`

/** All paths below `$1`, which is RUN. */
const PATHS = `find "$1" -path "$1/pogs" -prune -o -print
for pog in "$1"/pogs "$1"/pogs/*; do
	echo "$pog"
	case $pog in */pogs) continue ;; esac
	find "$pog"/*
done`

/**
 * What `argv[1]` (RUN) has, asked as whoever runs it: each path that comes on standard input is listed or read and connected to; then the
 * API is asked for the records of each POG. Prints whatever it got, and at last how many paths it was refused.
 */
const PROBE = `
const fs = require('node:fs'), http = require('node:http')
const { O_RDONLY, O_NONBLOCK } = fs.constants
let refused = 0
const paths = fs.readFileSync(0, 'latin1').split('\\n').filter(Boolean)
const failed = error => { if (['EACCES', 'EPERM'].includes(error.code)) refused++ }
for (const path of paths) {
	try { console.log(path.split('/').at(-1), fs.readdirSync(path).join(' ')); continue } catch (error) {
		if (error.code !== 'ENOTDIR') { failed(error); continue } }
	try {
		const fd = fs.openSync(path, O_RDONLY | O_NONBLOCK), room = Buffer.alloc(1 << 23)
		console.log('read', room.latin1Slice(0, fs.readSync(fd, room)))
	} catch (error) { failed(error) }
}
const ask = path => new Promise(done => http.get({ socketPath: process.argv[1] + '/api.sock', path }, answer => {
	let text = ''
	answer.on('data', piece => { text += piece }).on('end', () => done({ status: answer.statusCode, text }))
}).on('error', error => done({ status: error.code, text: '' })))
void (async () => {
	const { status, text } = await ask('/v1/pogs')
	console.log('api', status, text)
	for (const { name } of status === 200 ? JSON.parse(text) : [])
		console.log((await ask('/v1/pogs/' + encodeURIComponent(name) + '/records')).text)
	console.log('refused', refused, 'of', paths.length)
})()`

/** The POGs' directories by name. */
export async function pogDirectories(runDir: string): Promise<string[]> {
	const said = await output('find', [`${runDir}/pogs`, '-mindepth', '1', '-maxdepth', '1', '-print'])
	return said
		.split('\n')
		.filter(Boolean)
		.map(path => path.slice(runDir.length + '/pogs/'.length))
		.sort()
}

/** The raw bytes of one POG's directory. The reader is the POG: words of others are foreign in it. */
export async function searchRaw(aviary: Aviary, runDir: string, name: string): Promise<Sighting> {
	return aviary.look(name, 'raw bytes', await output('sh', ['-c', RAW, 'sh', `${runDir}/pogs/${name}`, WORD_PATTERN]))
}

/**
 * The run directory as nobody, who has been told where everything is: every word is foreign. `problem`: why it could not be tried.
 */
export async function searchAsNobody(
	aviary: Aviary,
	runDir: string,
	as = NOBODY,
): Promise<Sighting | { problem: string }> {
	if (process.geteuid?.() !== 0) return { problem: 'only root can be another user' }
	const paths = await output('sh', ['-c', PATHS, 'sh', runDir])
	const said = await output(process.execPath, ['-e', PROBE, runDir], { as, input: paths }).catch(String)
	if (!/^refused \d+ of \d+$/m.test(said)) return { problem: `cannot run as user ${as}: ${said.trim().slice(-200)}` }
	return aviary.look('nobody', 'the run directory', said)
}

/** What a program prints on both outputs; it is killed after a while. Throws when it cannot be started. */
export function output(
	program: string,
	args: readonly string[],
	{ as, input = '' }: { as?: number; input?: string } = {},
): Promise<string> {
	return new Promise((resolve, reject) => {
		const child = spawn(program, [...args], {
			cwd: '/',
			stdio: ['pipe', 'pipe', 'pipe'],
			timeout: PATIENCE_MS,
			killSignal: 'SIGKILL',
			...(as === undefined ? {} : { uid: as, gid: as }),
		})
		let said = ''
		for (const stream of [child.stdout, child.stderr]) {
			stream.setEncoding('latin1').on('data', (piece: string) => {
				said += piece
			})
		}
		child.stdin.on('error', () => undefined).end(input, 'latin1')
		child.once('error', reject)
		child.once('close', () => resolve(said))
	})
}
