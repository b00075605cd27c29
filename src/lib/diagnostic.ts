/** What is wrong with an input text, and where. Lines and columns count from 1; columns count bytes. */
export interface Diagnostic {
	readonly level: 'error' | 'warning'
	readonly file: string
	readonly line: number
	readonly column: number
	/** `Unknown severity "wrn", expected one of emerg, alert, ...`: sentence case, no full stop. */
	readonly message: string
}

/** `FILE:LINE:COLUMN: error: MESSAGE`, the form compilers use. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
	const { file, line, column, level, message } = diagnostic
	return `${file}:${line}:${column}: ${level}: ${message}`
}
