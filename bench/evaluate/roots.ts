/**
 * Root file systems for containers: a small one of busybox, and one with this machine's own programs.
 *
 * The latter is a skeleton whose /usr is bound, read-only, from the host: what a container runs is what Debian ships, and nothing is
 * copied or downloaded. Invariant: nothing of the host that a container could write to is in it.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { BUILD } from '../harness/build.ts'
import { run } from '../harness/process.ts'

const DIRECTORIES = [
	'proc',
	'sys',
	'dev',
	'etc',
	'run',
	'tmp',
	'root',
	'srv',
	'var/log',
	'var/lib',
	'var/cache',
	'var/www',
	'data',
]
const ETC = [
	'apache2',
	'mysql',
	'alternatives',
	'mime.types',
	'ld.so.cache',
	'ld.so.conf',
	'nsswitch.conf',
	'passwd',
	'group',
]

const skeleton = (root: string): void => {
	for (const directory of DIRECTORIES) mkdirSync(path.join(root, directory), { recursive: true })
	writeFileSync(path.join(root, 'etc/hostname'), 'container\n')
}

/** Where busybox is; bench/install-packages.sh and the tests' own script each bring one. */
export const busyboxProgram = (): string => {
	const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache')
	const places = [path.join(BUILD, 'peers/busybox/bin/busybox'), path.join(cache, 'pogs/bin/busybox')]
	const found = places.find(place => existsSync(place))
	if (found === undefined) throw new Error('No busybox here: run bench/install-packages.sh')
	return found
}

/** Busybox and nothing else. */
export const busyboxRoot = async (root: string): Promise<string> => {
	skeleton(root)
	mkdirSync(path.join(root, 'bin'))
	copyFileSync(busyboxProgram(), path.join(root, 'bin/busybox'))
	const { stdout } = await run([busyboxProgram(), '--list'])
	for (const applet of stdout.trim().split('\n'))
		if (applet !== 'busybox') symlinkSync('busybox', path.join(root, 'bin', applet))
	writeFileSync(path.join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
	writeFileSync(path.join(root, 'etc/group'), 'root:x:0:\n')
	mkdirSync(path.join(root, 'var/www'), { recursive: true })
	writeFileSync(path.join(root, 'var/www/index.html'), `<html><body>${'It works. '.repeat(20)}</body></html>\n`)
	return root
}

/** The mount that goes with `hostRoot`. */
export const HOST_USR = { destination: '/usr', source: '/usr', options: ['rbind', 'ro'] } as const

/** This machine's /usr (to be bound there) and what of its /etc the workloads read. */
export const hostRoot = (root: string): string => {
	skeleton(root)
	mkdirSync(path.join(root, 'usr'))
	for (const name of ['bin', 'sbin', 'lib', 'lib64'])
		if (existsSync(`/usr/${name}`)) symlinkSync(`usr/${name}`, path.join(root, name))
	for (const name of ETC)
		if (existsSync(`/etc/${name}`))
			cpSync(`/etc/${name}`, path.join(root, 'etc', name), { recursive: true, verbatimSymlinks: true })
	mkdirSync(path.join(root, 'var/www/html'), { recursive: true })
	writeFileSync(path.join(root, 'var/www/html/index.html'), `<html><body>${'It works. '.repeat(40)}</body></html>\n`)
	return root
}
