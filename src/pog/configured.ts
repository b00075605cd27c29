/**
 * The configuration of one POG: its text, what it compiled to, and what was wrong with it.
 *
 * Compiled configurations are shared by content (most containers have the host's default). A text that cannot be read
 * at all leaves the last good configuration in force, and says so.
 */
import { LRUCache } from 'lru-cache'
import type { Action, Configuration } from '../conf/configuration.ts'
import { DEFAULT_LIMITS as CONF_LIMITS } from '../conf/configuration.ts'
import { parseInSteps, type ParseOptions } from '../conf/parse.ts'
import { compilePredicates, compileRoutes, type Predicates, type Routes } from '../conf/routes.ts'
import { type Diagnostic, formatDiagnostic } from '../lib/diagnostic.ts'
import { finish, type Steps } from '../lib/steps.ts'
import type { PogInfo } from './info.ts'
import { ALL_BIT } from '../ring/view-index.ts'
import type { Pog } from './pog.ts'
import type { LineFormat } from './view.ts'

export type ConfState = PogInfo['conf']['state']

/** The name diagnostics carry: what the container's owner edits. */
export const CONF_FILE = '/etc/syslog.conf'
/** Where what has no terminal here is recorded instead. */
const CONSOLE_VIEW = 'run/pog/console'
const USERS_VIEW = 'run/pog/users'

const SEVERITY_ERR = 3
const SEVERITY_WARNING = 4
const SEVERITY_INFO = 6
/** Each goes by the filters that are new to all of them, and somebody may be waiting. */
const MAX_TOLD_DIAGNOSTICS = 8

/** Texts of configuration files that `include PATTERN` matches inside the container's own tree. */
export type ReadIncludes = NonNullable<ParseOptions['include']>

/** A configuration as it is written down for a later engine. */
export interface SavedConfigured {
	own: boolean
	state: ConfState
	text: string
	/** The text in force: another one when the newest is not usable. */
	inForce: string
}

/** About what a rule takes in memory. */
const RULE_BYTES = 1024

const COMPILED = new LRUCache<string, Configuration>({
	max: 256,
	maxSize: 4 << 20,
	sizeCalculation: ({ rules, diagnostics }, key) => key.length + RULE_BYTES * (rules.length + diagnostics.length),
})

/** A text that was read and is not in force: all of the work that takes long. */
export interface ReadyConfiguration {
	readonly text: string
	readonly configuration: Configuration
	readonly predicates: Predicates
}

export class Configured {
	text: string
	state: ConfState = 'default'
	diagnostics: readonly Diagnostic[] = []
	rules = 0
	/** Counts texts that were put in force, or refused, after the first. */
	generation = 0
	routes: Routes
	readIncludes: ReadIncludes
	/** Called when the set of views may have changed. */
	onViews: () => void = () => {}
	readonly #pog: Pog
	/** Whether the container (or the host, for this POG) has given a text of its own. */
	#own = false
	/** Views for which no route bit was left, until the owner was told. */
	readonly #refused: string[] = []
	#inForce: string

	/**
	 * `text` null: the host's default. Says nothing in the log unless something is wrong. `saved`: what an earlier engine had in
	 * force, which goes on.
	 */
	constructor(
		pog: Pog,
		text: string | null,
		saved: SavedConfigured | null = null,
		readIncludes: ReadIncludes = () => [],
	) {
		this.#pog = pog
		this.readIncludes = readIncludes
		if (saved !== null) {
			this.#own = saved.own
			this.text = saved.text
			this.state = saved.state
			this.#inForce = saved.inForce
			this.diagnostics = finish(this.#parse(saved.text)).diagnostics
			// An engine of another version may have taken what this one refuses: better the host's default than nothing.
			const inForce = finish(this.prepare(saved.inForce))
			this.routes = this.#activate(
				inForce.configuration.usable ? inForce : finish(this.prepare(pog.policy.defaultConf)),
			)
			return
		}
		this.#own = text !== null
		this.text = text ?? pog.policy.defaultConf
		const first = finish(this.prepare(this.text))
		const { usable, diagnostics } = first.configuration
		this.diagnostics = diagnostics
		this.state = usable ? (this.#own ? 'own' : 'default') : 'kept'
		// The very first configuration has none before it: the host's default is the last good one.
		this.#inForce = usable ? this.text : pog.policy.defaultConf
		this.routes = this.#activate(usable ? first : finish(this.prepare(pog.policy.defaultConf)))
	}

	save(): SavedConfigured {
		return { own: this.#own, state: this.state, text: this.text, inForce: this.#inForce }
	}

	/** Writes what is wrong with the first configuration into the log, once there is one. */
	tellFirst(): void {
		if (this.diagnostics.length > 0 || this.#refused.length > 0) this.#tell(this.diagnostics, this.state !== 'kept')
	}

	/** Reads a text, a line or so a step; nothing changes by that. */
	*prepare(text: string): Steps<ReadyConfiguration> {
		const configuration = yield* this.#parse(text)
		const predicates = yield* compilePredicates(configuration, { localHostname: this.#pog.hostname })
		return { text, configuration, predicates }
	}

	/** Puts a text of this POG's own in force. Answers what is wrong with it. */
	set(text: string): readonly Diagnostic[] {
		return this.setReady(finish(this.prepare(text)))
	}

	/** The same, with one that `prepare` made ready. */
	setReady(ready: ReadyConfiguration): readonly Diagnostic[] {
		this.#own = true
		this.text = ready.text
		return this.#apply(ready)
	}

	/** Back to the host's default. */
	reset(): void {
		this.#own = false
		this.followDefault()
	}

	/** The host's default changed: obeyed unless this POG has a text of its own. */
	followDefault(): void {
		if (this.#own) return
		this.text = this.#pog.policy.defaultConf
		this.#apply(finish(this.prepare(this.text)))
	}

	#apply(ready: ReadyConfiguration): readonly Diagnostic[] {
		const parsed = ready.configuration
		this.generation++
		this.diagnostics = parsed.diagnostics
		if (parsed.usable) {
			this.state = this.#own ? 'own' : 'default'
			this.#inForce = this.text
			this.routes = this.#activate(ready)
			this.#pog.setRoutes(this.routes)
			this.onViews()
		} else this.state = 'kept'
		this.#tell(parsed.diagnostics, parsed.usable)
		return parsed.diagnostics
	}

	*#parse(text: string): Steps<Configuration> {
		const { confBytes, confFiles } = this.#pog.limits
		const key = `${confBytes} ${confFiles} ${text}`
		const known = COMPILED.get(key)
		if (known !== undefined) return known
		let included = false
		const parsed = yield* parseInSteps(Buffer.from(text, 'latin1'), {
			file: CONF_FILE,
			include: pattern => {
				included = true
				return this.readIncludes(pattern)
			},
			limits: { ...CONF_LIMITS, textBytes: confBytes, files: confFiles },
		})
		// What a container's own files say is its own: never shared by content.
		if (!included) COMPILED.set(key, parsed)
		return parsed
	}

	#activate({ configuration, predicates }: ReadyConfiguration): Routes {
		const { views } = this.#pog
		// Files that stay in force keep their bits: only then is there something to give up for new ones.
		const named = new Set(configuration.rules.map(({ action }) => destination(action)?.path))
		for (const view of views.all) {
			view.live = named.has(view.path) && view.endSeq === Number.POSITIVE_INFINITY
			view.rotation = null
		}
		this.rules = configuration.rules.length
		const routes = compileRoutes(configuration, (_path, action) => this.#bitOf(action), { predicates })
		// A file that no rule names any more stays while it holds something, as on any system.
		const present = [...views.all]
		for (const view of present) {
			const abandoned = !view.live && view.bit !== ALL_BIT && view.endSeq === Number.POSITIVE_INFINITY
			if (abandoned && views.extent(view).records === 0) views.drop(view)
		}
		return routes
	}

	/** The route bit of an action: its view is made when there is none. -1 when the action goes nowhere. */
	#bitOf(action: Action): number {
		const target = destination(action)
		if (target === null) return -1
		const view = this.#pog.views.ensure(target.path, target.format)
		if (view === undefined) {
			this.#refused.push(target.path)
			return -1
		}
		view.live = true
		if (action.kind === 'file') view.rotation = action.rotate
		return view.bit
	}

	/** The owner reads in the POG's own log what became of the configuration. */
	#tell(diagnostics: readonly Diagnostic[], usable: boolean): void {
		const pog = this.#pog
		for (const diagnostic of diagnostics.slice(0, MAX_TOLD_DIAGNOSTICS)) {
			pog.tell(diagnostic.level === 'error' ? SEVERITY_ERR : SEVERITY_WARNING, formatDiagnostic(diagnostic))
		}
		for (const path of this.#refused.splice(0)) {
			pog.tell(SEVERITY_ERR, `${CONF_FILE}: no room for another file: /${textOfPath(path)} is not written`)
		}
		const more = diagnostics.length - MAX_TOLD_DIAGNOSTICS
		if (more > 0) pog.tell(SEVERITY_ERR, `${CONF_FILE}: ${more} more, see /run/pog/status`)
		pog.tell(
			SEVERITY_INFO,
			usable
				? `${CONF_FILE}: ${this.rules} ${this.rules === 1 ? 'rule' : 'rules'} in force`
				: `${CONF_FILE}: not usable, the last good configuration stays in force`,
		)
	}
}

/** A path of the tree, which is bytes, as text. */
export function textOfPath(path: string): string {
	return Buffer.from(path, 'latin1').toString()
}

function destination(action: Action): { path: string; format: LineFormat } | null {
	switch (action.kind) {
		case 'file':
			// File names are bytes in this program, one a character; a configuration is text.
			return { path: Buffer.from(action.path.slice(1)).toString('latin1'), format: action.format }
		case 'console':
			return { path: CONSOLE_VIEW, format: 'RFC3164' }
		case 'users':
		case 'wall':
			return { path: USERS_VIEW, format: 'RFC3164' }
		case 'discard':
			return null
	}
}
