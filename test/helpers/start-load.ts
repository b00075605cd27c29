/**
 * Containers that start one after the other while the engine is killed: each must start, find a log of its own, and nothing but its
 * own line in it. Part of the load of `kill-run.ts`.
 */
import type { Service } from './service.ts'
import { Runtime } from './starts.ts'

export interface StartLoad {
	/** Ends the loop; what was started, and what went wrong. */
	end(): Promise<{ readonly done: number; readonly faults: string[] }>
}

/** Begins. `runtime`: runc or crun. */
export function startLoad(service: Service, runtime: string): StartLoad {
	let over = false
	const ended = loop(service, runtime, () => over)
	return {
		end: () => {
			over = true
			return ended
		},
	}
}

async function loop(service: Service, runtime: string, isOver: () => boolean) {
	const starts = new Runtime(service, runtime)
	const faults: string[] = []
	let done = 0
	try {
		while (!isOver()) {
			const id = `start${done}`
			await starts.write(`echo '<6>mine=${id}' >/dev/kmsg && dmesg`)
			const began = performance.now()
			const { code, stdout, stderr, timedOut } = await starts.call('run', id)
			const took = `after ${Math.round(performance.now() - began)} ms`
			const foreign = stdout.split('\n').filter(line => line !== '' && !line.endsWith(`mine=${id}`))
			if (timedOut) faults.push(`${id}: hangs ${took}`)
			else if (code !== 0) faults.push(`${id}: ends with ${code} ${took}: ${stderr.slice(-300)}`)
			else if (!stdout.includes(`mine=${id}`)) faults.push(`${id}: does not find its own line ${took}`)
			// Whoever starts first after the engine has died may be told so in its own log, by "pogs:".
			if (foreign.some(line => !line.includes('pogs: ')))
				faults.push(`${id}: reads ${foreign.join(' | ').slice(0, 300)}`)
			done++
		}
	} catch (error) {
		faults.push(`start${done}: ${String(error)}`)
	} finally {
		await starts.close()
	}
	return { done, faults }
}
