/** The places of our processes among those of a machine: nice(1) values, which the keeper gives and the engine takes back. */

/** As everybody: one of many. */
export const ORDINARY = 0
/** About nine times the weight of a process of value 0. */
export const URGENT = -10
/** As high as it goes, for a second at most: of an engine that takes over, for which all wait. */
export const AWAITED = -20
