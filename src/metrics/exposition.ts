/**
 * The catalogue as Prometheus text (exposition format 0.0.4), through prom-client.
 *
 * A registry of our own, without the process metrics that prom-client would add by itself. Invariant: a scrape shows what is true now
 * and nothing of a POG that has been removed.
 */
import type { Counter, Gauge, Registry } from 'prom-client'
import type { PogInfo } from '../pog/info.ts'
import { POG_METRICS, SERVICE_METRICS } from './catalogue.ts'
import type { ServiceFacts } from './catalogue.ts'

export interface Snapshot {
	service: ServiceFacts
	pogs: readonly PogInfo[]
}

/** A function that renders the catalogue from a fresh snapshot. prom-client is loaded by the first scrape. */
export function createExposition(take: () => Promise<Snapshot>): () => Promise<string> {
	let exposition: Promise<Exposition> | undefined
	return async () => {
		exposition ??= load()
		const [{ fill, registry }, snapshot] = await Promise.all([exposition, take()])
		// Scrapes may overlap: between here and the copy that prom-client takes, every series is whole.
		fill(snapshot)
		return registry.metrics()
	}
}

interface Exposition {
	fill: (snapshot: Snapshot) => void
	registry: Registry
}

async function load(): Promise<Exposition> {
	const prometheus = await import('prom-client')
	const registry = new prometheus.Registry()
	const register = (
		name: string,
		{ type, help }: { type: string; help: string },
		labelNames: string[],
	): Counter | Gauge => {
		const shape = { name, help, labelNames, registers: [registry] }
		return type === 'counter' ? new prometheus.Counter(shape) : new prometheus.Gauge(shape)
	}
	const ofService = Object.entries(SERVICE_METRICS).map(([name, metric]) => {
		return { metric, series: register(name, metric, []) }
	})
	const ofPogs = Object.entries(POG_METRICS).map(([name, metric]) => {
		return { metric, series: register(name, metric, ['pog', ...(metric.label === undefined ? [] : [metric.label])]) }
	})
	const fill = ({ service, pogs }: Snapshot): void => {
		for (const { metric, series } of ofService) {
			series.reset()
			series.inc(metric.value(service))
		}
		for (const { metric, series } of ofPogs) {
			series.reset()
			for (const pog of pogs) {
				for (const [label, value] of metric.samples(pog)) {
					series.inc(metric.label === undefined ? { pog: pog.name } : { pog: pog.name, [metric.label]: label }, value)
				}
			}
		}
	}
	return { fill, registry }
}
