/** Entry of an attach job's thread: takes the job from `workerData`, answers once and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import type { AttachJob, AttachOutcome } from './attach-running.ts'
import { runJob } from './namespaces.ts'

const job = workerData as AttachJob
let outcome: AttachOutcome
try {
	outcome = runJob(job)
} catch (error) {
	// /proc/PID vanished under our hands.
	outcome = { problem: `Cannot ${job.action} process ${job.pid}: ${error instanceof Error ? error.message : 'gone'}` }
}
parentPort?.postMessage(outcome)
