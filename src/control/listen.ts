/**
 * A Unix socket of one's own at a path: unix(7).
 *
 * Invariants: nobody else can connect at any moment (the socket is made in a private directory, given mode 0600, then moved in
 * place, without touching the process's umask, which other threads share); a socket that somebody answers on is never
 * replaced; a stale one is.
 */
import { chmod, link, lstat, mkdir, mkdtemp, rm, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { socketPathProblem } from './calls.ts'

/** Removes what `listenAt` made. */
export type Unlisten = () => Promise<void>

/** Listens at `path` (its directory is made, 0700, when missing); the way to undo it, or what stands against it. */
export async function listenAt(server: Server, path: string): Promise<{ value: Unlisten } | { problem: string }> {
	const directory = dirname(path)
	// The path it is made at is longer than the one it gets.
	const tooLong = socketPathProblem(path) ?? socketPathProblem(join(directory, '.api-XXXXXX', 's'))
	if (tooLong !== undefined) return { problem: tooLong }
	try {
		await mkdir(directory, { recursive: true, mode: 0o700 })
		const taken = await freePath(path)
		if (taken !== undefined) return { problem: taken }
		const workshop = await mkdtemp(join(directory, '.api-'))
		try {
			const made = join(workshop, 's')
			await listening(server, made)
			await chmod(made, 0o600)
			await link(made, path)
			const { ino } = await lstat(made)
			return { value: () => unlinkSame(path, ino) }
		} finally {
			await rm(workshop, { recursive: true, force: true })
		}
	} catch (error) {
		if (server.listening) server.close()
		const message = error instanceof Error ? error.message : String(error)
		return { problem: `Cannot listen at "${path}": ${message}` }
	}
}

/** Undefined when the path is free, or was made free; else why it is not. */
async function freePath(path: string): Promise<string | undefined> {
	const stat = await lstat(path).catch(() => null)
	if (stat === null) return undefined
	if (!stat.isSocket()) return `Cannot listen at "${path}": there is something else that is no socket; move it away`
	if (await answers(path)) {
		return `Cannot listen at "${path}": another pogshim answers there; stop it or choose another --run-dir`
	}
	await unlinkSame(path, stat.ino)
	return undefined
}

/** Whether somebody listens: a stale socket refuses (ECONNREFUSED). */
function answers(path: string): Promise<boolean> {
	return new Promise(resolve => {
		const socket = connect(path)
		socket.once('connect', () => {
			socket.destroy()
			resolve(true)
		})
		socket.once('error', (error: NodeJS.ErrnoException) => {
			resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
		})
	})
}

/** Serves a socket that already listens; whoever handed it over removes it. */
export async function listenOn(server: Server, fd: number): Promise<{ value: Unlisten } | { problem: string }> {
	try {
		await listening(server, { fd })
		return { value: () => Promise.resolve() }
	} catch (error) {
		return { problem: `Cannot serve descriptor ${fd}: ${error instanceof Error ? error.message : String(error)}` }
	}
}

function listening(server: Server, where: string | { fd: number }): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once('error', reject)
		server.listen(where, () => {
			server.off('error', reject)
			resolve()
		})
	})
}

async function unlinkSame(path: string, ino: number): Promise<void> {
	const stat = await lstat(path).catch(() => null)
	if (stat?.ino === ino) await unlink(path).catch(() => undefined)
}
