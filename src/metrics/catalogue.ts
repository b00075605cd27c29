/**
 * Every metric of the service, in one table.
 *
 * Source: Prometheus naming conventions (base units, `_total` for counters) and what `PogInfo` counts. Labels are bounded: a POG's name, and the
 * fixed lists of origins and reasons; never a program, a path or a container id. Values are pulled from the ledgers at each
 * scrape, nothing is counted twice.
 */
import { DENIED_REASONS, DROP_REASONS, ORIGINS } from '../pog/info.ts'
import type { DeniedReason, DropReason, PogInfo } from '../pog/info.ts'

/** What is asked of the service itself; `ServiceInfo` of the control room is one. */
export interface ServiceFacts {
	version: string
	engine: { startedAtMs: number }
	restarts: number
	pogs: number
}

interface Metric {
	type: 'counter' | 'gauge'
	help: string
}
/** One value for each POG, or one for each POG and each value of `label`. */
export interface PogMetric extends Metric {
	label?: 'origin' | 'reason'
	/** Pairs of label value (empty without a label) and value. */
	samples: (pog: PogInfo) => readonly (readonly [string, number])[]
}
export interface ServiceMetric extends Metric {
	value: (service: ServiceFacts) => number
}

const one = (value: (pog: PogInfo) => number): PogMetric['samples'] => {
	return pog => [['', value(pog)]]
}
const diagnostics = (pog: PogInfo, level: 'error' | 'warning'): number =>
	pog.conf.diagnostics.filter(diagnostic => diagnostic.level === level).length

export const POG_METRICS: Readonly<Record<string, PogMetric>> = {
	pogs_records_accepted_total: {
		type: 'counter',
		help: 'Records accepted, by where they came from',
		label: 'origin',
		samples: pog => ORIGINS.map(origin => [origin, pog.accepted[origin]] as const),
	},
	pogs_records_dropped_total: {
		type: 'counter',
		help: 'Records, or parts of one, that did not stay, by reason',
		label: 'reason',
		samples: pog => (Object.keys(DROP_REASONS) as DropReason[]).map(reason => [reason, pog.drops[reason]] as const),
	},
	pogs_calls_denied_total: {
		type: 'counter',
		help: 'Calls that a limit of the POG denied (opens, listings, waiting reads), by reason',
		label: 'reason',
		samples: pog =>
			(Object.keys(DENIED_REASONS) as DeniedReason[]).map(reason => [reason, pog.denied[reason]] as const),
	},
	pogs_ring_size_bytes: {
		type: 'gauge',
		help: 'Text bytes that the ring has',
		samples: one(pog => pog.ring.sizeBytes),
	},
	pogs_ring_used_bytes: { type: 'gauge', help: 'Text bytes in use', samples: one(pog => pog.ring.usedBytes) },
	pogs_ring_records: { type: 'gauge', help: 'Records retained', samples: one(pog => pog.ring.records) },
	pogs_views: { type: 'gauge', help: 'Files that are views of the ring', samples: one(pog => pog.views.length) },
	pogs_conf_rules: { type: 'gauge', help: 'Rules in force', samples: one(pog => pog.conf.rules) },
	pogs_conf_errors: {
		type: 'gauge',
		help: 'Errors in the newest configuration text',
		samples: one(pog => diagnostics(pog, 'error')),
	},
	pogs_conf_warnings: {
		type: 'gauge',
		help: 'Warnings about the newest configuration text',
		samples: one(pog => diagnostics(pog, 'warning')),
	},
	pogs_conf_refused: {
		type: 'gauge',
		help: '1 when the newest configuration text was refused and the one before is in force',
		samples: one(pog => (pog.conf.state === 'kept' ? 1 : 0)),
	},
	pogs_running: {
		type: 'gauge',
		help: '1 while the container of this POG runs',
		samples: one(pog => (pog.status === 'running' ? 1 : 0)),
	},
	pogs_created_timestamp_seconds: {
		type: 'gauge',
		help: 'When the POG was created, seconds since the epoch',
		samples: one(pog => pog.createdAtMs / 1000),
	},
}

export const SERVICE_METRICS: Readonly<Record<string, ServiceMetric>> = {
	pogs_pogs: { type: 'gauge', help: 'POGs, the host not counted', value: service => service.pogs },
	pogs_engine_restarts_total: {
		type: 'counter',
		help: 'Times that the engine was started again after a crash',
		value: service => service.restarts,
	},
	pogs_engine_start_time_seconds: {
		type: 'gauge',
		help: 'When this engine process started, seconds since the epoch',
		value: service => service.engine.startedAtMs / 1000,
	},
}
