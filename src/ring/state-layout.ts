/**
 * The second part of a ring's header page: what the engine must know to go on after it was killed at any instruction.
 *
 *     byte 0       512                     1024                                     4096
 *     | ring       | state: STATE          | cells, 64 B each: HEADER_CELLS of them |
 *
 * It is in the ring's own page because that page is touched anyway: a POG that is idle costs no memory for it. All fields are
 * 64-bit floats holding safe integers. More cells are in a file beside the ring (`cells.ts`).
 *
 * Source of the guarantees: a process that is killed loses no store it made to a shared mapping, and makes none after the one it
 * was killed at. So the order of the stores is all there is to it; nothing here speaks of a machine that loses power.
 */

/** Fields, by index in units of 8 bytes. */
export const STATE = {
	/** What FUSE_INIT settled: minor (0: nothing yet), flags, flags2, maxReadahead, maxWrite, maxPages. */
	negotiated: 64,
	/** Numbers of handles that were given out. */
	lastHandle: 70,
	lastDirectory: 71,

	/** The `unique` of the request that is being carried out; 0 between two. Stored last at its begin, first at its end. */
	request: 72,
	/** One of PHASE. */
	phase: 73,
	/** What the request answers once it counts as done. */
	result: 74,
	/** The ring's head when the request began, to go back to. */
	headSeq: 75,
	headPosition: 76,
	nextKmsgSeq: 77,
	/** What was so before the request changed it: enough to tell "done by me" from "was so". */
	fact: 78,
	secondFact: 79,

	/** The last request that the engine died with, and how often. */
	suspect: 80,
	deaths: 81,
	/** The request that was last begun, by this engine. */
	handling: 82,
	/** The cell of the handle that it opened, with one added. */
	opened: 83,

	/** The read being answered, the cell (its index) and the shared position as they were before it. */
	undoRequest: 84,
	undoCell: 85,
	undoSharedSeq: 86,
	undoSharedPartial: 87,
	undoImage: 88,

	/** Cells in the file beside the ring. */
	moreCells: 96,
	/** Requests of this connection are being read from the kernel, which does not send them again. */
	taking: 97,
} as const

/** How far a request is. */
export const PHASE = {
	/** Nothing of it counts: whatever it appended to the ring is taken back. */
	begun: 0,
	/** It counts when it has appended a record. */
	appends: 1,
	/** It counts. */
	done: 2,
	/** It does not count, and everything it did was taken back; it is to be carried out again. */
	undone: 3,
} as const

export const CELL_FLOATS = 8
export const CELL_BYTES = CELL_FLOATS * 8
export const FIRST_CELL = 128
export const HEADER_CELLS = (512 - FIRST_CELL) / CELL_FLOATS

/** What a cell holds. */
export const CELL_KIND = {
	free: 0,
	kmsgFile: 1,
	procKmsgFile: 2,
	viewFile: 3,
	appFile: 4,
	confFile: 5,
	ctlFile: 6,
	/** A file of `printk`, or a report. */
	nodeFile: 7,
	directory: 8,
	viewIndex: 9,
	syslogListener: 10,
	syslogCall: 11,
	/** A read that waits, where the kernel sends nothing again. */
	waitingRead: 12,
} as const
