/** What a planted word looks like, for those who search for all of them: a regular expression of grep -E, Python and JavaScript. */
export const WORD_PATTERN = 'canary[0-9a-f]{16}n[0-9]+z'
