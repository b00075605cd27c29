/**
 * A process that serves a double on descriptor 3 until its stdin ends: what an engine does with the keeper's socket.
 */
import { startApi } from '../../src/control/api.ts'
import { ServiceDouble } from './double.ts'

const api = await startApi({ service: new ServiceDouble(), socketPath: '/nonexistent/api.sock', fd: 3 })
if ('problem' in api) throw new Error(api.problem)
process.stdout.write('ready\n')
process.stdin.resume().on('end', () => void api.value.close())
