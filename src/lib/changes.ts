/** Passes on what is not the same, as JSON, as what was passed on last. */
export function onChange<Given extends readonly unknown[]>(tell: (...given: Given) => void): (...given: Given) => void {
	let last = ''
	return (...given) => {
		const now = JSON.stringify(given)
		if (now === last) return
		last = now
		tell(...given)
	}
}
