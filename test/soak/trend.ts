/**
 * Whether a series grows, whatever its noise: the median of the slopes between all pairs (Theil and Sen), after a time to warm up.
 */

export interface Sample {
	readonly atSeconds: number
	readonly [series: string]: number
}

/** What a series may gain over the whole time that is looked at, and still be called flat. */
export interface Bound {
	readonly series: string
	readonly unit: string
	/** In the series' unit. */
	readonly gain: number
	/** Part of its median. */
	readonly part: number
}

export interface Trend {
	readonly series: string
	readonly unit: string
	readonly median: number
	readonly least: number
	readonly most: number
	/** Over the time looked at, by the median slope. */
	readonly gained: number
	readonly allowed: number
	readonly grows: boolean
}

/** The part of the time that counts as warming up. */
const WARM_UP = 0.3
const MAX_POINTS = 400

export function trendOf(samples: readonly Sample[], { series, unit, gain, part }: Bound): Trend {
	const begin = (samples.at(-1)?.atSeconds ?? 0) * WARM_UP
	const late = samples.filter(sample => sample.atSeconds >= begin && Number.isFinite(sample[series]))
	const step = Math.max(1, Math.ceil(late.length / MAX_POINTS))
	const points = late.filter((_, n) => n % step === 0).map(sample => [sample.atSeconds, sample[series] ?? 0] as const)
	const slopes: number[] = []
	for (const [i, [x, y]] of points.entries())
		for (const [x2, y2] of points.slice(i + 1)) slopes.push((y2 - y) / (x2 - x))
	const values = points.map(([, y]) => y)
	const seconds = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0)
	const gained = median(slopes) * seconds
	const allowed = Math.max(gain, part * median(values))
	return {
		series,
		unit,
		median: median(values),
		least: Math.min(...values),
		most: Math.max(...values),
		gained,
		allowed,
		grows: gained > allowed,
	}
}

function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b)
	return sorted[Math.floor(sorted.length / 2)] ?? 0
}

const BLOCKS = ' ▁▂▃▄▅▆▇█'

/** A series as one line of blocks, from 0 to its most. */
export function sparkline(samples: readonly Sample[], series: string, columns = 60): string {
	const most = Math.max(1, ...samples.map(sample => sample[series] ?? 0))
	return Array.from({ length: Math.min(columns, samples.length) }, (_, column) => {
		const value = samples[Math.floor((column * samples.length) / Math.min(columns, samples.length))]?.[series] ?? 0
		return BLOCKS[Math.max(0, Math.min(8, Math.round((value / most) * 8)))]
	}).join('')
}

const WIDTH = 760
const ROW = 90
const LEFT = 190

/** Every series as a curve of its own, from 0, in one picture. */
export function svgOf(samples: readonly Sample[], trends: readonly Trend[]): string {
	const end = samples.at(-1)?.atSeconds ?? 1
	const rows = trends.map(({ series, unit, median: middle, gained, most }, row) => {
		const scale = Math.max(1, ...samples.map(sample => sample[series] ?? 0))
		const points = samples
			.map(({ atSeconds, [series]: value = 0 }) => {
				const x = LEFT + (atSeconds / end) * (WIDTH - LEFT - 10)
				return `${x.toFixed(1)},${((row + 1) * ROW - 10 - (value / scale) * (ROW - 25)).toFixed(1)}`
			})
			.join(' ')
		const told = `median ${Math.round(middle)}, most ${Math.round(most)} ${unit}`
		return [
			`<text x="8" y="${row * ROW + 40}" font-weight="bold">${series}</text>`,
			`<text x="8" y="${row * ROW + 56}">${told}</text>`,
			`<text x="8" y="${row * ROW + 72}">gained ${gained.toFixed(1)} ${unit}</text>`,
			`<line x1="${LEFT}" y1="${(row + 1) * ROW - 10}" x2="${WIDTH - 10}" y2="${(row + 1) * ROW - 10}" stroke="#bbb"/>`,
			`<polyline points="${points}" fill="none" stroke="#2b6cb0"/>`,
		].join('\n')
	})
	const height = trends.length * ROW + 24
	const caption = `<text x="${LEFT}" y="${height - 6}">0 to ${Math.round(end / 60)} minutes; each from 0</text>`
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n${rows.join('\n')}\n${caption}\n</svg>\n`
}
