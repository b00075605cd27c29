/** All fuzz targets. */
import { hookStates, ociBundles } from './bundles.ts'
import { apiRequests, controlLines } from './control.ts'
import { fuseRequests } from './fuse-requests.ts'
import { records } from './records.ts'
import { ringBits, ringFiles } from './ring-files.ts'
import { type Runnable, runnable } from './target.ts'
import { configurations, procTexts } from './texts.ts'

export const TARGETS: readonly Runnable[] = [
	runnable(fuseRequests),
	runnable(records),
	runnable(ringFiles),
	runnable(ringBits),
	runnable(configurations),
	runnable(procTexts),
	runnable(apiRequests),
	runnable(controlLines),
	runnable(ociBundles),
	runnable(hookStates),
]
