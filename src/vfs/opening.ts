/**
 * Which kind of open file a node makes, when a container opens it and when a later engine finds it open.
 *
 * Invariant: opening takes no handle and no cell: who opens does, and gives them back when there is nothing to open.
 */
import type { Caller, Connection, NodeId } from '../fuse/filesystem.ts'
import { ENOENT, EPERM } from '../lib/errno.ts'
import type { Steps } from '../lib/steps.ts'
import type { Pog } from '../pog/pog.ts'
import type { View } from '../pog/view.ts'
import { type Cell, kindOf, noteOf } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { ALL_BIT } from '../ring/view-index.ts'
import type { AppFile } from './app-file.ts'
import type { AppFiles } from './app-files.ts'
import { type ConfDraft, ConfFile } from './conf-file.ts'
import { CtlFile, type PogActions } from './ctl-file.ts'
import { KmsgFile, mayOpenKmsg } from './kmsg-file.ts'
import type { KmsgReaders } from './kmsg-readers.ts'
import { appIno, isAppNode, NODE } from './nodes.ts'
import type { OpenFile } from './open-file.ts'
import type { Places } from './places.ts'
import { PrintkFile } from './printk-file.ts'
import { ProcKmsgFile } from './proc-kmsg-file.ts'
import { type Reports, reportBytes } from './reports.ts'
import { TextFile } from './text-file.ts'
import { ViewFile } from './view-file.ts'

const O_ACCMODE = 3
const O_TRUNC = 0o1000

/** What the kinds of files need beside the log itself. */
export interface OpeningParts {
	readonly readers: KmsgReaders
	readonly apps: AppFiles
	readonly places: Places
	readonly conf: ConfDraft
	/** Carries out what takes long, and answers for it. */
	readonly inSteps: (work: Steps<number>) => number
	/** Any open handle of an app file. */
	readonly appFile: (ino: number) => AppFile | undefined
	readonly actions: PogActions
	readonly reports: Reports
	readonly processName: (hostPid: number) => string
}

export class Opening {
	readonly #pog: Pog
	readonly #connection: Connection
	readonly #parts: OpeningParts

	constructor(pog: Pog, connection: Connection, parts: OpeningParts) {
		this.#pog = pog
		this.#connection = connection
		this.#parts = parts
	}

	/** The open file that a cell is about; undefined: it is about something else; null: what it is about is not there any more. */
	restore(cell: Cell): OpenFile | undefined | null {
		switch (kindOf(cell)) {
			case CELL_KIND.kmsgFile:
				return KmsgFile.restore(this.#parts.readers, this.#parts.processName, cell)
			case CELL_KIND.procKmsgFile:
				return ProcKmsgFile.restore(this.#parts.readers, this.#connection.features.maxWriteBytes, cell)
			case CELL_KIND.viewFile: {
				const view = this.#pog.views.byId(ViewFile.viewIdOf(cell))
				return view === undefined ? null : ViewFile.restore(this.#pog, view, cell)
			}
			case CELL_KIND.appFile:
				return this.#parts.apps.restore(cell)
			case CELL_KIND.confFile:
				return ConfFile.restore(this.#parts.conf, cell)
			case CELL_KIND.ctlFile:
				return CtlFile.restore(this.#pog, this.#parts.actions, this.#parts.inSteps, cell)
			case CELL_KIND.nodeFile: {
				const file = this.#openFixed(noteOf(cell), 0)
				if (typeof file === 'number') return null
				file.cell = cell
				return file
			}
			default:
				return undefined
		}
	}

	/** What opening a node makes, or a negative errno. */
	open(node: NodeId, flags: number, caller: Caller): OpenFile | number {
		if (isAppNode(node)) {
			const app = this.#parts.apps.node(appIno(node))
			if (app?.unlinked !== true) return app === undefined ? -ENOENT : this.#parts.apps.open(app, flags)
			const open = this.#parts.appFile(app.ino)
			return open === undefined ? -ENOENT : this.#parts.apps.openAgain(open, flags)
		}
		const view = this.#parts.places.viewOf(node)
		if (view !== undefined) return this.#openView(view, node, flags)
		if (node === NODE.devKmsg && !mayOpenKmsg(this.#pog, flags, caller.uid)) return -EPERM
		if (node === NODE.devKmsg) return new KmsgFile(this.#parts.readers, this.#parts.processName)
		return this.#openFixed(node, flags)
	}

	#openFixed(node: NodeId, flags: number): OpenFile | number {
		if (node === NODE.procKmsg) return new ProcKmsgFile(this.#parts.readers, this.#connection.features.maxWriteBytes)
		if (PrintkFile.is(node)) return new PrintkFile(this.#pog.printk, node)
		if (node === NODE.syslogConf) return new ConfFile(this.#parts.conf, (flags & O_TRUNC) !== 0)
		if (node === NODE.ctl) return new CtlFile(this.#pog, this.#parts.actions, this.#parts.inSteps)
		const report = reportBytes(node, this.#pog, this.#parts.reports)
		return report === undefined ? -ENOENT : new TextFile(report, node)
	}

	#openView(view: View, node: NodeId, flags: number): OpenFile | number {
		const base = this.#parts.places.base(view, node)
		const baseCount = this.#parts.places.baseCount(node)
		// The view of everything is for reading: nothing can be written to it alone, and `clear` has a command.
		if (view.bit === ALL_BIT && (flags & (O_ACCMODE | O_TRUNC)) !== 0) return -EPERM
		if ((flags & O_TRUNC) !== 0) this.#pog.views.clear(view)
		return new ViewFile(this.#pog, view, base, flags, baseCount)
	}
}
