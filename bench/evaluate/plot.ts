/**
 * A line chart as SVG text: points with their spread, linear or logarithmic axes, a legend.
 *
 * Our own, because the libraries that draw charts want a DOM or a canvas to draw on, and those that do not only bring ticks and
 * scales, which are the few lines of `ticksOf` and `scaleOf`. Readable on white and on black: the file has its own style sheet,
 * with prefers-color-scheme, and no background. Colours are those of Okabe and Ito, which colour-blind readers can tell apart;
 * markers differ as well.
 */
import type { Axis, Figure, Series } from './case.ts'

const WIDTH = 720
const HEIGHT = 400
const LEFT = 76
const RIGHT = 16
const TOP = 44
const BOTTOM = 56
const LEGEND_LINE = 18

/** Light and dark, a series each; plain properties, because not every viewer of SVG knows those with names of their own. */
const COLOURS = [
	['#0072b2', '#56b4e9'],
	['#d55e00', '#f0883e'],
	['#009e73', '#3fb98b'],
	['#a05195', '#cc79a7'],
	['#997700', '#e0c030'],
	['#57606a', '#b1bac4'],
] as const

const coloured = (dark: 0 | 1): string =>
	COLOURS.map(
		(pair, at) => `.s${at} .line, .s${at} .spread { stroke: ${pair[dark]} } .s${at} .mark { fill: ${pair[dark]} }`,
	).join('\n')

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.axis { stroke: #57606a }
.line { fill: none; stroke-width: 2 }
.spread { stroke-opacity: .55; stroke-width: 1.5 }
${coloured(0)}
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.axis { stroke: #9198a1 }
${coloured(1)}
}`

/** Where ticks stand, within the range or one step around it, from the lowest to the highest. */
export const ticksOf = (scale: Axis['scale'], low: number, high: number): number[] => {
	if (scale === 'log') {
		const [first, last] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)]
		const decades = Array.from({ length: Math.max(last, first + 1) - first + 1 }, (_, index) => 10 ** (first + index))
		if (decades.length > 3) return decades
		return decades.flatMap((decade, index) =>
			index === decades.length - 1 ? [decade] : [decade, 2 * decade, 5 * decade],
		)
	}
	/* A range of nothing is one of something: ticks must differ. */
	const rough = Math.max(high - low, Math.abs(high) * 1e-6, 1e-9) / 5
	const power = 10 ** Math.floor(Math.log10(rough))
	const step = ([1, 2, 5, 10].find(each => each * power >= rough) ?? 10) * power
	const first = Math.floor(low / step + 1e-9)
	return Array.from({ length: Math.max(Math.ceil(high / step - 1e-9) - first, 1) + 1 }, (_, index) =>
		Number(((first + index) * step).toPrecision(12)),
	)
}

const SUFFIXES = [
	[1e9, 'G'],
	[1e6, 'M'],
	[1e3, 'k'],
] as const

const BINARY_SUFFIXES = [
	[2 ** 30, ' GiB'],
	[2 ** 20, ' MiB'],
	[2 ** 10, ' KiB'],
] as const

/** A number as short as a tick wants it; a size in powers of 1024 when it counts bytes. */
export const short = (value: number, bytes = false): string => {
	const [unit, suffix] = (bytes ? BINARY_SUFFIXES : SUFFIXES).find(([size]) => Math.abs(value) >= size) ?? [1, '']
	return `${Number((value / unit).toPrecision(3))}${suffix}`
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, each => `&#${each.charCodeAt(0)};`)

const scaleOf = (axis: Axis, ticks: readonly number[], from: number, to: number): ((value: number) => number) => {
	const place = axis.scale === 'log' ? Math.log10 : (value: number) => value
	const [low, high] = [place(ticks[0] ?? 0), place(ticks.at(-1) ?? 1)]
	return value => from + ((place(value) - low) / (high - low)) * (to - from)
}

const MARKERS: readonly ((x: number, y: number) => string)[] = [
	(x, y) => `<circle class="mark" cx="${x}" cy="${y}" r="4"/>`,
	(x, y) => `<rect class="mark" x="${x - 3.5}" y="${y - 3.5}" width="7" height="7"/>`,
	(x, y) => `<path class="mark" d="M${x} ${y - 5}l5 9h-10z"/>`,
	(x, y) => `<path class="mark" d="M${x} ${y - 5}l5 5-5 5-5-5z"/>`,
]

const marker = (index: number, x: number, y: number): string => MARKERS[index % MARKERS.length]?.(x, y) ?? ''

const px = (value: number): number => Number(value.toFixed(1))

/** The chart of a figure. Values that a logarithmic axis cannot show (0 and less) are left out. */
export const plot = (figure: Figure): string => {
	const { title, x, y } = figure
	const shown = (value: number, axis: Axis): boolean => Number.isFinite(value) && (axis.scale === 'linear' || value > 0)
	const series: readonly Series[] = figure.series.map(each => ({
		...each,
		points: each.points.filter(point => shown(point.x, x) && shown(point.y.median, y)),
	}))
	const points = series.flatMap(each => each.points)
	const xs = points.map(point => point.x)
	const ys = points.flatMap(point => [point.y.min, point.y.median, point.y.max].filter(value => shown(value, y)))
	const legendHeight = series.length > 1 ? Math.ceil(series.length / 2) * LEGEND_LINE + 6 : 0
	const [top, bottom] = [TOP + legendHeight, HEIGHT + legendHeight - BOTTOM]
	const xTicks =
		x.scale === 'log' ? [...new Set(xs)].sort((a, b) => a - b) : ticksOf('linear', Math.min(...xs), Math.max(...xs))
	if (xTicks.length === 1) xTicks.push((xTicks[0] ?? 1) * 2)
	const yTicks = ticksOf(y.scale, y.scale === 'linear' ? Math.min(0, ...ys) : Math.min(...ys), Math.max(...ys))
	const atX = scaleOf(x, xTicks, LEFT + 8, WIDTH - RIGHT - 24)
	const atY = scaleOf(y, yTicks, bottom, top)

	const out = [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT + legendHeight}" width="${WIDTH}" role="img" aria-label="${escaped(title)}">`,
		`<style>${STYLE}\n</style>`,
		`<text class="title" x="${LEFT}" y="22">${escaped(title)}</text>`,
	]
	series.forEach((each, index) => {
		if (series.length < 2) return
		const [left, line] = [LEFT + (index % 2) * ((WIDTH - LEFT) / 2), TOP + Math.floor(index / 2) * LEGEND_LINE]
		out.push(
			`<g class="s${index % COLOURS.length}">${marker(index, left + 6, line - 4)}<text x="${left + 18}" y="${line}">${escaped(each.name)}</text></g>`,
		)
	})
	for (const tick of yTicks) {
		const at = px(atY(tick))
		out.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`)
		out.push(`<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">${short(tick)}</text>`)
	}
	for (const tick of xTicks) {
		const at = px(atX(tick))
		out.push(`<line class="axis" x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 5}"/>`)
		out.push(`<text x="${at}" y="${bottom + 20}" text-anchor="middle">${short(tick, x.bytes)}</text>`)
	}
	out.push(`<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}"/>`)
	out.push(`<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${bottom + 42}" text-anchor="middle">${escaped(x.label)}</text>`)
	const middle = (top + bottom) / 2
	out.push(
		`<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escaped(y.label)}</text>`,
	)
	/* The first is drawn last, on top: it is ours. */
	for (const [index, each] of [...series.entries()].reverse()) {
		const places = each.points.map(point => ({ point, at: px(atX(point.x)), height: px(atY(point.y.median)) }))
		out.push(`<g class="s${index % COLOURS.length}">`)
		out.push(`<path class="line" d="M${places.map(({ at, height }) => `${at} ${height}`).join('L')}"/>`)
		for (const { point, at, height } of places) {
			const ends = [point.y.min, point.y.max].map(value => (shown(value, y) ? px(atY(value)) : height))
			out.push(
				`<line class="spread" x1="${at}" x2="${at}" y1="${ends[0]}" y2="${ends[1]}"/>${marker(index, at, height)}`,
			)
		}
		out.push('</g>')
	}
	return `${out.join('\n')}\n</svg>\n`
}
