/**
 * What `pogctl install ENGINE` writes: one table of engines, each with the files it needs and what to do afterwards.
 *
 * Sources: dockerd(8) "daemon.json"; containers.conf(5); crio.conf.d(5); containerd's cri/config.md of 1.6; oci-hooks(5); the CDI specification 0.5;
 * lxc.container.conf(5); systemd.unit(5). Invariant: `remove` of what `add` made is what was there before; settings of others stay.
 */

/** What a file is made from. */
export interface InstallContext {
	/** Directory of pogs-runc and the templates. */
	readonly mountDir: string
	/** pogshim's run directory. */
	readonly runDir: string
	/** The wrapper's name: `pogs-crun` where runc is missing. */
	readonly wrapper: 'pogs-runc' | 'pogs-crun'
	/** Leave the engine's default runtime as it is. */
	readonly optIn: boolean
	/** Text of a template in `mountDir`. */
	template(name: string): string
}

export type Edited = { readonly text: string | undefined; readonly note?: string } | { readonly problem: string }

export interface EngineFile {
	readonly path: string
	add(before: string | undefined, context: InstallContext): Edited
	remove(before: string | undefined, context: InstallContext): Edited
}

export interface InstallableEngine {
	readonly what: string
	/** A program that shows that it is there. */
	readonly program: string
	readonly files: readonly EngineFile[]
	/** What the user does next. */
	readonly next: string
}

/** A file that is ours alone: a template with its places filled in. */
function ownFile(path: string, template: string): EngineFile {
	return {
		path,
		add: (_before, context) => ({ text: fill(context.template(template), context) }),
		remove: () => ({ text: undefined }),
	}
}

function fill(text: string, { mountDir, runDir, wrapper }: InstallContext): string {
	return text.replaceAll('@MOUNT@', mountDir).replaceAll('@RUN@', runDir).replaceAll('@RUNTIME@', wrapper)
}

interface DockerConfig {
	runtimes?: Record<string, unknown>
	'default-runtime'?: unknown
	[key: string]: unknown
}

const DAEMON_JSON: EngineFile = {
	path: '/etc/docker/daemon.json',
	add: (before, { mountDir, wrapper, optIn }) => {
		const config = dockerConfig(before)
		if ('problem' in config) return config
		const runtimes = { ...config.value.runtimes, pogs: { path: `${mountDir}/${wrapper}` } }
		const chosen = config.value['default-runtime']
		const free = chosen === undefined || chosen === 'runc' || chosen === 'pogs'
		const value = { ...config.value, runtimes, ...(free && !optIn && { 'default-runtime': 'pogs' }) }
		const text = `${JSON.stringify(value, null, indentOf(before))}\n`
		if (free || optIn) return { text }
		return {
			text,
			note: `The default runtime stays ${JSON.stringify(chosen)}: choose ours with docker run --runtime pogs`,
		}
	},
	remove: before => {
		const config = dockerConfig(before)
		if ('problem' in config) return config
		const { runtimes: { pogs: _ours, ...runtimes } = {}, 'default-runtime': chosen, ...value } = config.value
		const rest = {
			...value,
			...(Object.keys(runtimes).length > 0 && { runtimes }),
			...(chosen !== undefined && chosen !== 'pogs' && { 'default-runtime': chosen }),
		}
		if (before === undefined || Object.keys(rest).length === 0) return { text: undefined }
		return { text: `${JSON.stringify(rest, null, indentOf(before))}\n` }
	},
}

function dockerConfig(text: string | undefined): { value: DockerConfig } | { problem: string } {
	try {
		const value: unknown = text === undefined || text.trim() === '' ? {} : JSON.parse(text)
		if (isRecord(value) && (value['runtimes'] === undefined || isRecord(value['runtimes'])))
			return { value: value as DockerConfig }
		return { problem: 'Cannot change /etc/docker/daemon.json: expected an object with an object "runtimes"' }
	} catch (error) {
		return {
			problem: `Cannot change /etc/docker/daemon.json: ${error instanceof Error ? error.message : String(error)}`,
		}
	}
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As the file has it; a tab for a new one. */
function indentOf(text: string | undefined): string {
	return /^\{\s*?\n([ \t]+)/.exec(text ?? '')?.[1] ?? '\t'
}

const BEGIN = '# pogctl install: begin'
const END = '# pogctl install: end'

/** A block of ours at the end of a file of others. */
const CONTAINERD_TOML: EngineFile = {
	path: '/etc/containerd/config.toml',
	add: (before, context) => {
		const rest = withoutBlock(before ?? 'version = 2\n')
		if (!/^\s*version\s*=\s*2\s*$/m.test(rest))
			return { problem: 'Cannot change /etc/containerd/config.toml: expected "version = 2" (containerd 1.3 to 1.7)' }
		// A table may be written once.
		if (rest.includes('containerd.runtimes.pogs'))
			return {
				problem: 'Cannot change /etc/containerd/config.toml: it has a runtime "pogs" already, not written by pogctl',
			}
		const block = fill(context.template('containerd/pogs.toml'), context)
		return { text: `${rest.replace(/\n*$/, '\n')}\n${BEGIN}\n${block}${END}\n` }
	},
	remove: before => {
		const rest = withoutBlock(before ?? '')
		return { text: rest.trim() === '' || rest === 'version = 2\n' ? undefined : rest }
	},
}

function withoutBlock(text: string): string {
	const from = text.indexOf(`${BEGIN}\n`)
	const to = text.indexOf(`${END}\n`, from)
	if (from === -1 || to === -1) return text
	// The empty line before it is ours too.
	return text.slice(0, from).replace(/\n\n$/, '\n') + text.slice(to + END.length + 1)
}

const hook = (stage: string): EngineFile =>
	ownFile(`/etc/containers/oci/hooks.d/50-pogs-${stage}.json`, `hooks.d/50-pogs-${stage}.json`)

/** Every engine by its name. */
export const ENGINES: Readonly<Record<string, InstallableEngine>> = {
	docker: {
		what: 'Docker: the runtime "pogs", as the default unless --opt-in',
		program: 'dockerd',
		files: [DAEMON_JSON],
		next: 'systemctl reload docker (or kill -HUP of dockerd); it holds for containers created from then on',
	},
	podman: {
		what: 'Podman: the runtime "pogs", as the default',
		program: 'podman',
		files: [ownFile('/etc/containers/containers.conf.d/50-pogs.conf', 'podman/50-pogs.conf')],
		next: 'nothing: it holds for containers created from now on',
	},
	containerd: {
		what: 'containerd (CRI): the runtime "pogs", for a RuntimeClass; ctr run --runc-binary needs nothing',
		program: 'containerd',
		files: [CONTAINERD_TOML],
		next: 'systemctl restart containerd; a Kubernetes RuntimeClass with "handler: pogs" chooses it',
	},
	crio: {
		what: 'CRI-O: the runtime "pogs", as the default',
		program: 'crio',
		files: [ownFile('/etc/crio/crio.conf.d/50-pogs.conf', 'crio/50-pogs.conf')],
		next: 'systemctl restart crio',
	},
	lxc: {
		what: 'LXC: hooks for every container that includes common.conf',
		program: 'lxc-start',
		files: [ownFile('/usr/share/lxc/config/common.conf.d/50-pogs.conf', 'lxc/pogs.conf')],
		next: 'nothing: it holds from the next start of a container',
	},
	systemd: {
		what: 'systemd-nspawn@.service: a POG for every machine',
		program: 'systemd-nspawn',
		files: [ownFile('/etc/systemd/system/systemd-nspawn@.service.d/50-pogs.conf', 'nspawn/50-pogs.conf')],
		next: 'systemctl daemon-reload; it holds from the next start of a machine',
	},
	hooks: {
		what: 'Podman and CRI-O without the wrapper: OCI hooks in hooks.d',
		program: 'podman',
		files: [hook('createRuntime'), hook('createContainer'), hook('poststop')],
		next: 'nothing: it holds for containers created from now on',
	},
	cdi: {
		what: 'Container Device Interface: --device pogs.dev/log=private, for the containers that ask',
		program: 'podman',
		files: [ownFile('/etc/cdi/pogs.json', 'cdi/pogs.json')],
		next: 'podman run --device pogs.dev/log=private ...',
	},
}
