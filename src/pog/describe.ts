/** A POG in figures: what `PogInfo` says that the domain itself knows. */
import { textOfPath } from './configured.ts'
import type { PogInfo } from './info.ts'
import type { Pog } from './pog.ts'

/** What the POG table adds: where it is mounted, whose it is, how far it has come. */
export type PogFigures = Pick<
	PogInfo,
	'id' | 'name' | 'createdAtMs' | 'ring' | 'accepted' | 'drops' | 'denied' | 'conf' | 'views'
>

export function describePog(pog: Pog): PogFigures {
	const { ring, configured } = pog
	const views: PogInfo['views'] = []
	for (const view of pog.views.all) {
		if (view.hidden) continue
		const { base, head, records } = pog.views.extent(view)
		views.push({ path: textOfPath(view.path), sizeBytes: head - base, records })
	}
	return {
		id: pog.id,
		name: pog.name,
		createdAtMs: Math.trunc(pog.createdUs / 1e3),
		ring: {
			sizeBytes: ring.textBytes,
			usedBytes: ring.usedBytes,
			records: ring.headSeq - ring.tailSeq,
			nextSeq: ring.headSeq,
		},
		accepted: pog.ledger.accepted(),
		// Sequence numbers start at 0, so the oldest retained one counts those before it.
		drops: { ...pog.ledger.drops(), overwritten: ring.tailSeq },
		denied: pog.ledger.denied(),
		conf: { state: configured.state, rules: configured.rules, diagnostics: [...configured.diagnostics] },
		views,
	}
}
