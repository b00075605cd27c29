/**
 * The commands of `RUN/host/ctl`: one table. A line is a word and its fields, separated by tabs; its answer is `ok ...` or
 * `error ...`. Who may write there is root on the host: runtime wrappers and hooks.
 */
import type { Outcome } from '../control/service.ts'
import { readVersion } from '../lib/version.ts'
import type { BundleAttacher } from './bundle-attacher.ts'
import type { ContainerStarts } from './container-starts.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { EngineService } from './pog-service.ts'

export interface HostCommandContext {
	readonly lifecycle: Lifecycle
	readonly bundles: BundleAttacher
	readonly starts: ContainerStarts
	/** Puts a POG into a running container: LXC, systemd-nspawn. */
	readonly service: EngineService
}

interface HostCommand {
	/** Names of the fields, in order; one that ends in `?` may be empty. */
	readonly fields: readonly string[]
	/** What follows `ok`: fields joined by tabs, or nothing. */
	run(context: HostCommandContext, fields: readonly string[]): Promise<Outcome<string>>
}

const COMMANDS: Readonly<Record<string, HostCommand>> = {
	ping: { fields: [], run: async () => ({ value: readVersion() }) },
	prepare: {
		fields: ['BUNDLE', 'ID', 'ENGINE'],
		run: ({ bundles }, [bundle = '', id = '', engine = '']) => bundles.prepare(bundle, id, engine),
	},
	started: {
		fields: ['ID', 'PID'],
		run: ({ lifecycle }, [id = '', pid = '']) => silently(lifecycle.started(id, Number(pid))),
	},
	meet: {
		fields: ['NAME', 'THREAD'],
		run: ({ starts }, [name = '', thread = '']) => starts.meet(name, Number(thread)),
	},
	reason: { fields: ['ID'], run: async ({ starts }, [id = '']) => ({ value: starts.reason(id) }) },
	exited: {
		fields: ['ID'],
		run: async ({ lifecycle, starts }, [id = '']) => {
			if (starts.forget(id)) return { value: '' }
			if (!lifecycle.knows(id)) return silently(lifecycle.exited(id))
			// Nobody's "rm" waits for our unmounting.
			setImmediate(() => void lifecycle.exited(id))
			return { value: '' }
		},
	},
	attach: {
		fields: ['NAME', 'PID'],
		run: async ({ service, lifecycle }, [name = '', pid = '']) => {
			// A machine that starts again takes the place of what is retained of its last run.
			await lifecycle.discardExited(name)
			const attached = await service.attach(name, { pid: Number(pid) })
			return 'failure' in attached ? attached : { value: '' }
		},
	},
	detach: {
		fields: ['NAME'],
		run: async ({ service }, [name = '']) => {
			const detached = await service.detach(name)
			return 'failure' in detached ? detached : { value: '' }
		},
	},
	hook: {
		fields: ['ID', 'PID?', 'ROOTFS', 'BUNDLE?'],
		run: ({ bundles }, [id = '', pid = '', rootfs = '', bundle = '']) => bundles.hook(id, Number(pid), rootfs, bundle),
	},
}

async function silently(outcome: Promise<Outcome<null>>): Promise<Outcome<string>> {
	const done = await outcome
	return 'failure' in done ? done : { value: '' }
}

/** Carries out a line; the answer line. Never throws. */
export async function runHostCommand(context: HostCommandContext, line: string): Promise<string> {
	const [word = '', ...fields] = line.split('\t')
	const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined
	if (command === undefined) {
		return `error Unknown command "${word}", expected one of ${Object.keys(COMMANDS).join(', ')}`
	}
	const missing = command.fields.some((name, i) => fields[i] === '' && !name.endsWith('?'))
	if (fields.length !== command.fields.length || missing) {
		return `error Cannot read "${word}": expected ${[word, ...command.fields].join(' TAB ')}`
	}
	try {
		const done = await command.run(context, fields)
		if ('failure' in done) return `error ${oneLine(done.failure.message)}`
		// A list carries its own tabs.
		return done.value === '' || done.value.startsWith('\t') ? `ok${done.value}` : `ok ${oneLine(done.value)}`
	} catch (cause) {
		return `error Internal error: ${oneLine(cause instanceof Error ? cause.message : String(cause))}`
	}
}

function oneLine(text: string): string {
	return text.replaceAll('\n', ' ')
}
