/**
 * Words that say where they were planted, and the search for them: the one who finds a word that is not its own has seen
 * somebody else's log.
 *
 * Invariant: a word is planted in one place only, is found as a whole or not at all, and cannot be there by chance.
 */
import { randomBytes } from 'node:crypto'
import { WAYS_IN, WAYS_OUT } from './isolation-paths.ts'

/** Something that has a log: a container, or the host. */
export interface Subject {
	readonly name: string
	/** Runs shell where it is; what it printed on both outputs, whatever its exit code. */
	sh(script: string): Promise<string>
}

export interface Canary {
	readonly word: string
	/** Whose it is. */
	readonly owner: string
	readonly way: string
}

/** What one way out showed one subject. */
export interface Sighting {
	readonly reader: string
	readonly way: string
	/** Words of others that it showed; empty as it should be. */
	readonly foreign: readonly Canary[]
	/** Words of its own. */
	readonly own: readonly Canary[]
}

/** Said by a shell in place of a way in that did not take the word. */
const REFUSED = '@refused@'

/** Makes words, of the form `isolation-words.ts` says. */
export class Aviary {
	readonly canaries: Canary[] = []
	/** Words that were not taken: nobody can have them. */
	readonly refused: Canary[] = []

	/** `word`: one that is there already, such as a name. */
	breed(owner: string, way: string, word = `canary${randomBytes(8).toString('hex')}n${this.canaries.length}z`): Canary {
		const canary = { word, owner, way }
		this.canaries.push(canary)
		return canary
	}

	/** Plants a word by each way in. */
	async plant(subject: Subject, ways: Readonly<Record<string, string>> = WAYS_IN): Promise<void> {
		this.breed(subject.name, 'its name', subject.name)
		for (const [way, script] of Object.entries(ways)) {
			const canary = this.breed(subject.name, way)
			const said = await subject.sh(`set -- ${canary.word}; { ${script}\n} >/dev/null 2>&1 || echo ${REFUSED}`)
			if (said.includes(REFUSED)) this.refused.push(canary)
		}
	}

	/** Searches all that each way out shows. */
	async search(reader: Subject, ways: Readonly<Record<string, string>> = WAYS_OUT): Promise<Sighting[]> {
		const sightings: Sighting[] = []
		for (const [way, script] of Object.entries(ways)) {
			sightings.push(this.look(reader.name, way, await reader.sh(`{ ${script}\n} 2>&1`)))
		}
		return sightings
	}

	look(reader: string, way: string, shown: string): Sighting {
		const seen = this.canaries.filter(({ word }) => shown.includes(word))
		const isOwn = ({ owner }: Canary): boolean => owner === reader
		return { reader, way, foreign: seen.filter(canary => !isOwn(canary)), own: seen.filter(isOwn) }
	}

	/** Ways in by which a subject's word was found by none of its own ways out: nothing is proved about those. */
	unseen(name: string, sightings: readonly Sighting[]): string[] {
		const seen = new Set(sightings.flatMap(({ own }) => own))
		const missed = (canary: Canary): boolean => !seen.has(canary) && !this.refused.includes(canary)
		return this.canaries.filter(canary => canary.owner === name && missed(canary)).map(({ way }) => way)
	}
}
