/**
 * Bodies of replies: what an operation filled in, as the kernel's struct. Source: struct fuse_*_out of
 * include/uapi/linux/fuse.h (7.45).
 *
 * Invariant: an encoder writes every byte of its struct (the buffer holds an earlier reply) and answers its size.
 */
import {
	FUSE_ATTR_OUT,
	FUSE_ENTRY_OUT,
	FUSE_KSTATFS,
	FUSE_LSEEK_OUT,
	FUSE_OPEN_OUT,
	FUSE_POLL_OUT,
	FUSE_WRITE_OUT,
} from './abi.ts'
import { writeAttr } from './hot.ts'
import { BODY_AT, BODY_WORD } from './reply.ts'
import { writeU64 } from './struct.ts'
import type { Workspace } from './workspace.ts'

/** Writes the body for an operation's `outcome` (zero or more) and answers the body's bytes. */
export type Encoder = (workspace: Workspace, outcome: number) => number

const ENTRY_ATTR_WORD = BODY_WORD + FUSE_ENTRY_OUT.offsets.attr / 4
const ATTR_ATTR_WORD = BODY_WORD + FUSE_ATTR_OUT.offsets.attr / 4

/** Success without a body. */
export const status: Encoder = () => 0

/** struct fuse_entry_out, from `workspace.entry`. */
export const entry: Encoder = ({ entry: from, reply }) => {
	const { words } = reply
	writeU64(words, BODY_WORD, from.node)
	writeU64(words, BODY_WORD + 2, from.generation)
	const entrySeconds = Math.floor(from.entryValidMs / 1000)
	const attrSeconds = Math.floor(from.attrValidMs / 1000)
	writeU64(words, BODY_WORD + 4, entrySeconds)
	writeU64(words, BODY_WORD + 6, attrSeconds)
	words[BODY_WORD + 8] = (from.entryValidMs - entrySeconds * 1000) * 1_000_000
	words[BODY_WORD + 9] = (from.attrValidMs - attrSeconds * 1000) * 1_000_000
	writeAttr(words, ENTRY_ATTR_WORD, from.attr)
	return FUSE_ENTRY_OUT.sizeBytes
}

/** struct fuse_attr_out, from `workspace.attr`; the outcome is how long it is valid, in milliseconds. */
export const attr: Encoder = ({ attr: from, reply }, validMs) => {
	const { words } = reply
	const seconds = Math.floor(validMs / 1000)
	writeU64(words, BODY_WORD, seconds)
	words[BODY_WORD + 2] = (validMs - seconds * 1000) * 1_000_000
	words[BODY_WORD + 3] = 0
	writeAttr(words, ATTR_ATTR_WORD, from)
	return FUSE_ATTR_OUT.sizeBytes
}

/** struct fuse_open_out, from `workspace.opened`. */
export const open: Encoder = ({ opened, out }) => {
	out.open.fh = opened.handle
	out.open.open_flags = opened.openFlags
	out.open.backing_id = opened.backingId
	return FUSE_OPEN_OUT.sizeBytes
}

/** An entry and an open, for CREATE. */
export const create: Encoder = (workspace, outcome) => {
	const { opened, out } = workspace
	const entryBytes = entry(workspace, outcome)
	out.createOpen.fh = opened.handle
	out.createOpen.open_flags = opened.openFlags
	out.createOpen.backing_id = opened.backingId
	return entryBytes + FUSE_OPEN_OUT.sizeBytes
}

/** struct fuse_write_out: bytes taken. */
export const written: Encoder = ({ reply }, outcome) => {
	reply.words[BODY_WORD] = outcome
	reply.words[BODY_WORD + 1] = 0
	return FUSE_WRITE_OUT.sizeBytes
}

/** struct fuse_poll_out: POLL* bits. */
export const polled: Encoder = ({ reply }, outcome) => {
	reply.words[BODY_WORD] = outcome
	reply.words[BODY_WORD + 1] = 0
	return FUSE_POLL_OUT.sizeBytes
}

/** struct fuse_lseek_out: the new offset. */
export const sought: Encoder = ({ reply }, outcome) => {
	writeU64(reply.words, BODY_WORD, outcome)
	return FUSE_LSEEK_OUT.sizeBytes
}

/** struct fuse_statfs_out, from `workspace.statFs`. */
export const statfs: Encoder = ({ statFs: from, out, reply }) => {
	reply.memory.bytes.fill(0, BODY_AT, BODY_AT + FUSE_KSTATFS.sizeBytes)
	const { statfs: to } = out
	to.blocks = from.blocks
	to.bfree = from.bfree
	to.bavail = from.bavail
	to.files = from.files
	to.ffree = from.ffree
	to.bsize = from.bsize
	to.namelen = from.namelen
	to.frsize = from.bsize
	return FUSE_KSTATFS.sizeBytes
}
