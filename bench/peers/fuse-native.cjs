/**
 * The second peer of the FUSE rows: fuse-native (libfuse 2 behind Node-API) with the same null operations as libfuse-null.c.
 *
 * fuse-native.cjs MODULE MOUNTPOINT: MODULE is the directory of the fuse-native package, installed below bench/build by
 * install-packages.sh. CommonJS, because that is what the package is. Prints `ready` once it is mounted.
 */
/* The package has no types. */
/* oxlint-disable */
const path = require('node:path')
const [modulePath, mountPoint] = process.argv.slice(2)
const Fuse = require(path.resolve(modulePath))

const time = new Date(0)
const directory = { mtime: time, atime: time, ctime: time, nlink: 2, size: 4096, mode: 0o040755, uid: 0, gid: 0 }
const file = { mtime: time, atime: time, ctime: time, nlink: 1, size: 256 * 1024, mode: 0o100666, uid: 0, gid: 0 }
const content = Buffer.alloc(256 * 1024, 'x')

const operations = {
	getattr: (name, done) => {
		if (name === '/') return done(0, directory)
		if (name === '/file') return done(0, file)
		done(Fuse.ENOENT)
	},
	open: (_name, _flags, done) => done(0, 42),
	release: (_name, _fd, done) => done(0),
	truncate: (_name, _size, done) => done(0),
	read: (_name, _fd, buffer, length, _position, done) => {
		const answer = length <= 4096 ? Math.min(length, 200) : Math.min(length, content.length)
		content.copy(buffer, 0, 0, answer)
		done(answer)
	},
	write: (_name, _fd, _buffer, length, _position, done) => done(length),
}

/*
 * The binding knows no direct I/O per file and has no option for it; libfuse has one for the whole mount, which rides on another
 * option's text here. Attribute and entry lifetimes 0, as the other peers; no timers per operation, its fastest setting.
 */
const fuse = new Fuse(mountPoint, operations, {
	force: true,
	allowOther: true,
	defaultPermissions: true,
	fsname: 'fuse-native,direct_io',
	timeout: false,
	attrTimeout: '0',
	entryTimeout: '0',
})
fuse.mount(error => {
	if (error) {
		console.error(error)
		process.exit(1)
	}
	console.log('ready')
})
const stop = () => fuse.unmount(() => process.exit(0))
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
