/**
 * pogshim's options without the parser: for an engine that takes over, with the command line that its predecessor was started
 * with. Invariant: what `pogshim-words.ts` accepts is read here with the same meaning; anything else may be read as anything.
 */
import { TRANSPORTS, type Transport } from '../engine/transports.ts'

export interface EngineOptions {
	runDir: string
	etcDir: string
	transport: Transport
	/** Say whether this version can take over, and nothing else. */
	checkState?: boolean
}

export const DEFAULT_ETC_DIR = '/etc/pogs'

export function defaultRunDir(environment: NodeJS.ProcessEnv): string {
	return environment['POGS_RUN_DIR'] || '/run/pogs'
}

/** The last of an option counts; `--name value` and `--name=value` are the same. */
export function acceptedOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): EngineOptions {
	const given: Record<string, string> = {}
	for (let i = 0; i < argv.length; i++) {
		const [, name = '', value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[i] ?? '') ?? []
		if (name === '' || name === 'engine') continue
		given[name] = value ?? argv[++i] ?? ''
	}
	return {
		runDir: given['run-dir'] ?? defaultRunDir(environment),
		etcDir: given['etc-dir'] ?? DEFAULT_ETC_DIR,
		transport: TRANSPORTS.find(transport => transport === given['transport']) ?? 'kernel',
	}
}
