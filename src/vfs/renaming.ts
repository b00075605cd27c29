/**
 * Moving and removing names: every pair of a view, an app file and the configuration file has its own meaning.
 *
 *     view -> new name        the view is frozen under it; the old name starts empty   (logrotate)
 *     app  -> live view       the view's content becomes the file's                    (sed -i)
 *     app  -> syslog.conf     the file's content is the configuration                  (sed -i, vim)
 *     syslog.conf -> app      a copy under that name                                   (vim's backup)
 *     view -> live view       EXDEV: mv(1) copies, which appends the lines
 */
import type { NodeId } from '../fuse/filesystem.ts'
import { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS, EXDEV } from '../lib/errno.ts'
import type { Steps } from '../lib/steps.ts'
import { NOBODY, type Pog } from '../pog/pog.ts'
import { routeBit, type View } from '../pog/view.ts'
import { readFile, readPieces, writeFile } from './app-content.ts'
import type { AppFiles } from './app-files.ts'
import type { AppNode } from './app-nodes.ts'
import type { ConfDraft } from './conf-file.ts'
import { NODE } from './nodes.ts'
import type { Places } from './places.ts'

const RENAME_NOREPLACE = 1
const RENAME_EXCHANGE = 2

export class Renaming {
	readonly #pog: Pog
	readonly #apps: AppFiles
	readonly #places: Places
	readonly #conf: ConfDraft

	constructor(pog: Pog, apps: AppFiles, places: Places, conf: ConfDraft) {
		this.#pog = pog
		this.#apps = apps
		this.#places = places
		this.#conf = conf
	}

	unlink(parent: NodeId, name: string): number {
		const fixed = this.#places.fixed(parent, name)
		if (fixed !== undefined) {
			if (fixed.id !== NODE.syslogConf || parent !== NODE.runPog) return -EPERM
			// Without a file of its own the container has the host's default.
			this.#pog.configured.reset()
			return 0
		}
		const directory = this.#places.directory(parent)
		if (directory === undefined) return -EROFS
		const view = this.#places.view(directory, name)
		if (view === undefined || view.hidden) return this.#apps.remove(directory, name, false)
		if (parent === NODE.runPog) return -EPERM
		this.#pog.views.remove(view)
		return 0
	}

	rmdir(parent: NodeId, name: string): number {
		if (this.#places.fixed(parent, name) !== undefined) return -EBUSY
		const directory = this.#places.directory(parent)
		if (directory === undefined) return -EROFS
		const view = this.#places.view(directory, name)
		if (view !== undefined && !view.hidden) return -ENOTDIR
		if (this.#places.hasViewsBelow(directory, name)) return -EBUSY
		return this.#apps.remove(directory, name, true)
	}

	rename(parent: NodeId, name: string, newParent: NodeId, newName: string, flags: number): number {
		const from = this.#places.directory(parent)
		const to = this.#places.directory(newParent)
		if (from === undefined || to === undefined) return -EROFS
		const source = this.#visible(from, name)
		const target = this.#visible(to, newName)
		const fixedSource = this.#places.fixed(parent, name)
		const fixedTarget = this.#places.fixed(newParent, newName)
		const special = source ?? target ?? fixedSource ?? fixedTarget
		if (special !== undefined && (flags & RENAME_EXCHANGE) !== 0) return -EINVAL
		if ((flags & RENAME_NOREPLACE) !== 0 && (target !== undefined || fixedTarget !== undefined)) return -EEXIST
		if (fixedTarget !== undefined) return this.#ontoConf(fixedTarget.id, source, from, name)
		if (fixedSource !== undefined) return this.#copyConf(fixedSource.id, target, to, newName)
		if (source !== undefined) return this.#moveView(source, target, to, newName, flags)
		if (target !== undefined) return this.#ontoView(target, from, name, to, newName, flags)
		if (this.#places.hasViewsBelow(from, name)) return -EBUSY
		const hidden = this.#places.view(to, newName)
		if (hidden !== undefined) return this.#ontoView(hidden, from, name, to, newName, flags)
		return this.#apps.rename(from, name, to, newName, flags)
	}

	#visible(directory: AppNode, name: string): View | undefined {
		const view = this.#places.view(directory, name)
		return view === undefined || view.hidden ? undefined : view
	}

	#moveView(view: View, target: View | undefined, to: AppNode, newName: string, flags: number): number {
		if (view === target) return 0
		if (!view.path.startsWith('var/log/')) return -EPERM
		const path = this.#places.viewPath(to, newName)
		// A hidden one counts: a rule writes there.
		if (this.#places.view(to, newName)?.live || !path.startsWith('var/log/')) return -EXDEV
		const replaces = this.#apps.exists(to, newName)
		if (replaces && (flags & RENAME_NOREPLACE) !== 0) return -EEXIST
		// Before anything is removed for it: a refusal changes nothing.
		if (view.live && !this.#pog.views.hasRoom) {
			this.#pog.ledger.deny('views')
			return -ENOSPC
		}
		if (replaces) {
			const removed = this.#apps.remove(to, newName, false)
			if (removed < 0) return removed
		}
		return this.#pog.views.rename(view, path) ? 0 : -EXDEV
	}

	#ontoView(target: View, from: AppNode, name: string, to: AppNode, newName: string, flags: number): number {
		if (!target.live) {
			const answer = this.#apps.rename(from, name, to, newName, flags)
			if (answer === 0) this.#pog.views.drop(target)
			return answer
		}
		return this.#conf.inSteps(this.#becomeView(target, from, name))
	}

	/** Done again from its beginning when the engine is killed between two steps: what was appended by then is cleared. */
	*#becomeView(target: View, from: AppNode, name: string): Steps<number> {
		const { views, ring } = this.#pog
		if (!this.#pog.journal.applied) {
			let begun = false
			for (const piece of readPieces(this.#apps.backing, this.#apps.path(from, name), ring.textBytes)) {
				if (typeof piece === 'number') return piece === -EISDIR ? -EBUSY : piece
				// A configuration may have given it up meanwhile, and its bit to another.
				if (!views.has(target) || !target.live) return -EBUSY
				if (!begun) views.clear(target)
				begun = true
				this.#pog.appendRaw(target, piece, 0, piece.length, NOBODY)
				yield
			}
			views.reveal(routeBit(target))
			// Written down before the source goes: without it nobody could do this again.
			this.#pog.flush(true)
		}
		return this.#apps.remove(from, name, false)
	}

	#ontoConf(targetId: NodeId, source: View | undefined, from: AppNode, name: string): number {
		if (targetId !== NODE.syslogConf) return -EPERM
		if (source !== undefined) return -EXDEV
		return this.#conf.inSteps(this.#becomeConf(from, name))
	}

	/** The kernel changes nothing else in either directory meanwhile: it holds both (lock_rename(), fs/namei.c). */
	*#becomeConf(from: AppNode, name: string): Steps<number> {
		if (!this.#pog.journal.applied) {
			const bytes = readFile(this.#apps.backing, this.#apps.path(from, name), this.#pog.limits.confBytes)
			if (typeof bytes === 'number') return bytes
			yield* this.#conf.replace(bytes)
		}
		return this.#apps.remove(from, name, false)
	}

	#copyConf(sourceId: NodeId, target: View | undefined, to: AppNode, newName: string): number {
		if (sourceId !== NODE.syslogConf) return -EPERM
		if (target !== undefined) return -EXDEV
		const written = writeFile(this.#apps.backing, this.#apps.path(to, newName), this.#conf.bytes)
		return written < 0 && written !== -ENOENT ? written : 0
	}
}
