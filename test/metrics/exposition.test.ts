/**
 * The Prometheus text, against text written by hand and a parser of the format made for this test.
 */
import test from 'ava'
import { POG_METRICS, SERVICE_METRICS } from '../../src/metrics/catalogue.ts'
import { createExposition } from '../../src/metrics/exposition.ts'
import { BAD_LINE, CREATED_AT_MS, makePog } from '../control/double.ts'

const service = { version: '0.1.0', engine: { startedAtMs: CREATED_AT_MS }, restarts: 2, pogs: 1 }

/** Lines of exposition format 0.0.4 without comments: name{labels} to value. */
function parse(text: string): Map<string, number> {
	const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
	return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]))
}

test('a scrape shows every count of a POG with its labels', async t => {
	const pog = makePog(1, 'web', {
		status: 'running',
		ring: { sizeBytes: 65_536, usedBytes: 1000, records: 10, nextSeq: 30 },
		conf: { state: 'kept', rules: 3, diagnostics: [BAD_LINE, { ...BAD_LINE, level: 'warning' }] },
		views: [{ path: '/var/log/messages', sizeBytes: 900, records: 10 }],
	})
	pog.accepted.devlog = 25
	pog.drops.overwritten = 20
	pog.denied.files = 4
	const text = await createExposition(async () => ({ service, pogs: [pog] }))()
	const wanted = [
		'# HELP pogs_records_dropped_total Records, or parts of one, that did not stay, by reason',
		'# TYPE pogs_records_dropped_total counter',
		'pogs_records_dropped_total{pog="web",reason="overwritten"} 20',
		'pogs_records_dropped_total{pog="web",reason="lost"} 0',
		'pogs_records_accepted_total{pog="web",origin="devlog"} 25',
		'pogs_records_accepted_total{pog="web",origin="kmsg"} 0',
		'pogs_calls_denied_total{pog="web",reason="files"} 4',
		'pogs_calls_denied_total{pog="web",reason="reads"} 0',
		'# TYPE pogs_ring_used_bytes gauge',
		'pogs_ring_size_bytes{pog="web"} 65536',
		'pogs_ring_used_bytes{pog="web"} 1000',
		'pogs_ring_records{pog="web"} 10',
		'pogs_views{pog="web"} 1',
		'pogs_conf_rules{pog="web"} 3',
		'pogs_conf_errors{pog="web"} 1',
		'pogs_conf_warnings{pog="web"} 1',
		'pogs_conf_refused{pog="web"} 1',
		'pogs_running{pog="web"} 1',
		'pogs_created_timestamp_seconds{pog="web"} 1763762400',
		'pogs_pogs 1',
		'pogs_engine_restarts_total 2',
		'pogs_engine_start_time_seconds 1763762400',
	]
	const lines = text.split('\n')
	for (const line of wanted) t.true(lines.includes(line), `${line}\nin\n${text}`)
})

test('every row of the catalogue is in a scrape, and nothing else', async t => {
	const text = await createExposition(async () => ({ service, pogs: [makePog(0, 'host')] }))()
	const names = new Set([...parse(text).keys()].map(series => series.replace(/\{.*/, '')))
	t.deepEqual([...names].toSorted(), [...Object.keys(POG_METRICS), ...Object.keys(SERVICE_METRICS)].toSorted())
})

test('a removed POG leaves the next scrape, and counters say what is true now', async t => {
	let pogs = [makePog(0, 'host'), makePog(1, 'web')]
	const render = createExposition(async () => ({ service, pogs }))
	const one = pogs[1]
	if (one === undefined) return t.fail()
	one.accepted.kmsg = 5
	t.is(parse(await render()).get('pogs_records_accepted_total{pog="web",origin="kmsg"}'), 5)
	one.accepted.kmsg = 7
	t.is(parse(await render()).get('pogs_records_accepted_total{pog="web",origin="kmsg"}'), 7)
	pogs = pogs.slice(0, 1)
	t.false((await render()).includes('pog="web"'))
})

test('scrapes at the same time are whole', async t => {
	const pogs = Array.from({ length: 50 }, (_, id) => makePog(id, `p${id}`))
	const render = createExposition(async () => ({ service, pogs }))
	const [first, ...others] = await Promise.all([render(), render(), render()])
	for (const other of others) t.is(other, first)
	t.is(parse(first).size, 50 * (6 + 7 + 5 + 10) + 3)
})
