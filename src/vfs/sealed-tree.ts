/** A tree whose files are there for ever: nothing is made, removed, renamed or linked in it. */
import type {
	Attr,
	AttrChange,
	Caller,
	Connection,
	DirReply,
	Entry,
	Filesystem,
	HandleId,
	NodeId,
	Opened,
	ReadReply,
	ReadRequest,
	RequestId,
	StatFs,
	WriteRequest,
} from '../fuse/filesystem.ts'
import { EINVAL, ENOSYS, EROFS } from '../lib/errno.ts'

export abstract class SealedTree implements Filesystem {
	abstract attach(connection: Connection): void
	abstract lookup(parent: NodeId, name: string, entry: Entry, caller: Caller): number
	abstract getattr(node: NodeId, handle: HandleId, attr: Attr): number
	abstract setattr(node: NodeId, change: AttrChange, attr: Attr, caller: Caller): number
	abstract open(node: NodeId, flags: number, opened: Opened, caller: Caller): number
	abstract read(request: ReadRequest, reply: ReadReply, caller: Caller): number
	abstract write(request: WriteRequest, caller: Caller): number
	abstract release(node: NodeId, handle: HandleId): number
	abstract interrupted(request: number): void
	abstract opendir(node: NodeId, opened: Opened): number
	abstract readdir(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number
	abstract statfs(node: NodeId, out: StatFs): number

	forget(_node: NodeId, _lookups: number): void {}

	flush(): number {
		return 0
	}

	fsync(): number {
		return 0
	}

	releasedir(): void {}

	readlink(_node: NodeId, _reply: ReadReply, _request: RequestId, _caller: Caller): number {
		return -EINVAL
	}

	symlink(): number {
		return -EROFS
	}

	mknod(): number {
		return -EROFS
	}

	mkdir(): number {
		return -EROFS
	}

	unlink(): number {
		return -EROFS
	}

	rmdir(): number {
		return -EROFS
	}

	rename(): number {
		return -EROFS
	}

	link(): number {
		return -EROFS
	}

	create(): number {
		return -EROFS
	}

	lseek(): number {
		return -EINVAL
	}

	poll(): number {
		return 0
	}

	fallocate(): number {
		return -ENOSYS
	}

	destroy(): void {}
}
